-- The columns of some tables, each with its place in the primary key, and how its values can be ordered: integers by
-- their number; a text or uuid as it is, any other type by what its output function writes.
select
    a.attrelid::text as oid,
    a.attname as name,
    array_position(k.conkey, a.attnum)::text as key,
    case
        when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then 'number'
        when a.atttypid in ('text'::regtype, 'varchar'::regtype) then 'text'
        when a.atttypid = 'uuid'::regtype then 'uuid'
        else 'other'
    end as ordering,
    row_security_active(a.attrelid)::text as row_security
from pg_attribute a
left join pg_constraint k on k.conrelid = a.attrelid and k.contype = 'p'
where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
