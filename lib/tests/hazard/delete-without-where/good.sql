delete from s.pipe where id = 1;
with gone as (delete from s.zone where id = 1 returning id) select count(*) from gone;
