-- A view with the text.
create temporary view pum_spelling as :value;
select pg_get_viewdef('pg_temp.pum_spelling'::regclass)
