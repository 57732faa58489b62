-- Extended statistics.
select
    n.nspname as schema,
    s.stxname as name,
    -- table: what they are about
    s.stxrelid::regclass as table,
    -- owner_table: the table, where it is in the schema of the statistics
    case when c.relnamespace = s.stxnamespace then c.relname end as owner_table,
    -- kinds: ndistinct, dependencies, mcv
    concat_ws(', ', case when 'd' = any (s.stxkind) then 'ndistinct' end,
        case when 'f' = any (s.stxkind) then 'dependencies' end,
        case when 'm' = any (s.stxkind) then 'mcv' end) as kinds,
    -- columns: sorted
    (
        select string_agg(quote_ident(a.attname), ', ' order by a.attname collate "C")
        from pg_attribute a where a.attrelid = s.stxrelid and a.attnum = any (s.stxkeys)
    ) as columns,
    -- expressions: in their order (PostgreSQL 14)
    pg_get_expr(s.stxexprs, s.stxrelid) as expressions,
    -- target: the statistics target where it is set (PostgreSQL 13)
    case when s.stxstattarget >= 0 then s.stxstattarget end as target,
    -- owner: the owner
    pg_get_userbyid(s.stxowner) as owner,
    'pg_statistic_ext'::regclass::oid || ' ' || s.oid || ' 0' as address
-- A column that an older server lacks falls through to the row of the same name outside.
from (select null::int as stxstattarget, null::pg_node_tree as stxexprs) as older
cross join lateral (
    select oid, stxname, stxnamespace, stxrelid, stxowner, stxkind, stxkeys, stxexprs, stxstattarget
    from pg_statistic_ext
) s
join pg_namespace n on n.oid = s.stxnamespace
join pg_class c on c.oid = s.stxrelid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and s.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_statistic_ext'::regclass and deptype = 'e'
    )
    -- The statistics of an extension's table are no members themselves.
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
