-- How many objects there are of the kinds that no other query here reads, by schema where they have one. Members of
-- extensions and what comes with PostgreSQL is not counted.
with member as materialized (
    select classid, objid from pg_depend where refclassid = 'pg_extension'::regclass and deptype = 'e'
),
space as materialized (
    select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
),
-- Objects below this number come from initdb.
object (kind, class, oid, space) as (
    select 'schemas', 'pg_namespace'::regclass, oid, oid from space where nspname <> 'public'
    union all select 'extensions', 'pg_extension'::regclass, oid, null from pg_extension where extname <> 'plpgsql'
    union all select 'policies', 'pg_policy'::regclass, p.oid, c.relnamespace
        from pg_policy p join pg_class c on c.oid = p.polrelid
    union all select 'extended statistics', 'pg_statistic_ext'::regclass, oid, stxnamespace from pg_statistic_ext
    union all select 'event triggers', 'pg_event_trigger'::regclass, oid, null from pg_event_trigger
    union all select 'foreign data wrappers', 'pg_foreign_data_wrapper'::regclass, oid, null
        from pg_foreign_data_wrapper
    union all select 'foreign servers', 'pg_foreign_server'::regclass, oid, null from pg_foreign_server
    union all select 'user mappings', 'pg_user_mapping'::regclass, umid, null from pg_user_mappings
    union all select 'publications', 'pg_publication'::regclass, oid, null from pg_publication
    union all select 'subscriptions', 'pg_subscription'::regclass, null, null from pg_subscription
        where subdbid = (select oid from pg_database where datname = current_database())
    union all select 'large objects', 'pg_largeobject_metadata'::regclass, oid, null from pg_largeobject_metadata
    union all select 'default privileges', 'pg_default_acl'::regclass, oid, nullif(defaclnamespace, 0)
        from pg_default_acl
)
select o.kind, s.nspname as schema, count(*) as count
from object o left join space s on s.oid = o.space
where (o.space is null or s.oid is not null)
    and not exists (select from member m where m.classid = o.class and m.objid = o.oid)
group by 1, 2
union all
-- Comments, security labels and privileges belong to other objects, whose schema is not looked up.
select 'comments', null, count(*)
from pg_description d
where d.objoid >= 16384 and not exists (select from member m where m.classid = d.classoid and m.objid = d.objoid)
having count(*) > 0
union all
select 'security labels', null, count(*) from pg_seclabel where objoid >= 16384 having count(*) > 0
union all
select 'objects with privileges', s.nspname, count(*)
from (
    select relnamespace as space, 'pg_class'::regclass as class, oid from pg_class where relacl is not null
    union all
    select relnamespace, 'pg_class'::regclass, c.oid
        from pg_attribute a join pg_class c on c.oid = a.attrelid where a.attacl is not null
    union all select pronamespace, 'pg_proc'::regclass, oid from pg_proc where proacl is not null
    union all select typnamespace, 'pg_type'::regclass, oid from pg_type where typacl is not null
    union all select oid, 'pg_namespace'::regclass, oid from pg_namespace where nspacl is not null and nspname <> 'public'
) acl
join space s on s.oid = acl.space
where not exists (select from member m where m.classid = acl.class and m.objid = acl.oid)
group by 2
