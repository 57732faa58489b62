-- Tables, and what could be taken for one, by name. What is of an extension, or a partition whose rows are those of its
-- parent too, is a part.
select
    n.nspname as schema,
    c.relname as name,
    c.oid::text as oid,
    c.relkind::text as kind,
    (x.objid is not null or c.relispartition)::text as is_part
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_depend x
    on x.classid = 'pg_class'::regclass and x.objid = c.oid and x.objsubid = 0 and x.deptype = 'e'
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and c.relpersistence <> 't'
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
order by n.nspname, c.relname
