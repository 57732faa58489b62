create rule x as on delete to t do also insert into l values (1);
