alter table t add constraint k exclude using gist (int4range(b, a) with &&);
