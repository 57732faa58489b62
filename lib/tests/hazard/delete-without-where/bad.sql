delete from s.pipe;
with gone as (delete from s.zone returning id) select count(*) from gone;
