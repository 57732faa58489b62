create user mapping for public server s;
