grant select on t to pum_a with grant option;
set role pum_a; grant select on t to pum_b; reset role;
