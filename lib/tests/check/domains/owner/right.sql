alter domain d owner to pum_b;
