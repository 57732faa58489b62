alter table r disable trigger all;
