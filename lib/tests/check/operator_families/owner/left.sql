alter operator family f using btree owner to pum_a;
