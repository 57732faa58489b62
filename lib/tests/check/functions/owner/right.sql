alter function f() owner to pum_a;
