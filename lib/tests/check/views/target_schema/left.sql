create view v as select x from a.t;
