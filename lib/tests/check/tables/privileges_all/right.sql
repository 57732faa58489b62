grant select, insert, update, delete on t to pum_a;
