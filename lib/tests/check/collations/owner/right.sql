alter collation c owner to pum_b;
