-- The defaults among the arguments.
create procedure pg_temp.pum_spelling(:value) language sql as '';
select pg_get_function_arguments(oid) from pg_proc
where proname = 'pum_spelling' and pronamespace = pg_my_temp_schema()
