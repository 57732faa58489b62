alter type r owner to pum_a;
