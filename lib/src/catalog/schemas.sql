-- Schemas, also empty ones.
select
    n.nspname as name,
    -- owner: the owner. None for the schema `public` as a new database has it, since PostgreSQL 15 or before
    case when n.nspname = 'public' and (
        pg_get_userbyid(n.nspowner) = 'pg_database_owner'
        -- A database that came from before 15 keeps the owner of that time and lets everybody create.
        or n.nspowner = 10 and (
            current_setting('server_version_num')::int < 150000
            or exists (select from aclexplode(n.nspacl) a where a.grantee = 0 and a.privilege_type = 'CREATE')
        )
    ) then null else pg_get_userbyid(n.nspowner) end as owner,
    'pg_namespace'::regclass::oid || ' ' || n.oid || ' 0' as address
from pg_namespace n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and n.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_namespace'::regclass and deptype = 'e'
    )
