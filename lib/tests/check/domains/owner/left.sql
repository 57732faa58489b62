alter domain d owner to pum_a;
