alter type c owner to pum_a;
