comment on table t is 'a'; comment on table t is null;
