alter sequence s owner to pum_a;
