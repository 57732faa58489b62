comment on table t is 'two';
