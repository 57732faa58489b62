-- Reads the foreign keys, a row for each of their columns. Those of partitions that come from the partitioned table are
-- left out. The type is the one that the key's operator takes on the side of the referencing column, or that column's own
-- where the operator takes any.
select k.oid::text as key,
    k.conrelid::text as referencing,
    k.confrelid::text as referenced,
    quote_ident(c.attname) as column,
    quote_ident(p.attname) as parent,
    format_type(case when t.typtype = 'p' then c.atttypid else o.oprright end, -1) as type,
    coalesce('collate ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname), '') as collate,
    format('operator(%I.%s)', n.nspname, o.oprname) as equals,
    format('operator(%I.%s)', sn.nspname, so.oprname) as same,
    -- The last column of a key over periods: the rows that are needed have the other columns in common.
    (coalesce((to_jsonb(k) ->> 'conperiod')::bool, false) and u.place = array_length(k.conkey, 1))::text as period
from pg_constraint k
cross join lateral unnest(k.conkey, k.confkey, k.conpfeqop, k.conppeqop) with ordinality
    as u (referencing, referenced, equals, same, place)
join pg_attribute c on c.attrelid = k.conrelid and c.attnum = u.referencing
join pg_attribute p on p.attrelid = k.confrelid and p.attnum = u.referenced
join pg_operator o on o.oid = u.equals
join pg_namespace n on n.oid = o.oprnamespace
join pg_type t on t.oid = o.oprright
join pg_operator so on so.oid = u.same
join pg_namespace sn on sn.oid = so.oprnamespace
left join pg_collation co on co.oid = p.attcollation
left join pg_namespace cn on cn.oid = co.collnamespace
where k.contype = 'f' and k.conparentid = 0
order by k.oid, u.place
