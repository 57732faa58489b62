create publication p for table u with (publish = 'insert, update');
alter publication p add table t;
