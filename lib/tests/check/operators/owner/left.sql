alter operator === (integer, integer) owner to pum_a;
