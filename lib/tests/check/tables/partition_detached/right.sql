alter table t detach partition p;
