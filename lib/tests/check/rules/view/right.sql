create rule x as on insert to v do instead insert into t values (new.a, null);
