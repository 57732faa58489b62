comment on column c.a is 'two';
