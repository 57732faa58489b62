create subscription s connection 'host=h dbname=d' publication q, p with (connect = false);
