comment on column c.a is 'one';
