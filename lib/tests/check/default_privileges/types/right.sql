alter default privileges revoke usage on types from public;
alter default privileges grant usage on types to pum_a;
