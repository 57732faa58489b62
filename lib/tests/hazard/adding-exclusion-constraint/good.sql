create table s.booking (id int, constraint booking_one exclude using btree (id with =));
