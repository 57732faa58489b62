-- Indexes of tables and materialized views, except those that serve a constraint: they are read with it.
select
    n.nspname as schema,
    c.relname as relation,
    ic.relname as name,
    'pg_class'::regclass::oid || ' ' || ic.oid || ' 0' as address,
    -- unique: no, yes; with `nulls not distinct` (PostgreSQL 15)
    case when i.indisunique then case when i.indnullsnotdistinct then 'yes, nulls not distinct' else 'yes' end
        else 'no' end as unique,
    -- method: the access method
    am.amname as method,
    -- columns: in order, each with collation, operator class, `DESC` and `NULLS` where they are not the default
    keys.columns,
    -- included: the columns of `INCLUDE`, in order
    keys.included,
    -- column_settings: parameters of operator classes, statistics targets
    keys.settings as column_settings,
    -- expressions: in the order in which `columns` has them
    case when i.indexprs is not null then pg_get_expr(i.indexprs, i.indrelid) end as expressions,
    -- predicate: of a partial index
    case when i.indpred is not null then pg_get_expr(i.indpred, i.indrelid) end as predicate,
    -- options: storage parameters, sorted
    case when ic.reloptions is not null
        then array_to_string(array(select o from unnest(ic.reloptions) o order by o collate "C"), ', ') end as options,
    -- tablespace: where it is not the database's
    ts.spcname as tablespace,
    -- valid: whether it is valid and ready; `pg_dump` leaves out an invalid index
    case when not i.indislive then 'being dropped' when not i.indisvalid then 'no' when not i.indisready then 'not ready'
        else 'yes' end as valid,
    -- parent: the index of the partitioned table that a partition's one is attached to
    case when ic.relispartition then (
        select h.inhparent::regclass::text from pg_inherits h where h.inhrelid = ic.oid
    ) end as parent,
    -- depends_on_extension: the extensions with which it goes, sorted
    bound.extensions as depends_on_extension
from (select false as indnullsnotdistinct) as older
cross join lateral (
    select indexrelid, indrelid, indisunique, indnullsnotdistinct, indisvalid, indisready, indislive, indnkeyatts, indkey, indclass,
        indcollation, indoption, indexprs, indpred
    from pg_index
) i
join pg_class ic on ic.oid = i.indexrelid
join pg_am am on am.oid = ic.relam
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_tablespace ts on ts.oid = ic.reltablespace
left join (
    select d.objid, string_agg(quote_ident(e.extname), ', ' order by e.extname) as extensions
    from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.refclassid = 'pg_extension'::regclass and d.classid = 'pg_class'::regclass and d.deptype = 'x'
    group by 1
) bound on bound.objid = ic.oid
cross join lateral (
    select
        string_agg(
            case when k.attnum = 0 then '(expression)' else quote_ident(a.attname) end
            -- 100 is the default collation, that of an expression which has no other.
            || case when k.collation_oid not in (0, coalesce(a.attcollation, 100)) then (
                select ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = k.collation_oid
            ) else '' end
            -- An operator class goes without saying only if it is the default of the very type: bpchar_ops serves text too.
            || case when not o.opcdefault or (
                case coalesce(a.atttypid, ia.atttypid) when 'varchar'::regtype then 'text'::regtype
                    else coalesce(a.atttypid, ia.atttypid) end
            ) <> o.opcintype then (
                select ' ' || case when n.nspname = 'pg_catalog' then '' else quote_ident(n.nspname) || '.' end
                    || quote_ident(o.opcname)
                from pg_namespace n where n.oid = o.opcnamespace
            ) else '' end
            || case k.options when 1 then ' DESC NULLS LAST' when 2 then ' NULLS FIRST' when 3 then ' DESC' else '' end,
            ', ' order by k.number
        ) filter (where k.number <= i.indnkeyatts) as columns,
        string_agg(quote_ident(a.attname), ', ' order by k.number) filter (where k.number > i.indnkeyatts) as included,
        string_agg(
            concat_ws(' ', k.number,
                (
                    select '(' || string_agg(option, ', ' order by option collate "C") || ')' from unnest(ia.attoptions) option
                    where option not like 'pg\_attver=%'
                ),
                case when ia.attstattarget >= 0 then 'statistics ' || ia.attstattarget end),
            ', ' order by k.number
        ) filter (
            where cardinality(ia.attoptions) > 1 or ia.attoptions[1] not like 'pg\_attver=%' or ia.attstattarget >= 0
        ) as settings
    from unnest(i.indkey, i.indclass, i.indcollation, i.indoption)
        with ordinality as k(attnum, opclass, collation_oid, options, number)
    join pg_attribute ia on ia.attrelid = i.indexrelid and ia.attnum = k.number
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum <> 0
    left join pg_opclass o on o.oid = k.opclass
) keys
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and i.indexrelid not in (select conindid from pg_constraint where contype in ('p', 'u', 'x'))
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
