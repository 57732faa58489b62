create table "T" ("A" int, "b ""c" int);
