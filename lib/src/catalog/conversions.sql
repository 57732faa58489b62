-- Conversions between encodings.
select
    n.nspname as schema,
    c.conname as name,
    -- owner: the role
    pg_get_userbyid(c.conowner) as owner,
    -- source_encoding: from which it converts
    pg_encoding_to_char(c.conforencoding) as source_encoding,
    -- destination_encoding: to which it converts
    pg_encoding_to_char(c.contoencoding) as destination_encoding,
    -- function: that converts
    case when fn.nspname = 'pg_catalog' then '' else quote_ident(fn.nspname) || '.' end || quote_ident(f.proname)
        as function, -- without the arguments: PostgreSQL 14 added one to all
    -- default: whether it is the default one between these encodings
    case when c.condefault then 'yes' else 'no' end as default,
    'pg_conversion'::regclass::oid || ' ' || c.oid || ' 0' as address
from pg_conversion c
join pg_namespace n on n.oid = c.connamespace
join pg_proc f on f.oid = c.conproc
join pg_namespace fn on fn.oid = f.pronamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_conversion'::regclass and deptype = 'e'
    )
