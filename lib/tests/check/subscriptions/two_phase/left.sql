create subscription s connection 'host=h dbname=d' publication p with (connect = false, two_phase = true);
