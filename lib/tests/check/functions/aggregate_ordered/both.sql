create function h(float8, float8, int) returns float8 language sql as 'select $1';
create function h2(float8, int) returns float8 language sql as 'select $1';
