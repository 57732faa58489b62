-- Expressions over the columns of the table.
create temporary view pum_spelling as select 1 from only :"schema".:"relation" where row(:value) is null;
select pg_get_viewdef('pg_temp.pum_spelling'::regclass)
