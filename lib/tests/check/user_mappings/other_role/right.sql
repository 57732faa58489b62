create user mapping for pum_b server s;
