create subscription s connection 'host=a port=1 user=u dbname=d' publication p with (connect = false);
