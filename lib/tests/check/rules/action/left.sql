create rule x as on insert to t do also insert into l values (new.a);
