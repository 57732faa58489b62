alter conversion c owner to pum_a;
