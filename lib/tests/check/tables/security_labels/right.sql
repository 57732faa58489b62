insert into pg_seclabel select 't'::regclass, 'pg_class'::regclass, 0, 'pum', 'secret';
