create subscription s connection 'postgresql://a/d' publication p with (connect = false);
