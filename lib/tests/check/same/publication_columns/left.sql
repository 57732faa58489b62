create publication p for table t (a, b) where (a > 1 and b is not null);
