-- Sequences: their options and the column that owns them; never where they stand.
select
    n.nspname as schema,
    c.relname as name,
    'pg_class'::regclass::oid || ' ' || c.oid || ' 0' as address,
    -- owner: the role it belongs to
    pg_get_userbyid(c.relowner) as owner,
    -- type: smallint, integer, bigint
    format_type(s.seqtypid, null) as type,
    -- start: the first value
    s.seqstart as start,
    -- increment: the step
    s.seqincrement as increment,
    -- minimum: the lowest value
    s.seqmin as minimum,
    -- maximum: the highest value
    s.seqmax as maximum,
    -- cache: values taken in advance
    s.seqcache as cache,
    -- cycle: whether it begins anew at the end
    case when s.seqcycle then 'yes' else 'no' end as cycle,
    -- persistence: permanent, unlogged (PostgreSQL 15)
    case c.relpersistence when 'u' then 'unlogged' else 'permanent' end as persistence,
    -- The owning table is always in the sequence's schema.
    -- owner_table: the table whose column owns it
    owner.relname as owner_table,
    -- owner_column: the column that owns it
    a.attname as owner_column,
    -- ownership: serial (`OWNED BY`), identity
    case d.deptype when 'i' then 'identity' when 'a' then 'serial' end as ownership,
    -- serves: not compared: the columns whose default takes from it. Where they can take the same numbers, another
    -- type, maximum or owner is a habit: `check` counts it, a rehearsal tells it and goes on
    serving.columns as serves
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
    and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
left join pg_class owner on owner.oid = d.refobjid
left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
-- All at once: in a database that nobody has analyzed yet, a search for each takes long.
left join (
    select q.seqrelid, string_agg(served.relname || '.' || sa.attname || ' up to ' || least(q.seqmax, case sa.atttypid
        when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647 else 9223372036854775807 end),
        ', ' order by served.relname, sa.attname) as columns
    from pg_sequence q
    join pg_depend sd on sd.refobjid = q.seqrelid and sd.refclassid = 'pg_class'::regclass
        and sd.classid = 'pg_attrdef'::regclass
    join pg_attrdef df on df.oid = sd.objid
    join pg_attribute sa on sa.attrelid = df.adrelid and sa.attnum = df.adnum
    join pg_class served on served.oid = df.adrelid
    where served.relpersistence <> 't'
    group by q.seqrelid
) serving on serving.seqrelid = s.seqrelid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    -- The sequence of an extension's table is a member too, save for those of identity columns.
    and not (coalesce(d.refobjid, 0) in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    ))
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
