-- Checks of domains. NOT NULL belongs to the domain.
select
    n.nspname as schema,
    t.typname as relation,
    k.conname as name,
    -- expression: the condition
    pg_get_expr(k.conbin, 0) as expression,
    -- valid: whether the values that existed before were looked at
    case when k.convalidated then 'yes' else 'no' end as valid,
    'pg_constraint'::regclass::oid || ' ' || k.oid || ' 0' as address
from pg_constraint k
join pg_type t on t.oid = k.contypid
join pg_namespace n on n.oid = t.typnamespace
where k.contypid <> 0 and k.contype = 'c'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_type'::regclass and deptype = 'e'
    )
