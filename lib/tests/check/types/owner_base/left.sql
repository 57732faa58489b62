alter type b owner to pum_a;
