alter schema public owner to pum_a;
