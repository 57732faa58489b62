-- The check of a domain over the domain, so that VALUE has a type that both expressions can be parsed with.
create domain pg_temp.pum_spelling as :"schema".:"relation" check (:value);
select pg_get_expr(conbin, 0) from pg_constraint where contypid = 'pg_temp.pum_spelling'::regtype
