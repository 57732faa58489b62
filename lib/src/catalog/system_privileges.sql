-- Objects that came with PostgreSQL or an extension and on which privileges were granted or revoked since, columns too.
with member as materialized (
    select classid, objid from pg_depend where refclassid = 'pg_extension'::regclass and deptype = 'e'
),
-- In the information schema initdb grants this to everybody without recording it.
acl (class, oid, part, type, owner, acl, open) as (
    select 'pg_class'::regclass::oid, oid, 0, (case relkind when 'S' then 's' else 'r' end)::"char", relowner, relacl,
        case when relnamespace = to_regnamespace('information_schema') then 'SELECT' end
    from pg_class where relacl is not null
    union all
    select 'pg_class'::regclass, a.attrelid, a.attnum, 'c', c.relowner, a.attacl, null
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where a.attacl is not null and a.attrelid < 16384
    union all
    select 'pg_class'::regclass, a.attrelid, a.attnum, 'c', c.relowner, a.attacl, null
    from member m
    join pg_attribute a on a.attrelid = m.objid
    join pg_class c on c.oid = m.objid
    where m.classid = 'pg_class'::regclass and a.attacl is not null
    union all
    -- Only of columns are no privileges none, and not an empty list.
    select i.classoid, i.objoid, i.objsubid, 'c', c.relowner, null, null
    from pg_init_privs i
    join pg_attribute a on a.attrelid = i.objoid and a.attnum = i.objsubid
    join pg_class c on c.oid = i.objoid
    where i.classoid = 'pg_class'::regclass and i.objsubid > 0 and a.attacl is null
    union all
    select 'pg_proc'::regclass, oid, 0, 'f', proowner, proacl, null
    from pg_proc where proacl is not null
    union all
    select 'pg_type'::regclass, oid, 0, 'T', typowner, typacl, null
    from pg_type where typacl is not null
    union all
    -- The schema public is among the schemas.
    select 'pg_namespace'::regclass, oid, 0, 'n', nspowner, nspacl,
        case nspname when 'information_schema' then 'USAGE' end
    from pg_namespace where nspname <> 'public' and nspacl is not null
    union all
    select 'pg_language'::regclass, oid, 0, 'l', lanowner, lanacl, null
    from pg_language where lanacl is not null
    union all
    select 'pg_foreign_data_wrapper'::regclass, oid, 0, 'F', fdwowner, fdwacl, null
    from pg_foreign_data_wrapper where fdwacl is not null
    union all
    select 'pg_foreign_server'::regclass, oid, 0, 'S', srvowner, srvacl, null
    from pg_foreign_server where srvacl is not null
),
-- What initdb or the extension left, where it is not what every new object has.
changed as materialized (
    select acl.*, coalesce(acl.acl, acldefault(acl.type, acl.owner)) as after,
        coalesce(initial.acl, acldefault(acl.type, acl.owner)) as before
    from acl
    left join pg_init_privs i on i.classoid = acl.class and i.objoid = acl.oid and i.objsubid = acl.part
    cross join lateral (
        select coalesce(i.initprivs, case when acl.open is not null and acl.acl is not null
            then acldefault(acl.type, acl.owner) || makeaclitem(0, acl.owner, acl.open, false) end) as acl
    ) initial
    where acl.acl is distinct from initial.acl
        and (acl.oid < 16384 or (acl.class, acl.oid) in (select classid, objid from member))
),
held as (
    select c.class, c.oid, c.part, a.grantee = c.owner as owners, a.grantee, a.privilege_type,
        bool_or(a.is_grantable and a.grantee <> c.owner) as grantable
    from changed c cross join lateral aclexplode(c.after) a
    group by 1, 2, 3, 4, 5, 6
),
held_before as (
    -- What the owner of that time granted to itself is the owner's, whoever that is now.
    select c.class, c.oid, c.part, a.grantee in (c.owner, a.grantor) as owners,
        case when a.grantee in (c.owner, a.grantor) then c.owner else a.grantee end as grantee, a.privilege_type,
        bool_or(a.is_grantable and a.grantee <> a.grantor) as grantable
    from changed c cross join lateral aclexplode(c.before) a
    group by 1, 2, 3, 4, 5, 6
),
moved as (
    select true as granted, * from (select * from held except select * from held_before) after
    union all
    select false, * from (select * from held_before except select * from held) before
),
line as (
    select moved.class, moved.oid, moved.part, moved.granted,
        case when owners then '(owner)' when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        || ': '
        || case when count(*) > 1 and count(*) = case c.type when 'c' then 4 else (
                select count(*) from aclexplode(acldefault(c.type, c.owner)) a where a.grantee <> 0) end
            then case when bool_and(grantable) then 'ALL*' else concat_ws(', ', 'ALL',
                string_agg(privilege_type || '*', ', ' order by privilege_type collate "C") filter (where grantable)) end
            else string_agg(privilege_type || case when grantable then '*' else '' end, ', '
                order by privilege_type collate "C") end as text
    from moved
    join changed c on c.class = moved.class and c.oid = moved.oid and c.part = moved.part
    group by 1, 2, 3, 4, owners, grantee, c.type, c.owner
)
select
    place.schema,
    object.type || ' ' || case when starts_with(object.identity, quote_ident(place.schema) || '.')
        then substr(object.identity, length(quote_ident(place.schema)) + 2) else object.identity end as name,
    -- granted: what was granted since, in the form of the privileges of other objects
    string_agg(line.text, E'\n' order by line.text collate "C") filter (where line.granted) as granted,
    -- revoked: what was revoked since
    string_agg(line.text, E'\n' order by line.text collate "C") filter (where not line.granted) as revoked
from line
cross join lateral pg_identify_object(line.class, line.oid, line.part) object
cross join lateral pg_identify_object(line.class, line.oid, 0) place
group by 1, 2
