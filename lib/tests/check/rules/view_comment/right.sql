comment on rule x on v is 'two';
