-- Publications. Their tables are a kind of their own.
select
    p.pubname as name,
    -- all_tables: whether it publishes all tables (`FOR ALL TABLES`)
    case when p.puballtables then 'yes' else 'no' end as all_tables,
    -- schemas: those of `FOR TABLES IN SCHEMA` (PostgreSQL 15), sorted
    (
        -- Older servers lack the catalog, not the dependencies.
        select string_agg(quote_ident(n.nspname), ', ' order by n.nspname collate "C")
        from pg_depend whole
        join pg_depend part on part.classid = whole.classid and part.objid = whole.objid
            and part.refclassid = 'pg_namespace'::regclass
        join pg_namespace n on n.oid = part.refobjid
        where whole.classid = to_regclass('pg_publication_namespace')
            and whole.refclassid = 'pg_publication'::regclass and whole.refobjid = p.oid
    ) as schemas,
    -- operations: what it publishes of insert, update, delete, truncate
    concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end) as operations,
    -- via_root: whether partitions are published as their partitioned table (PostgreSQL 13)
    case to_jsonb(p) ->> 'pubviaroot' when 'true' then 'yes' else 'no' end as via_root,
    -- generated_columns: which are published without being listed: none, stored (PostgreSQL 18)
    case to_jsonb(p) ->> 'pubgencols' when 's' then 'stored' else 'none' end as generated_columns,
    -- owner: the owner
    pg_get_userbyid(p.pubowner) as owner,
    'pg_publication'::regclass::oid || ' ' || p.oid || ' 0' as address
from pg_publication p
where p.oid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_publication'::regclass and deptype = 'e'
)
