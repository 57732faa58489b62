grant select (a, b) on v to pum_a; grant update (b) on v to public;
