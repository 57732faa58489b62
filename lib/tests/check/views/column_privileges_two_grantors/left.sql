set role pum_a;
grant select (a) on v to pum_b;
reset role;
grant select (a) on v to pum_b with grant option;
