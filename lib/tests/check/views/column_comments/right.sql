comment on column v.a is E'two\nlines';
