-- Reads the tables that may hold rows, and which of them are large.
-- Parameters: schema and name of the upgrades table; the bytes up to which a table is not large.
-- What an extension has made has no rows of its own in a dump, or those that it says. Other access methods than heap need
-- not know TABLESAMPLE.
with found as materialized (
    select c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.reltoastrelid,
        c.relkind = 'r' and a.amname = 'heap' and (n.nspname, c.relname) <> ($1::text, $2::text)
            and not exists (
                select from pg_depend d
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
            ) as may_be_sampled
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_am a on a.oid = c.relam
    where c.relkind in ('r', 'p') and c.relpersistence <> 't'
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
)
select f.oid::text as table,
    case when relispartition then pg_partition_root(f.oid)::oid else f.oid end::text as root,
    nspname::text as schema,
    relname::text as name,
    case relkind when 'p' then '' else 'only' end as only,
    -- To ask for the size of a table takes a lock on it.
    case when may_be_sampled and columns.loaded is not null then
        pg_relation_size(f.oid) + coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) > $3::int8
    else false end::text as large,
    case when may_be_sampled then pg_relation_size(f.oid) / current_setting('block_size')::int8 else 0 end::text as pages,
    columns.every,
    columns.loaded
from found f
cross join lateral (
    select string_agg(quote_ident(attname), ', ' order by attnum) as every,
        string_agg(quote_ident(attname), ', ' order by attnum) filter (where attgenerated = '') as loaded
    from pg_attribute
    where attrelid = f.oid and attnum > 0 and not attisdropped
) columns
order by f.oid
