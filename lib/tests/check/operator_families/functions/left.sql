alter operator family f using btree add function 1 (integer, bigint) btint48cmp(integer, bigint);
