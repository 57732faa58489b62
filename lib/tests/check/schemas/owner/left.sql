alter schema app owner to pum_a;
