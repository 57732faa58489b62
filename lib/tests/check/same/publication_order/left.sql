create publication p for table t, u with (publish = 'update, insert');
