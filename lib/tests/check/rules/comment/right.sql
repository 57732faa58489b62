comment on rule x on t is 'two';
