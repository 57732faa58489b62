create subscription s connection 'host=h dbname=d' publication p, q with (connect = false);
