create table t (a int, b text);
create index i on t using btree (a int4_ops asc nulls last, b text_ops desc nulls first);
