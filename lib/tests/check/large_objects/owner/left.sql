alter large object 4711 owner to pum_a;
