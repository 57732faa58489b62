alter type b owner to pum_b;
