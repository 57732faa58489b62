revoke select on information_schema.tables from public;
