-- Views and materialized views.
select
    n.nspname as schema,
    c.relname as name,
    'pg_class'::regclass::oid || ' ' || c.oid || ' 0' as address,
    -- owner: the role it belongs to, with whose privileges a view reads unless it is `security_invoker`
    pg_get_userbyid(c.relowner) as owner,
    -- kind: view, materialized view
    case c.relkind when 'v' then 'view' else 'materialized view' end as kind,
    -- PostgreSQL ends the text with a semicolon.
    -- definition: the `SELECT`; when only its columns stand in another order, that is told and no difference
    btrim(pg_get_viewdef(c.oid), E' \n;') as definition,
    -- options: `security_barrier`, `security_invoker`, `check_option`, storage parameters, sorted
    case when c.reloptions is not null
        then array_to_string(array(select o from unnest(c.reloptions) o order by o collate "C"), ', ') end as options,
    -- column_defaults: of a view's columns
    defaults.texts as column_defaults,
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
            select string_agg(o, ', ' order by o collate "C") as options from unnest(a.attoptions) o where o not like 'pg\_attver=%'
        ) ao
        where a.attrelid = c.oid
            and (a.attstorage <> t.typstorage or a.attcompression <> '' or a.attstattarget >= 0
                or ao.options is not null)
    ) end as column_settings,
    -- column_comments: the comments on its columns
    comments.texts as column_comments,
    -- column_privileges: what is granted on single columns, `*` with grant option
    (
        select string_agg(quote_ident(attname) || ' ' || grantee || ': ' || privileges, E'\n' order by attname, grantee collate "C")
        from (
            select a.attname,
                case acl.grantee when c.relowner then '(owner)' when 0 then 'public'
                    else quote_ident(pg_get_userbyid(acl.grantee)) end as grantee,
                string_agg(acl.privilege_type || case when acl.grantable then '*' else '' end, ', '
                    order by acl.privilege_type collate "C") as privileges
            from pg_attribute a
            -- Whoever granted it.
            cross join lateral (
                select grantee, privilege_type, bool_or(is_grantable) as grantable
                from aclexplode(a.attacl) group by 1, 2
            ) acl
            where a.attrelid = c.oid and a.attacl is not null
            group by 1, 2
        ) grantees
    ) as column_privileges,
    -- column_security_labels: the security labels of its columns
    labels.texts as column_security_labels,
    -- populated: whether a materialized view was ever filled
    case when c.relkind = 'm' then case when c.relispopulated then 'yes' else 'no' end end as populated,
    -- access_method: of a materialized view
    am.amname as access_method,
    -- tablespace: of a materialized view, where it is not the database's
    ts.spcname as tablespace,
    -- toast_options: of a materialized view, sorted
    case when c.reltoastrelid <> 0 then (
        select string_agg(option, ', ' order by option collate "C") from pg_class toast cross join unnest(toast.reloptions) option
        where toast.oid = c.reltoastrelid
    ) end as toast_options,
    -- replica_identity: of a materialized view: default, full, nothing, or the index
    case when c.relkind = 'm' then case c.relreplident
        when 'd' then 'default' when 'f' then 'full' when 'n' then 'nothing'
        else coalesce('index ' || marked.replident, 'nothing') end end as replica_identity,
    -- cluster_index: of a materialized view
    marked.clustered as cluster_index,
    -- depends_on_extension: the extensions with which a materialized view goes, sorted
    bound.extensions as depends_on_extension
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am am on am.oid = c.relam
left join pg_tablespace ts on ts.oid = c.reltablespace
left join (
    select i.indrelid, max(ic.relname) filter (where i.indisreplident) as replident,
        max(ic.relname) filter (where i.indisclustered) as clustered
    from pg_index i join pg_class ic on ic.oid = i.indexrelid
    where i.indisreplident or i.indisclustered
    group by 1
) marked on marked.indrelid = c.oid
left join (
    select d.adrelid, string_agg(quote_ident(a.attname) || ' ' || pg_get_expr(d.adbin, 0), ', ' order by a.attname) as texts
    from pg_attrdef d
    join pg_class v on v.oid = d.adrelid and v.relkind = 'v'
    join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    group by 1
) defaults on defaults.adrelid = c.oid
left join (
    select d.objoid, string_agg(quote_ident(a.attname) || ' '
        || case when d.description ~ E'[\n\r]|^''' then quote_literal(d.description)
            else d.description end, E'\n' order by a.attname) as texts
    from pg_description d
    join pg_class v on v.oid = d.objoid and v.relkind in ('v', 'm')
    join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid
    where d.classoid = 'pg_class'::regclass and d.objsubid > 0
    group by 1
) comments on comments.objoid = c.oid
left join (
    select l.objoid, string_agg(quote_ident(a.attname) || ' ' || l.provider || ': ' || l.label, E'\n'
        order by a.attname, l.provider) as texts
    from pg_seclabel l
    join pg_class v on v.oid = l.objoid and v.relkind in ('v', 'm')
    join pg_attribute a on a.attrelid = l.objoid and a.attnum = l.objsubid
    where l.classoid = 'pg_class'::regclass and l.objsubid > 0
    group by 1
) labels on labels.objoid = c.oid
left join (
    select d.objid, string_agg(quote_ident(e.extname), ', ' order by e.extname) as extensions
    from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.refclassid = 'pg_extension'::regclass and d.classid = 'pg_class'::regclass and d.deptype = 'x'
    group by 1
) bound on bound.objid = c.oid
where c.relkind in ('v', 'm')
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
