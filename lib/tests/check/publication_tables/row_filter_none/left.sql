create publication p for table t where (a > 1);
