create table t (a int, b text);
create policy p on t;
