-- Transforms between types and procedural languages, by both.
select
    'for ' || format_type(t.trftype, null) || ' language ' || quote_ident(l.lanname) as name,
    -- from_sql: the function that gives a value to the language
    case when t.trffromsql <> 0 then t.trffromsql::oid::regprocedure end as from_sql,
    -- to_sql: the function that takes a value from the language
    case when t.trftosql <> 0 then t.trftosql::oid::regprocedure end as to_sql,
    'pg_transform'::regclass::oid || ' ' || t.oid || ' 0' as address
from pg_transform t
join pg_language l on l.oid = t.trflang
where t.oid >= 16384
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_transform'::regclass and deptype = 'e'
    )
