alter table s.pipe add constraint pipe_one exclude using btree (id with =);
