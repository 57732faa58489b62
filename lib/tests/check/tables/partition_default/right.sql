create table p partition of t default;
