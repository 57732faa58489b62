-- Operator classes. The access method is part of the name.
select
    n.nspname as schema,
    quote_ident(o.opcname) || ' using ' || quote_ident(am.amname) as name,
    -- owner: the role
    pg_get_userbyid(o.opcowner) as owner,
    -- type: that it indexes
    format_type(o.opcintype, null) as type,
    -- default: whether it is the default one for its type
    case when o.opcdefault then 'yes' else 'no' end as default,
    -- storage: the type that the index holds, where it is another
    case when o.opckeytype not in (0, o.opcintype) then format_type(o.opckeytype, null) end as storage,
    -- family: the operator family that it belongs to
    case when fn.nspname = 'pg_catalog' then '' else quote_ident(fn.nspname) || '.' end || quote_ident(f.opfname)
        as family,
    -- operators: of its family that have its type on the left, with strategy number, and the family they sort by
    (
        -- Which of them PostgreSQL ties to the class, and which it leaves loose in the family, is its own choice since 14.
        select string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, case when a.amopsortfamily <> 0 then (
                select 'for order by ' || case when sn.nspname = 'pg_catalog' then '' else quote_ident(sn.nspname) || '.' end
                    || quote_ident(sf.opfname)
                from pg_opfamily sf join pg_namespace sn on sn.oid = sf.opfnamespace where sf.oid = a.amopsortfamily
            ) end), E'\n' order by a.amopstrategy, a.amopopr::regoperator::text collate "C")
        from pg_amop a where a.amopfamily = o.opcfamily and a.amoplefttype = o.opcintype
    ) as operators,
    -- functions: of its family that have its type on the left, with support number and types
    (
        select string_agg(concat_ws(' ', a.amprocnum, '(' || format_type(a.amproclefttype, null) || ', '
                || format_type(a.amprocrighttype, null) || ')', a.amproc::oid::regprocedure),
            E'\n' order by a.amprocnum, format_type(a.amprocrighttype, null) collate "C")
        from pg_amproc a where a.amprocfamily = o.opcfamily and a.amproclefttype = o.opcintype
    ) as functions,
    'pg_opclass'::regclass::oid || ' ' || o.oid || ' 0' as address
from pg_opclass o
join pg_namespace n on n.oid = o.opcnamespace
join pg_am am on am.oid = o.opcmethod
join pg_opfamily f on f.oid = o.opcfamily
join pg_namespace fn on fn.oid = f.opfnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and o.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_opclass'::regclass and deptype = 'e'
    )
