create server s foreign data wrapper w options (host 'a', port '1');
create user mapping for public server s options ("user" 'a', password 'b');
