create subscription s connection 'postgresql://who:geheim@b:5432/d?application_name=x' publication p with (connect = false);
