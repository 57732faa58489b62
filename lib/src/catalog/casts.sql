-- Casts, by source and target type, except what comes with PostgreSQL.
select
    format_type(c.castsource, null) || ' AS ' || format_type(c.casttarget, null) as name,
    -- context: explicit, assignment, implicit
    case c.castcontext when 'e' then 'explicit' when 'a' then 'assignment' else 'implicit' end as context,
    -- method: function, inout, binary
    case c.castmethod when 'f' then 'function' when 'i' then 'inout' else 'binary' end as method,
    -- function: that converts
    case when c.castfunc <> 0 then c.castfunc::regprocedure end as function,
    'pg_cast'::regclass::oid || ' ' || c.oid || ' 0' as address
from pg_cast c
where c.oid >= 16384
    -- Members of extensions, and the cast from a range to its multirange.
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_cast'::regclass and d.objid = c.oid and d.deptype in ('e', 'i')
    )
    -- Casts of temporary types.
    and not exists (
        select from pg_type t join pg_namespace n on n.oid = t.typnamespace
        where t.oid in (c.castsource, c.casttarget) and n.nspname ~ '^pg_temp'
    )
