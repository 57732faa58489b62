-- Tables of publications, named by the publication. Those that a publication has by their schema are not listed.
select
    n.nspname as schema,
    c.relname as relation,
    p.pubname as name,
    -- columns: the list of columns, sorted (PostgreSQL 15)
    case when r.prattrs is not null then (
        select string_agg(quote_ident(a.attname), ', ' order by a.attname collate "C")
        from pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)
    ) end as columns,
    -- row_filter: the condition of `WHERE` (PostgreSQL 15)
    pg_get_expr(r.prqual, r.prrelid) as row_filter
-- A column that an older server lacks falls through to the row of the same name outside.
from (select null::pg_node_tree as prqual, null::int2vector as prattrs) as older
cross join lateral (select prpubid, prrelid, prqual, prattrs from pg_publication_rel) r
join pg_publication p on p.oid = r.prpubid
join pg_class c on c.oid = r.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.oid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_publication'::regclass and deptype = 'e'
)
