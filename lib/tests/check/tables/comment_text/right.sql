comment on table t is E'what\nit was';
