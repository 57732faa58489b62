create server s foreign data wrapper w options (host 'a', sslpassword 'two', dsn 'Server=x;Pwd=two');
create user mapping for pum_a server s options ("user" 'a', password 'two');
create subscription s connection 'dbname=d host=h password=two user=''u''' publication p with (connect = false);
create subscription s2 connection 'postgresql://u:two@h/d?password=two' publication p with (connect = false);
