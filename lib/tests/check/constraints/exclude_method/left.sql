alter table t add constraint k exclude using btree (a with =);
