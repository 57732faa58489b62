update pg_trigger set tgenabled = 'R' where tgisinternal;
