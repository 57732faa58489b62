-- Operators. The types of the operands are part of the name; NONE stands for the one that is not there.
select
    n.nspname as schema,
    o.oprname || '(' || case when o.oprleft = 0 then 'NONE' else format_type(o.oprleft, null) end || ', '
        || case when o.oprright = 0 then 'NONE' else format_type(o.oprright, null) end || ')' as name,
    -- owner: the role
    pg_get_userbyid(o.oprowner) as owner,
    -- function: that computes it
    o.oprcode::oid::regprocedure as function,
    -- result: the type of the result
    format_type(o.oprresult, null) as result,
    -- commutator: the operator that takes the operands the other way round
    case when o.oprcom <> 0 then o.oprcom::regoperator end as commutator,
    -- negator: the operator that says the contrary
    case when o.oprnegate <> 0 then o.oprnegate::regoperator end as negator,
    -- restrict: the function that estimates how many rows a condition selects
    case when o.oprrest <> 0 then o.oprrest::oid::regprocedure end as restrict,
    -- join: the function that estimates how many rows a join selects
    case when o.oprjoin <> 0 then o.oprjoin::oid::regprocedure end as join,
    -- hashes: whether it can hash joins
    case when o.oprcanhash then 'yes' else 'no' end as hashes,
    -- merges: whether it can merge joins
    case when o.oprcanmerge then 'yes' else 'no' end as merges,
    'pg_operator'::regclass::oid || ' ' || o.oid || ' 0' as address
from pg_operator o
join pg_namespace n on n.oid = o.oprnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    -- One without a function was only named, as commutator or negator of another.
    and o.oprcode <> 0
    and o.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_operator'::regclass and deptype = 'e'
    )
