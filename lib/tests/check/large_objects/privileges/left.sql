grant select on large object 4711 to pum_a;
