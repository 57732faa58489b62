create table t (a int, b text);
create table u (id int, who name);
