set role pum_a;
grant select (a) on v to pum_b;
reset role;
