create rule x as on insert to v do instead insert into t select new.b where new.b in ('a', 'b');
