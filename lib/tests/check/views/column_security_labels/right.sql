insert into pg_seclabel select 'v'::regclass, 'pg_class'::regclass, 1, 'pum', 'secret';
