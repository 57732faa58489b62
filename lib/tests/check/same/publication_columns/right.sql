create publication p for table t (b, a) where ((a > 1) and (b is not null));
