comment on table t is 'one';
