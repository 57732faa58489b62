-- Operator families. The access method is part of the name. Operators and functions that have the type of one of the
-- family's classes on the left are read with that class.
select
    n.nspname as schema,
    quote_ident(f.opfname) || ' using ' || quote_ident(am.amname) as name,
    -- owner: the role
    pg_get_userbyid(f.opfowner) as owner,
    -- operators: with strategy number, and the family they sort by
    (
        select string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, case when a.amopsortfamily <> 0 then (
                select 'for order by ' || case when sn.nspname = 'pg_catalog' then '' else quote_ident(sn.nspname) || '.' end
                    || quote_ident(sf.opfname)
                from pg_opfamily sf join pg_namespace sn on sn.oid = sf.opfnamespace where sf.oid = a.amopsortfamily
            ) end), E'\n' order by a.amopstrategy, a.amopopr::regoperator::text collate "C")
        from pg_amop a where a.amopfamily = f.oid
            and not exists (select from pg_opclass o where o.opcfamily = f.oid and o.opcintype = a.amoplefttype)
    ) as operators,
    -- functions: with support number and types
    (
        select string_agg(concat_ws(' ', a.amprocnum, '(' || format_type(a.amproclefttype, null) || ', '
                || format_type(a.amprocrighttype, null) || ')', a.amproc::oid::regprocedure),
            E'\n' order by a.amprocnum, format_type(a.amproclefttype, null) collate "C",
                format_type(a.amprocrighttype, null) collate "C")
        from pg_amproc a where a.amprocfamily = f.oid
            and not exists (select from pg_opclass o where o.opcfamily = f.oid and o.opcintype = a.amproclefttype)
    ) as functions,
    'pg_opfamily'::regclass::oid || ' ' || f.oid || ' 0' as address
from pg_opfamily f
join pg_namespace n on n.oid = f.opfnamespace
join pg_am am on am.oid = f.opfmethod
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and f.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_opfamily'::regclass and deptype = 'e'
    )
