grant select, insert on t to pum_a with grant option;
