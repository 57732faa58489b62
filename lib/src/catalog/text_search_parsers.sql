-- Text search parsers.
select
    n.nspname as schema,
    p.prsname as name,
    -- start: the function that begins with a text
    p.prsstart::oid::regprocedure as start,
    -- gettoken: the function that gives the next token
    p.prstoken::oid::regprocedure as gettoken,
    -- end: the function that ends
    p.prsend::oid::regprocedure as end,
    -- headline: the function that makes a summary
    case when p.prsheadline <> 0 then p.prsheadline::oid::regprocedure end as headline,
    -- lextypes: the function that names the types of tokens
    p.prslextype::oid::regprocedure as lextypes,
    'pg_ts_parser'::regclass::oid || ' ' || p.oid || ' 0' as address
from pg_ts_parser p
join pg_namespace n on n.oid = p.prsnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and p.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_ts_parser'::regclass and deptype = 'e'
    )
