-- A default names no column.
create temporary view pum_spelling as select 1 where row(:value) is null;
select pg_get_viewdef('pg_temp.pum_spelling'::regclass)
