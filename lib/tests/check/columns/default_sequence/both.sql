create schema a;
create schema b;
create sequence a.s;
create sequence b.s;
