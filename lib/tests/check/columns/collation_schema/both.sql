create schema a;
create schema b;
create collation a.c (locale = 'C');
create collation b.c (locale = 'C');
