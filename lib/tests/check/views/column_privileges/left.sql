grant select (b) on v to pum_a;
