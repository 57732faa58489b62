create operator family c using btree;
create operator family c using hash;
