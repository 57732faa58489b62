-- Default privileges (`ALTER DEFAULT PRIVILEGES`), named by the role that creates and what it creates; those of one
-- schema in that schema.
select
    n.nspname as schema,
    quote_ident(pg_get_userbyid(d.defaclrole)) || ': ' || case d.defaclobjtype when 'r' then 'tables'
        when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas'
        else 'large objects' end as name,
    -- privileges: as those of an object; those of a schema are granted besides those of all schemas
    coalesce(acl.text, 'none') as privileges
from pg_default_acl d
left join pg_namespace n on n.oid = d.defaclnamespace
cross join lateral (
    select string_agg(line, E'\n' order by line collate "C") as text
    from (
        select case grantee when d.defaclrole then '(owner)' when 0 then 'public'
                else quote_ident(pg_get_userbyid(grantee)) end || ': '
            || case when count(*) > 1 and count(*) = (
                    -- The owner of a new object has every privilege there is.
                    select count(*) from aclexplode(
                        acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole)
                    ) a where a.grantee <> 0
                ) then
                    case when bool_and(grantable) then 'ALL*' else concat_ws(', ', 'ALL',
                        string_agg(privilege_type || '*', ', ' order by privilege_type collate "C")
                            filter (where grantable)) end
                else string_agg(privilege_type || case when grantable then '*' else '' end, ', '
                    order by privilege_type collate "C")
            end as line
        from (
            select a.grantee, a.privilege_type, bool_or(a.is_grantable and a.grantee <> d.defaclrole) as grantable
            from aclexplode(d.defaclacl) a
            group by a.grantee, a.privilege_type
        ) held
        group by grantee
    ) lines
) acl
