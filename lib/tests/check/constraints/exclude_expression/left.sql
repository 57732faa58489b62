alter table t add constraint k exclude using gist (int4range(a, b) with &&);
