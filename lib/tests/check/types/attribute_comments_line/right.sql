comment on column t.a is 'one';
comment on column t.b is 'two';
