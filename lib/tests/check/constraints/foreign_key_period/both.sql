create table r (id int4range, p tsrange, constraint r_key primary key (id, p without overlaps));
create table t (a int4range, p tsrange);
create table s (id int4range, p tsrange, unique (id, p));
