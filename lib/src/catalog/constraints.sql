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
    -- columns: of a key in their order, with `WITHOUT OVERLAPS` and `PERIOD` (PostgreSQL 18); of an exclusion constraint
    -- also collation, operator class and operator, where they are not the default
    case when k.contype in ('p', 'u', 'f') and cardinality(k.conkey) = 1 then (
        select quote_ident(attname) from pg_attribute where attrelid = k.conrelid and attnum = k.conkey[1]
    )
    when k.contype in ('p', 'u', 'f') then (
        select string_agg(
            case when k.conperiod and k.contype = 'f' and number = cardinality(k.conkey) then 'PERIOD ' else '' end
            || quote_ident(a.attname)
            || case when k.conperiod and k.contype <> 'f' and number = cardinality(k.conkey) then ' WITHOUT OVERLAPS'
                else '' end, ', ' order by number)
        from unnest(k.conkey) with ordinality as key(attnum, number)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.attnum
    ) when k.contype = 'x' then excluded.columns end as columns,
    -- expressions: of an exclusion constraint, in the order in which `columns` has them
    case when k.contype = 'x' then pg_get_expr(i.indexprs, i.indrelid) end as expressions,
    -- included: the columns of `INCLUDE`, in order
    case when i.indnatts > i.indnkeyatts then (
        select string_agg(quote_ident(a.attname), ', ' order by number)
        from unnest(i.indkey) with ordinality as key(attnum, number)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum
        where number > i.indnkeyatts
    ) end as included,
    -- nulls: `not distinct` where null equals null (PostgreSQL 15)
    case when i.indnullsnotdistinct then 'not distinct' end as nulls,
    -- method: the access method of an exclusion constraint
    case when k.contype = 'x' then (select amname from pg_am where oid = i.relam) end as method,
    -- predicate: of an exclusion constraint
    case when k.contype = 'x' then pg_get_expr(i.indpred, i.indrelid) end as predicate,
    -- references: the table and columns that a foreign key points to
    case when k.contype = 'f' then k.confrelid::regclass || '(' || case when cardinality(k.confkey) = 1 then (
        select quote_ident(attname) from pg_attribute where attrelid = k.confrelid and attnum = k.confkey[1]
    ) else (
        select string_agg(
            case when k.conperiod and number = cardinality(k.confkey) then 'PERIOD ' else '' end
            || quote_ident(a.attname), ', ' order by number)
        from unnest(k.confkey) with ordinality as key(attnum, number)
        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.attnum
    ) end || ')' end as references,
    -- match: of a foreign key: simple, full
    case when k.contype = 'f' then case k.confmatchtype when 'f' then 'full' when 'p' then 'partial' else 'simple' end
        end as match,
    -- on_update: what a foreign key does: no action, restrict, cascade, set null, set default
    case when k.contype = 'f' then case k.confupdtype when 'a' then 'no action' when 'r' then 'restrict'
        when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end end as on_update,
    -- on_delete: the same, with the columns to set where they are not all (PostgreSQL 15)
    case when k.contype = 'f' then case k.confdeltype when 'a' then 'no action' when 'r' then 'restrict'
        when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end
        || case when k.confdelsetcols is not null then ' (' || (
            select string_agg(quote_ident(a.attname), ', ' order by a.attname)
            from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.confdelsetcols)
        ) || ')' else '' end
        end as on_delete,
    -- deferrable: no, initially immediate, initially deferred; of all but checks
    case when k.contype <> 'c' then case when k.condeferred then 'initially deferred'
        when k.condeferrable then 'initially immediate' else 'no' end end as deferrable,
    -- expression: of a check
    case when k.contype = 'c' then pg_get_expr(k.conbin, k.conrelid) end as expression,
    -- valid: whether the rows that were there were found to satisfy a check or foreign key
    case when k.contype in ('c', 'f') then case when k.convalidated then 'yes' else 'no' end end as valid,
    -- enforced: whether a check or foreign key is enforced (PostgreSQL 18)
    case when k.contype in ('c', 'f') then case when k.conenforced then 'yes' else 'no' end end as enforced,
    -- inheritable: whether a check goes to children (`NO INHERIT`)
    case when k.contype = 'c' then case when k.connoinherit then 'no' else 'yes' end end as inheritable,
    -- inherited: whether a check of a child is its own besides
    case when k.contype = 'c' and k.coninhcount > 0 then 'yes, and local' end as inherited,
    -- parent: the constraint of the partitioned table that a partition's one belongs to
    case when parent.oid is not null then parent.conrelid::regclass || ' ' || quote_ident(parent.conname) end as parent,
    -- index_options: storage parameters of the index behind it, sorted
    case when i.reloptions is not null
        then array_to_string(array(select o from unnest(i.reloptions) o order by o collate "C"), ', ') end as index_options,
    -- tablespace: of the index behind it, where it is not the database's
    case when i.reltablespace <> 0 then (select spcname from pg_tablespace where oid = i.reltablespace) end as tablespace,
    -- index_valid: whether that index is valid and ready
    case when not i.indisvalid then 'no' when not i.indisready then 'not ready' when i.indisvalid then 'yes' end
        as index_valid,
    -- index_comment: the comment on that index
    case when i.indexrelid is not null then (
        select description from pg_description
        where objoid = i.indexrelid and classoid = 'pg_class'::regclass and objsubid = 0
    ) end as index_comment,
    -- Deferred checks and foreign keys are internal triggers, which DISABLE TRIGGER ALL switches off unseen.
    -- triggers: internal triggers that are switched off: a foreign key or a deferrable constraint is not enforced.
    -- `pg_dump` does not show it
    disabled.triggers as triggers
