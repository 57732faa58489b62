create server s foreign data wrapper w options (host 'b', port '5432');
