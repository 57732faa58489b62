-- The body, as that of a procedure, which needs no result.
create procedure pg_temp.pum_spelling(:arguments) language sql :value;
select pg_get_functiondef(oid) from pg_proc
where proname = 'pum_spelling' and pronamespace = pg_my_temp_schema()
