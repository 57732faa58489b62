create server s foreign data wrapper w options (host 'a', sslpassword 'one', dsn 'Server=x;Pwd=one');
create user mapping for pum_a server s options ("user" 'a', password 'one');
create subscription s connection 'host=h user=u password=''one host=two'' dbname=d' publication p with (connect = false);
create subscription s2 connection 'postgresql://u:one@h/d?password=one' publication p with (connect = false);
