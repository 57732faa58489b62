alter table t alter b set compression pglz;
