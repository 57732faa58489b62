-- Privileges by the address of what they are on, where they are not those that every new object has.
-- privileges: who may do what, a line for each role, sorted; `*` with grant option, `ALL` for every privilege that
-- there is for such an object when there are several, `(owner)` for the owner, `public` for everybody, `none` when
-- nobody may do anything. None where it is what PostgreSQL grants by itself, spelled out or not; for the schema `public`
-- what it has in a new database, since PostgreSQL 15 or before
with acl (class, oid, part, type, owner, acl, public) as materialized (
    select 'pg_class'::regclass::oid, oid, 0, (case relkind when 'S' then 's' else 'r' end)::"char", relowner, relacl,
        false
    from pg_class where relacl is not null and oid >= 16384
    union all
    select 'pg_class'::regclass, a.attrelid, a.attnum, 'c', c.relowner, a.attacl, false
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where a.attacl is not null and not a.attisdropped and a.attrelid >= 16384
    union all
    select 'pg_proc'::regclass, oid, 0, 'f', proowner, proacl, false
    from pg_proc where proacl is not null and oid >= 16384
    union all
    select 'pg_type'::regclass, oid, 0, 'T', typowner, typacl, false
    from pg_type where typacl is not null and oid >= 16384
    union all
    select 'pg_namespace'::regclass, oid, 0, 'n', nspowner, coalesce(nspacl, acldefault('n', nspowner)),
        nspname = 'public'
    from pg_namespace where nspname = 'public' or nspacl is not null and oid >= 16384
    union all
    select 'pg_language'::regclass, oid, 0, 'l', lanowner, lanacl, false
    from pg_language where lanacl is not null and oid >= 16384
    union all
    select 'pg_foreign_data_wrapper'::regclass, oid, 0, 'F', fdwowner, fdwacl, false
    from pg_foreign_data_wrapper where fdwacl is not null
    union all
    select 'pg_foreign_server'::regclass, oid, 0, 'S', srvowner, srvacl, false
    from pg_foreign_server where srvacl is not null
    union all
    -- As the dependencies have it.
    select 'pg_largeobject'::regclass, oid, 0, 'L', lomowner, lomacl, false
    from pg_largeobject_metadata where lomacl is not null
    union all
    select 'pg_database'::regclass, oid, 0, 'd', datdba, datacl, false
    from pg_database where datacl is not null and datname = current_database()
),
-- What a new object grants: everything to its owner, which tells how many privileges there are, and to everybody this.
built_in (type, count, privileges) as materialized (
    select type, count,
        concat_ws(E'\n', '(owner): ' || case count when 1 then owners else 'ALL' end, 'public: ' || everybody)
    from (
        select type, count(*) filter (where granted.grantee <> 0) as count,
            min(granted.privilege_type) filter (where granted.grantee <> 0) as owners,
            string_agg(granted.privilege_type, ', ' order by granted.privilege_type collate "C")
                filter (where granted.grantee = 0) as everybody
        from unnest('{r,s,f,T,n,l,F,S,L,d}'::"char"[]) type
        cross join lateral aclexplode(acldefault(type, 10)) granted
        group by type
    ) granted
    union all
    -- Nobody has privileges on a column of its own.
    values ('c'::"char", 4::bigint, 'none')
),
-- Thousands of objects share few lists.
list as materialized (
    select row_number() over () as number, type, owner, acl from (select distinct type, owner, acl from acl) list
),
-- Whoever granted it.
held as (
    select list.number, list.type, list.owner, granted.grantee, granted.privilege_type,
        bool_or(granted.is_grantable and granted.grantee <> list.owner) as grantable
    from list left join lateral aclexplode(list.acl) granted on true
    group by 1, 2, 3, 4, 5
),
line as (
    select held.number,
        case held.grantee when held.owner then '(owner)' when 0 then 'public'
            else quote_ident(pg_get_userbyid(held.grantee)) end || ': '
        || case
            when min(built_in.count) > 1 and count(*) = min(built_in.count) then
                case when bool_and(held.grantable) then 'ALL*' else concat_ws(', ', 'ALL',
                    string_agg(held.privilege_type || '*', ', ' order by held.privilege_type collate "C")
                        filter (where held.grantable)) end
            else string_agg(held.privilege_type || case when held.grantable then '*' else '' end, ', '
                order by held.privilege_type collate "C")
        end as text
    from held join built_in on built_in.type = held.type
    group by held.number, held.owner, held.grantee
),
written as (
    select number, coalesce(string_agg(text, E'\n' order by text collate "C"), 'none') as privileges
    from line
    group by number
)
select acl.class || ' ' || acl.oid || ' ' || acl.part as address, written.privileges
from acl
join list on list.type = acl.type and list.owner = acl.owner and list.acl = acl.acl
join written on written.number = list.number
join built_in on built_in.type = acl.type
where case when acl.public
    then not (
        written.privileges = E'(owner): ALL\npublic: USAGE'
            and (current_setting('server_version_num')::int >= 150000
                or pg_get_userbyid(acl.owner) = 'pg_database_owner')
        -- As it was before 15; a database that came from there keeps the owner of that time too.
        or written.privileges = E'(owner): ALL\npublic: ALL'
            and (current_setting('server_version_num')::int < 150000 or acl.owner = 10)
    )
    else written.privileges <> built_in.privileges end
