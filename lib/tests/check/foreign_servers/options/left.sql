create server s foreign data wrapper w options (host 'a', port '5432');
