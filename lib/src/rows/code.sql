-- Functions of others that a reader of these tables would run: PostgreSQL computes what is constant in the expressions of
-- indexes, extended statistics and partition keys when it plans a query on their table, as the user who asks.
select distinct
    t.oid::text as oid,
    f.oid::regprocedure::text as function,
    r.rolname as owner
from unnest($1::oid[]) t (oid)
cross join lateral (select t.oid as relid union select p.relid from pg_partition_tree(t.oid) p) m
cross join lateral (
    select 'pg_class'::regclass::oid as classid, m.relid as objid
    union all
    select 'pg_class'::regclass::oid, i.indexrelid from pg_index i where i.indrelid = m.relid
    union all
    select 'pg_statistic_ext'::regclass::oid, s.oid from pg_statistic_ext s where s.stxrelid = m.relid
) x
join pg_depend d
    on d.classid = x.classid and d.objid = x.objid
    and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
join pg_proc f on f.oid = coalesce(o.oprcode::oid, d.refobjid)
join pg_roles r on r.oid = f.proowner
where not r.rolsuper and r.rolname <> current_user
order by 1, 2
