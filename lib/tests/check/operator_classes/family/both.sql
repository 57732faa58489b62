create operator family f using btree;
create operator family g using btree;
