create table "My ""Schema"."a.b " ("c d" int);
