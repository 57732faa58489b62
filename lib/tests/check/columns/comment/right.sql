comment on column t.a is 'two';
