create table p partition of t for values from (0) to (20);
