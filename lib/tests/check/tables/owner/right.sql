alter table t owner to pum_a;
