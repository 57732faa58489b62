create operator family c using btree;
