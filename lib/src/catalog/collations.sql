-- Collations. Their versions belong to the machine.
select
    n.nspname as schema,
    c.collname as name,
    -- owner: the role
    pg_get_userbyid(c.collowner) as owner,
    -- provider: libc, icu, builtin (PostgreSQL 17)
    case c.collprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' else 'default' end as provider,
    -- locale: of ICU and the built-in provider
    case when c.collprovider <> 'c' then c.locale end as locale,
    -- lc_collate: of libc
    case when c.collprovider = 'c' then c.collcollate end as lc_collate,
    -- lc_ctype: of libc
    case when c.collprovider = 'c' then c.collctype end as lc_ctype,
    -- deterministic: whether strings are equal only when their bytes are
    case when c.collisdeterministic then 'yes' else 'no' end as deterministic,
    -- rules: additional ones of ICU (PostgreSQL 16)
    c.rules,
    'pg_collation'::regclass::oid || ' ' || c.oid || ' 0' as address
from (
    select c.*, to_jsonb(c) ->> 'collicurules' as rules,
        coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate::text) as locale
    from pg_collation c
) c
join pg_namespace n on n.oid = c.collnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    -- Those of another encoding cannot be used here.
    and c.collencoding in (-1, pg_char_to_encoding(getdatabaseencoding()))
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_collation'::regclass and deptype = 'e'
    )
