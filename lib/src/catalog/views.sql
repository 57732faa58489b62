-- Views and materialized views.
select
    n.nspname as schema,
    c.relname as name,
    'pg_class'::regclass::oid || ' ' || c.oid || ' 0' as address,
    -- kind: view, materialized view
    case c.relkind when 'v' then 'view' else 'materialized view' end as kind,
    -- PostgreSQL ends the text with a semicolon.
    -- definition: the `SELECT`; when only its columns stand in another order, that is told and no difference
    btrim(pg_get_viewdef(c.oid), E' \n;') as definition,
    -- options: `security_barrier`, `security_invoker`, `check_option`, storage parameters, sorted
    case when c.reloptions is not null
        then array_to_string(array(select unnest(c.reloptions) order by 1), ', ') end as options,
    -- column_defaults: of a view's columns
    case when c.relhasrules then (
        select string_agg(quote_ident(a.attname) || ' ' || pg_get_expr(d.adbin, 0), ', ' order by a.attname)
        from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where d.adrelid = c.oid
    ) end as column_defaults,
    -- column_settings: storage, compression, statistics and options of a materialized view's columns
    case when c.relkind = 'm' then (
        select string_agg(concat_ws(' ', quote_ident(a.attname),
            case when a.attstorage <> t.typstorage then case a.attstorage when 'p' then 'storage plain'
                when 'e' then 'storage external' when 'm' then 'storage main' else 'storage extended' end end,
            case a.attcompression when 'p' then 'compression pglz' when 'l' then 'compression lz4' end,
            case when a.attstattarget >= 0 then 'statistics ' || a.attstattarget end,
            '(' || ao.options || ')'
            ), ', ' order by a.attname)
        from (select ''::"char" as attcompression) as older
        cross join lateral (
            select attrelid, attnum, attname, atttypid, attstorage, attcompression, attstattarget, attoptions
            from pg_attribute where attnum > 0 and not attisdropped
        ) a
        join pg_type t on t.oid = a.atttypid
        -- pg_attver is no option, see columns.sql
        cross join lateral (
            select string_agg(o, ', ' order by o) as options from unnest(a.attoptions) o where o not like 'pg\_attver=%'
        ) ao
        where a.attrelid = c.oid
            and (a.attstorage <> t.typstorage or a.attcompression <> '' or a.attstattarget >= 0
                or ao.options is not null)
    ) end as column_settings,
    -- populated: whether a materialized view was ever filled
    case when c.relkind = 'm' then case when c.relispopulated then 'yes' else 'no' end end as populated,
    -- access_method: of a materialized view
    am.amname as access_method,
    -- toast_options: of a materialized view, sorted
    case when toast.reloptions is not null
        then array_to_string(array(select unnest(toast.reloptions) order by 1), ', ') end as toast_options,
    -- cluster_index: of a materialized view
    clustered.relname as cluster_index
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am am on am.oid = c.relam
left join pg_class toast on toast.oid = c.reltoastrelid
left join pg_index ci on ci.indrelid = c.oid and ci.indisclustered
left join pg_class clustered on clustered.oid = ci.indexrelid
where c.relkind in ('v', 'm')
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
