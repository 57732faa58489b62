alter text search configuration c owner to pum_a;
