create view v as select t.x from b.t, a.t u;
