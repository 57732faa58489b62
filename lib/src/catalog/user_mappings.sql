-- User mappings, named `server: role`.
select
    quote_ident(m.srvname) || ': ' || case m.umuser when 0 then 'public' else quote_ident(m.usename) end as name,
    -- options: sorted, a line each. The values of passwords, keys and the like are never shown, and so not compared:
    -- `(hidden)` says that there is one. `(not readable)` stands for what the role that reads may not see
    case when m.umoptions is not null then (
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
