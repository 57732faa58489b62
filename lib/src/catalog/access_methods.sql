-- Access methods, except what comes with PostgreSQL.
select
    a.amname as name,
    -- type: index, table
    case a.amtype when 'i' then 'index' else 'table' end as type,
    -- handler: the function behind it
    a.amhandler::oid::regprocedure as handler,
    'pg_am'::regclass::oid || ' ' || a.oid || ' 0' as address
from pg_am a
where a.oid >= 16384
    and a.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_am'::regclass and deptype = 'e'
    )
