create type "a.b" as ("x Y" integer);
