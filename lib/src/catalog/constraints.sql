-- Constraints of tables: primary and foreign keys, unique, check and exclusion. NOT NULL belongs to the columns, and what
-- a child merely inherits belongs to its parent.
select
    n.nspname as schema,
    c.relname as relation,
    k.conname as name,
    'pg_constraint'::regclass::oid || ' ' || k.oid || ' 0' as address,
    -- type: primary key, unique, foreign key, check, exclude
    case k.contype when 'p' then 'primary key' when 'u' then 'unique' when 'f' then 'foreign key'
        when 'c' then 'check' else 'exclude' end as type,
    -- definition: of all but checks: columns, `INCLUDE`, referenced table and columns, actions, match, deferrability,
    -- operators, validity
    case k.contype
        when 'c' then null
        when 'x' then replace(pg_get_constraintdef(k.oid),
            coalesce(' WHERE (' || pg_get_expr(i.indpred, i.indrelid) || ')', ''), '')
        else pg_get_constraintdef(k.oid) end as definition,
    -- expression: of a check
    case when k.contype = 'c' then pg_get_expr(k.conbin, k.conrelid) end as expression,
    -- predicate: of an exclusion constraint
    case when k.contype = 'x' then pg_get_expr(i.indpred, i.indrelid) end as predicate,
    -- valid: whether a check was validated
    case when k.contype = 'c' then case when k.convalidated then 'yes' else 'no' end end as valid,
    -- enforced: whether a check is enforced (PostgreSQL 18)
    case when k.contype = 'c' then case when k.conenforced then 'yes' else 'no' end end as enforced,
    -- inheritable: whether a check goes to children (`NO INHERIT`)
    case when k.contype = 'c' then case when k.connoinherit then 'no' else 'yes' end end as inheritable,
    -- inherited: whether a check of a child is its own besides
    case when k.contype = 'c' and k.coninhcount > 0 then 'yes, and local' end as inherited,
    -- parent: the constraint of the partitioned table that a partition's one belongs to
    case when parent.oid is not null then parent.conrelid::regclass || ' ' || quote_ident(parent.conname) end as parent,
    -- index_options: storage parameters of the index behind it, sorted
    case when ic.reloptions is not null
        then array_to_string(array(select unnest(ic.reloptions) order by 1), ', ') end as index_options,
    -- index_valid: whether that index is valid and ready
    case when not i.indisvalid then 'no' when not i.indisready then 'not ready' when i.indisvalid then 'yes' end
        as index_valid,
    -- Foreign keys are enforced by internal triggers, which DISABLE TRIGGER ALL switches off unseen.
    -- triggers: internal triggers of a foreign key that are switched off: the key is not enforced. `pg_dump` does not
    -- show it
    disabled.triggers as triggers
from (select true as conenforced) as older
cross join lateral (
    select oid, conname, contype, conrelid, conindid, conparentid, conbin, convalidated, connoinherit, conislocal,
        coninhcount, conenforced
    from pg_constraint where contype in ('p', 'u', 'f', 'c', 'x') and conrelid <> 0
) k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = k.conindid and k.contype in ('p', 'u', 'x')
left join pg_class ic on ic.oid = i.indexrelid
left join pg_constraint parent on parent.oid = k.conparentid
left join (
    select tgconstraint,
        string_agg(distinct case tgenabled when 'D' then 'disabled' when 'R' then 'replica' else 'always' end
            || ' on ' || tgrelid::regclass, ', ') as triggers
    from pg_trigger where tgisinternal and tgenabled <> 'O' and tgconstraint <> 0
    group by tgconstraint
) disabled on disabled.tgconstraint = k.oid and k.contype = 'f'
where c.relkind in ('r', 'p', 'f')
    and not (k.contype = 'c' and not k.conislocal)
    and not (k.contype = 'f' and k.conparentid <> 0 and disabled.triggers is null)
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
