-- Domains. Their checks are a kind of their own.
select
    n.nspname as schema,
    t.typname as name,
    -- owner: the role
    pg_get_userbyid(t.typowner) as owner,
    -- type: the base type with all its modifiers
    format_type(t.typbasetype, t.typtypmod) as type,
    -- collation: where it is not the base type's own
    quote_ident(s.nspname) || '.' || quote_ident(co.collname) as collation,
    -- default: the expression
    case when t.typdefaultbin is not null then pg_get_expr(t.typdefaultbin, 0) else quote_literal(t.typdefault) end
        as default,
    -- not_null: no, yes; with `not valid`
    case when not t.typnotnull then 'no' when not k.convalidated then 'yes, not valid' else 'yes' end as not_null,
    -- not_null_name: the name of the constraint behind it where it is not the one that PostgreSQL gives it
    -- (PostgreSQL 18)
    case when k.conname <> left(t.typname, 54) || '_not_null' then k.conname end as not_null_name,
    -- not_null_comment: the comment on that constraint
    case when k.oid is not null then obj_description(k.oid, 'pg_constraint') end as not_null_comment,
    'pg_type'::regclass::oid || ' ' || t.oid || ' 0' as address
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
join pg_type base on base.oid = t.typbasetype
left join pg_collation co on co.oid = t.typcollation and t.typcollation <> base.typcollation
left join pg_namespace s on s.oid = co.collnamespace
left join pg_constraint k on k.contypid = t.oid and k.contype = 'n'
where t.typtype = 'd'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_type'::regclass and deptype = 'e'
    )
