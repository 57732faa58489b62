-- Text search dictionaries.
select
    n.nspname as schema,
    d.dictname as name,
    -- owner: the role
    pg_get_userbyid(d.dictowner) as owner,
    -- template: that it is made of
    case when tn.nspname = 'pg_catalog' then '' else quote_ident(tn.nspname) || '.' end || quote_ident(t.tmplname)
        as template,
    -- options: of the template, sorted
    (
        -- PostgreSQL 12 puts numbers in quotes as well.
        select string_agg(regexp_replace(option[1], $$ = '(-?\d+)'$$, ' = \1'), ', ' order by option[1] collate "C")
        from regexp_matches(d.dictinitoption,
            $$(?:[^\s",=]+|"(?:[^"]|"")*") = (?:E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|[^\s',]+)$$, 'g') option
    ) as options,
    'pg_ts_dict'::regclass::oid || ' ' || d.oid || ' 0' as address
from pg_ts_dict d
join pg_namespace n on n.oid = d.dictnamespace
join pg_ts_template t on t.oid = d.dicttemplate
join pg_namespace tn on tn.oid = t.tmplnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and d.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_ts_dict'::regclass and deptype = 'e'
    )
