-- Expressions over the columns of the table.
create temporary table pum_spelling (like :"schema".:"name") partition by :value;
select pg_get_partkeydef('pg_temp.pum_spelling'::regclass)
