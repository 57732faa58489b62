create subscription s connection 'host=a dbname=d' publication p with (connect = false);
