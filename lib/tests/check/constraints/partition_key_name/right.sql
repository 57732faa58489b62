create table t partition of p for values in (1);
alter index t_pkey rename to t_a_key;
