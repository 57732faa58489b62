-- The database itself, whatever its name.
select
    'database' as name,
    -- encoding: such as `UTF8`
    pg_encoding_to_char(d.encoding) as encoding,
    -- collate: `LC_COLLATE`
    d.datcollate as collate,
    -- ctype: `LC_CTYPE`
    d.datctype as ctype,
    -- locale_provider: libc, icu (PostgreSQL 15), builtin (PostgreSQL 17)
    case all_of.it ->> 'datlocprovider' when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end as locale_provider,
    -- locale: the locale of the providers icu and builtin
    coalesce(all_of.it ->> 'datlocale', all_of.it ->> 'daticulocale') as locale,
    -- icu_rules: further rules of ICU (PostgreSQL 16)
    all_of.it ->> 'daticurules' as icu_rules,
    -- template: whether everybody may copy it
    case when d.datistemplate then 'yes' else 'no' end as template,
    -- connection_limit: where there is one
    case when d.datconnlimit >= 0 then d.datconnlimit end as connection_limit,
    -- tablespace: where it is not `pg_default`
    nullif(t.spcname, 'pg_default') as tablespace,
    -- owner: the owner
    pg_get_userbyid(d.datdba) as owner,
    'pg_database'::regclass::oid || ' ' || d.oid || ' 0' as address
from pg_database d
join pg_tablespace t on t.oid = d.dattablespace
cross join lateral (select to_jsonb(d) as it) all_of
where d.datname = current_database()
