alter type e owner to pum_a;
