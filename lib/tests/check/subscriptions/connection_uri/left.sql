create subscription s connection 'postgresql://who:geheim@a:5432/d?application_name=x' publication p with (connect = false);
