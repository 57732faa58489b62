create user mapping for pum_a server s;
