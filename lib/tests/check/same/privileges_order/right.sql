grant insert, select on t to pum_b; grant select, update on t to pum_a;
