-- Large objects, named by their numbers. What they contain is data.
select
    o.oid as name,
    -- owner: the owner
    pg_get_userbyid(o.lomowner) as owner,
    -- As comments and dependencies have it.
    'pg_largeobject'::regclass::oid || ' ' || o.oid || ' 0' as address
from pg_largeobject_metadata o
