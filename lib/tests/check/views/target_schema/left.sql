create view v as select t.x from a.t, a.t u;
