alter operator family f using btree add operator 1 < (integer, bigint);
