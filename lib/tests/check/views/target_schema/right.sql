create view v as select x from b.t;
