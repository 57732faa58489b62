-- User mappings, named `server: role`.
select
    quote_ident(m.srvname) || ': ' || case m.umuser when 0 then 'public' else quote_ident(m.usename) end as name,
    -- options: sorted. The values of passwords, keys and the like are never shown, and so not compared: `(hidden)` says
    -- that there is one. `(not readable)` stands for what the role that reads may not see
    case when m.umoptions is not null then (
        select string_agg(o.option_name || '=' || case
            when o.option_name ~* 'pass|pwd|secret|token|key|credential|private|authorization'
                or o.option_value ~* '(pass|pwd|secret|token|key)[a-z_]*\s*[=:]|://[^/@]*:[^/@]*@'
            then '(hidden)' else o.option_value end, ', ' order by o.option_name collate "C")
        from pg_options_to_table(m.umoptions) o
    ) when not (
        (select rolsuper from pg_roles where rolname = current_user)
        or pg_has_role(s.srvowner, 'usage') and m.umuser = 0
        or (pg_has_role(s.srvowner, 'usage') or has_server_privilege(s.oid, 'usage')) and m.usename = current_user
    ) then '(not readable)' end as options
-- The catalog behind this view is for superusers only.
from pg_user_mappings m
join pg_foreign_server s on s.oid = m.srvid
where m.srvid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_foreign_server'::regclass and deptype = 'e'
)
