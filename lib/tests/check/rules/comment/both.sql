create table t (a int, b text);
create rule x as on delete to t do instead nothing;
