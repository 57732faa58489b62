create type "a.b" as ("x y" integer);
