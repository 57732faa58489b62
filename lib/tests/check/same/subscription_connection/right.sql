create subscription s connection 'postgresql://u@a:1/d' publication p with (connect = false);
