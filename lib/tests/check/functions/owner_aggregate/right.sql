alter aggregate g(int) owner to pum_a;
