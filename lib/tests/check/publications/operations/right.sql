create publication p with (publish = 'insert, update');
