create user mapping for pum_a server s options ("user" 'a', password 'geheim');
