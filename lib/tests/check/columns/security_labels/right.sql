insert into pg_seclabel select 't'::regclass, 'pg_class'::regclass, 2, 'pum', 'secret';
