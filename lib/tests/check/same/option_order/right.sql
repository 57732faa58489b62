create server s foreign data wrapper w options (port '1', host 'a');
create user mapping for public server s options (password 'b', "user" 'a');
