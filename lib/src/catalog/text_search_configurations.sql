-- Text search configurations.
select
    n.nspname as schema,
    c.cfgname as name,
    -- owner: the role
    pg_get_userbyid(c.cfgowner) as owner,
    -- parser: that finds the tokens
    case when pn.nspname = 'pg_catalog' then '' else quote_ident(pn.nspname) || '.' end || quote_ident(p.prsname)
        as parser,
    -- mappings: of each type of tokens the dictionaries in order
    (
        select string_agg(mapping.text, E'\n' order by mapping.text collate "C")
        from (
            select coalesce(token.alias, m.maptokentype::text) || ': '
                || string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno) as text
            from pg_ts_config_map m
            left join ts_token_type(c.cfgparser) token on token.tokid = m.maptokentype
            where m.mapcfg = c.oid
            group by token.alias, m.maptokentype
        ) mapping
    ) as mappings,
    'pg_ts_config'::regclass::oid || ' ' || c.oid || ' 0' as address
from pg_ts_config c
join pg_namespace n on n.oid = c.cfgnamespace
join pg_ts_parser p on p.oid = c.cfgparser
join pg_namespace pn on pn.oid = p.prsnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_ts_config'::regclass and deptype = 'e'
    )
