-- A condition over the row before and after.
create temporary view pum_spelling as
    select 1 from only :"schema".:"relation" old cross join only :"schema".:"relation" new where :value;
select pg_get_viewdef('pg_temp.pum_spelling'::regclass)
