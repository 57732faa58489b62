create server s foreign data wrapper w options (auth 'geheim', conn 'postgres://u:ge/heim@h/db', program 'curl -u me:geheim h', sas 'sig=geheim', sid 'geheim', url 'http://h:80/x');
