comment on column v.a is E'one\nb two';
