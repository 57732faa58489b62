create server s foreign data wrapper w options (host 'a', sslpassword 'geheim');
