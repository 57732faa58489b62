grant select on t to pum_a; grant insert on t to pum_b; grant update on t to pum_a; grant select on t to pum_b;
