-- Tables, plain, partitioned and foreign: what they are, apart from their columns.
select
    n.nspname as schema,
    c.relname as name,
    'pg_class'::regclass::oid || ' ' || c.oid || ' 0' as address,
    -- owner: the role it belongs to
    pg_get_userbyid(c.relowner) as owner,
    -- kind: table, partitioned table, foreign table
    case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' else 'foreign table' end as kind,
    -- persistence: permanent, unlogged
    case c.relpersistence when 'u' then 'unlogged' else 'permanent' end as persistence,
    -- of_type: the composite type of a typed table
    case when c.reloftype <> 0 then format_type(c.reloftype, null) end as of_type,
    -- inherits: the parents in their order; for a partition its partitioned table
    parents.names as inherits,
    -- partition_bound: `FOR VALUES ...` or `DEFAULT`
    case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end as partition_bound,
    -- partition_detached: `pending` where `DETACH CONCURRENTLY` was interrupted (PostgreSQL 14). `pg_dump` does not show it
    parents.detached as partition_detached,
    -- partition_key: strategy, columns and expressions of `PARTITION BY`
    case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
    -- access_method: such as `heap`; of a partitioned table the one that its partitions get (PostgreSQL 17)
    am.amname as access_method,
    -- tablespace: where it is not the database's
    ts.spcname as tablespace,
    -- options: storage parameters, sorted
    case when c.reloptions is not null
        then array_to_string(array(select o from unnest(c.reloptions) o order by o collate "C"), ', ') end as options,
    -- toast_options: storage parameters of the TOAST table, sorted
    case when toast.reloptions is not null
        then array_to_string(array(select o from unnest(toast.reloptions) o order by o collate "C"), ', ') end as toast_options,
    -- row_security: enabled or not
    case when c.relrowsecurity then 'enabled' else 'disabled' end as row_security,
    -- row_security_forced: whether it holds for the owner too
    case when c.relforcerowsecurity then 'yes' else 'no' end as row_security_forced,
    -- replica_identity: default, full, nothing, or the index
    case c.relreplident
        when 'd' then 'default' when 'f' then 'full' when 'n' then 'nothing'
        else coalesce('index ' || marked.replident, 'nothing') end as replica_identity,
    -- cluster_index: the index that `CLUSTER` uses
    marked.clustered as cluster_index,
    -- server: of a foreign table
    server.srvname as server,
    -- foreign_options: of a foreign table, sorted, a line each; of passwords, keys and the like only `(hidden)`:
    -- neither shown nor compared
    case when ft.ftoptions is not null then (
        select string_agg(o.option_name || '=' || case
            when o.option_value ~* '^(true|false|on|off|yes|no)$' then o.option_value
            when o.option_name ~* 'pass(?!ive|thr|word_enc)|pwd|secret|token|credential|private|auth(?!or(s|$|_))|jwt|bearer'
                    '|cookie|signature|(?<!primary_)key(?!space|word|_?col)|(^|[^a-z])(sig|sas|sid|pat)([^a-z]|$)'
                or o.option_value ~* '(pass|pwd|secret|token|credential|key|auth|signature|sas|sig)[a-z_]*["'']?\s*[=:]'
                    '|://[^@]*:[^@]*@|^[^\s/@]+/[^\s/@]+@|(^|\s)(-u|--user|--pass)|(basic|bearer)\s+\S|-----begin'
                then '(hidden)'
            when o.option_value ~ E'[\n\r]|^''' then quote_literal(o.option_value)
            else o.option_value
        end, E'\n' order by o.option_name collate "C")
        from pg_options_to_table(ft.ftoptions) o
    ) end as foreign_options
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am am on am.oid = c.relam
left join pg_tablespace ts on ts.oid = c.reltablespace
left join pg_class toast on toast.oid = c.reltoastrelid
left join (
    select h.inhrelid, string_agg(h.inhparent::regclass::text, ', ' order by h.inhseqno) as names,
        max(case when h.inhdetachpending then 'pending' end) as detached
    from (select false as inhdetachpending) as older
    cross join lateral (select inhrelid, inhparent, inhseqno, inhdetachpending from pg_inherits) h
    join pg_class child on child.oid = h.inhrelid
    where child.relkind in ('r', 'p', 'f')
    group by 1
) parents on parents.inhrelid = c.oid
left join (
    select i.indrelid, max(ic.relname) filter (where i.indisreplident) as replident,
        max(ic.relname) filter (where i.indisclustered) as clustered
    from pg_index i join pg_class ic on ic.oid = i.indexrelid
    where i.indisreplident or i.indisclustered
    group by 1
) marked on marked.indrelid = c.oid
left join pg_foreign_table ft on ft.ftrelid = c.oid
left join pg_foreign_server server on server.oid = ft.ftserver
where c.relkind in ('r', 'p', 'f')
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
