comment on large object 4711 is 'a plan';
