create user mapping for pum_a server s options ("user" 'b', password 'geheim');
