create view v as with recursive r (n) as (select 1 union all select r.n + 1 from r, t where r.n < 10) select r.n from r, t;
