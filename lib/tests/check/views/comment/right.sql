comment on view v is 'two';
