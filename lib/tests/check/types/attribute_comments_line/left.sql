comment on column t.a is E'one\nb: two';
