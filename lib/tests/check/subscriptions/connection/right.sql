create subscription s connection 'host=b dbname=d' publication p with (connect = false);
