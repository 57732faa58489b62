create subscription s connection 'host=/nowhere' publication p with (connect = false);
