-- Foreign servers.
select
    s.srvname as name,
    -- wrapper: its foreign-data wrapper
    w.fdwname as wrapper,
    -- type: the text of `TYPE`
    s.srvtype as type,
    -- version: the text of `VERSION`
    s.srvversion as version,
    -- options: sorted. The values of passwords, keys and the like are never shown, and so not compared: `(hidden)` says
    -- that there is one
    case when s.srvoptions is not null then (
        select string_agg(o.option_name || '=' || case
            when o.option_name ~* 'pass|pwd|secret|token|key|credential|private|authorization'
                or o.option_value ~* '(pass|pwd|secret|token|key)[a-z_]*\s*[=:]|://[^/@]*:[^/@]*@'
            then '(hidden)' else o.option_value end, ', ' order by o.option_name collate "C")
        from pg_options_to_table(s.srvoptions) o
    ) end as options,
    -- owner: the owner
    pg_get_userbyid(s.srvowner) as owner,
    'pg_foreign_server'::regclass::oid || ' ' || s.oid || ' 0' as address
from pg_foreign_server s
join pg_foreign_data_wrapper w on w.oid = s.srvfdw
where s.oid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_foreign_server'::regclass and deptype = 'e'
)
