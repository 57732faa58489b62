create schema a;
create schema b;
create type a.e as enum ('x');
create type b.e as enum ('x');
