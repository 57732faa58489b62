alter default privileges grant select on tables to pum_a;
alter default privileges revoke select on tables from pum_a;
alter default privileges revoke execute on functions from public;
alter default privileges grant execute on functions to public;
