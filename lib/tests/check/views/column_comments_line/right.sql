comment on column v.a is 'one';
comment on column v.b is 'two';
