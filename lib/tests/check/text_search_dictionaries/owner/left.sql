alter text search dictionary d owner to pum_a;