from (
    select true as conenforced, false as conperiod, null::int2[] as confdelsetcols, false as indnullsnotdistinct
) as older
cross join lateral (
    select oid, conname, contype, conrelid, conindid, conparentid, conbin, conkey, confrelid, confkey, confmatchtype,
        confupdtype, confdeltype, confdelsetcols, condeferrable, condeferred, convalidated, connoinherit, conislocal,
        coninhcount, conexclop, conenforced, conperiod
    from pg_constraint where contype in ('p', 'u', 'f', 'c', 'x') and conrelid <> 0
) k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
left join lateral (
    select indexrelid, indrelid, indnatts, indnkeyatts, indkey, indclass, indcollation, indoption, indexprs, indpred,
        indisvalid, indisready, indnullsnotdistinct, ic.relam, ic.reloptions, ic.reltablespace
    from pg_index join pg_class ic on ic.oid = indexrelid
) i on i.indexrelid = case when k.contype in ('p', 'u', 'x') then k.conindid end
left join pg_constraint parent on parent.oid = k.conparentid
left join (
    select tgconstraint, string_agg(text, ', ' order by text collate "C") as triggers
    from (
        select distinct tgconstraint,
            case tgenabled when 'D' then 'disabled' when 'R' then 'replica' else 'always' end
                || ' on ' || tgrelid::regclass as text
        from pg_trigger where tgisinternal and tgenabled <> 'O' and tgconstraint <> 0
    ) switched
    group by tgconstraint
) disabled on disabled.tgconstraint = k.oid
left join (
    select x.oid, string_agg(
        case when key.attnum = 0 then '(expression)' else quote_ident(a.attname) end
        || case when key.collation_oid not in (0, coalesce(a.attcollation, 100)) then (
            select ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
            from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = key.collation_oid
        ) else '' end
        || case when not o.opcdefault or (
            case coalesce(a.atttypid, ia.atttypid) when 'varchar'::regtype then 'text'::regtype
                else coalesce(a.atttypid, ia.atttypid) end
        ) <> o.opcintype then (
            select ' ' || case when n.nspname = 'pg_catalog' then '' else quote_ident(n.nspname) || '.' end
                || quote_ident(o.opcname)
            from pg_namespace n where n.oid = o.opcnamespace
        ) else '' end
        || case when cardinality(ia.attoptions) > 1 or ia.attoptions[1] not like 'pg\_attver=%' then (
            select ' (' || string_agg(option, ', ' order by option collate "C") || ')' from unnest(ia.attoptions) option
            where option not like 'pg\_attver=%'
        ) else '' end
        || case key.options when 1 then ' DESC NULLS LAST' when 2 then ' NULLS FIRST' when 3 then ' DESC' else '' end
        || ' WITH ' || key.operator::regoperator, ', ' order by key.number) as columns
    from pg_constraint x
    join pg_index i on i.indexrelid = x.conindid
    cross join unnest(i.indkey, i.indclass, i.indcollation, i.indoption, x.conexclop)
        with ordinality as key(attnum, opclass, collation_oid, options, operator, number)
    join pg_attribute ia on ia.attrelid = i.indexrelid and ia.attnum = key.number
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum and key.attnum <> 0
    left join pg_opclass o on o.oid = key.opclass
    where x.contype = 'x' and key.number <= i.indnkeyatts
    group by x.oid
) excluded on excluded.oid = k.oid
where c.relkind in ('r', 'p', 'f')
    and not (k.contype = 'c' and not k.conislocal)
    and not (k.contype = 'f' and k.conparentid <> 0 and disabled.triggers is null)
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
