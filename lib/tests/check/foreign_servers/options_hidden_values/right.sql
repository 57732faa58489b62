create server s foreign data wrapper w options (url 'http://h:80/x');
