alter view t owner to pum_a;
