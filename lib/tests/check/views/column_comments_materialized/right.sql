comment on column m.a is 'two';
