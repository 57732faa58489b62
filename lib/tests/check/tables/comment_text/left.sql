comment on table t is 'what it is';
