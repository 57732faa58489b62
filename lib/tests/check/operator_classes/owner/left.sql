alter operator class c using btree owner to pum_a;
