-- User mappings, named `server: role`.
select
    quote_ident(m.srvname) || ': ' || case m.umuser when 0 then 'public' else quote_ident(m.usename) end as name,
    -- options: sorted. The values of passwords, keys and the like are never shown, and so not compared: `(hidden)` says that
    -- there is one. Without the right to see them there are none
    case when m.umoptions is not null then (
        select string_agg(o.option_name || '=' || case
            when o.option_name ~* 'pass|pwd|secret|token|key|credential|private|authorization'
                or o.option_value ~* '(pass|pwd|secret|token|key)[a-z_]*\s*[=:]|://[^/@]*:[^/@]*@'
            then '(hidden)' else o.option_value end, ', ' order by o.option_name collate "C")
        from pg_options_to_table(m.umoptions) o
    ) end as options
-- The catalog behind this view is for superusers only.
from pg_user_mappings m
where m.srvid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_foreign_server'::regclass and deptype = 'e'
)
