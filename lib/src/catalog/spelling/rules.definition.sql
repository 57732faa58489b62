-- The rule on a table with the same columns.
create temporary table pum_spelling (like :"schema".:"relation");
create rule pum_spelling as on :event to pg_temp.pum_spelling :value;
select pg_get_ruledef(oid) from pg_rewrite where ev_class = 'pg_temp.pum_spelling'::regclass
