-- Columns of tables. Those of views are part of the view's definition. `-P` leaves out columns by name.
select
    n.nspname as schema,
    c.relname as relation,
    a.attname as name,
    'pg_class'::regclass::oid || ' ' || a.attrelid || ' ' || a.attnum as address,
    -- position: the number of the column, dropped ones counted; compared is only the order of the columns that both sides
    -- have
    a.attnum as position,
    -- type: with all its modifiers
    format_type(a.atttypid, a.atttypmod) as type,
    -- not_null: no, yes; with `not valid` or `no inherit` (PostgreSQL 18)
    case
        when not a.attnotnull then 'no'
        when nn.oid is null or nn.convalidated and not nn.connoinherit then 'yes'
        else concat_ws(', ', 'yes', case when not nn.convalidated then 'not valid' end,
            case when nn.connoinherit then 'no inherit' end)
    end as not_null,
    -- not_null_local: `yes` where a child has its own NOT NULL besides that of its parent (PostgreSQL 18)
    case when nn.conislocal and nn.coninhcount > 0 then 'yes' end as not_null_local,
    -- As makeObjectName gives it: together the names have 53 bytes, and the longer one is cut first.
    -- A child's may have the name that the parent's got by itself.
    -- not_null_name: the name of the NOT NULL constraint, where it is not the one that it gets by itself (PostgreSQL 18)
    case when nn.conislocal and (nn.coninhcount = 0 or nn.conname not like '%\_not\_null') and nn.conname <> case
            when octet_length(c.relname) + octet_length(a.attname) <= 53
                then c.relname || '_' || a.attname || '_not_null'
            else left(c.relname, greatest(27, 53 - octet_length(a.attname))) || '_'
                || left(a.attname, greatest(26, 53 - octet_length(c.relname))) || '_not_null'
        end then nn.conname end as not_null_name,
    -- not_null_comment: the comment on the NOT NULL constraint (PostgreSQL 18)
    case when nn.oid is not null then (
        select description from pg_description
        where objoid = nn.oid and classoid = 'pg_constraint'::regclass and objsubid = 0
    ) end as not_null_comment,
    -- A default names no column, so that it needs no relation: several times faster than with one.
    -- default: the expression
    case when a.attgenerated = '' then pg_get_expr(d.adbin, 0) end as default,
    -- identity: always, by default; its sequence is among the sequences
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
    -- generated: stored, virtual (PostgreSQL 18)
    case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end as generated,
    -- expression: of a generated column
    case when a.attgenerated <> '' then pg_get_expr(d.adbin, a.attrelid) end as expression,
    -- collation: where it is not the type's own
    case when co.oid is not null
        then quote_ident((select nspname from pg_namespace where oid = co.collnamespace)) || '.'
            || quote_ident(co.collname) end as collation,
    -- inherited: whether it comes from a parent, and whether it is the table's own besides
    case when a.attinhcount > 0 then case when a.attislocal then 'yes, and local' else 'yes' end end as inherited,
    -- storage: where it is not the type's own
    case when a.attstorage <> t.typstorage
        then case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
        end as storage,
    -- compression: pglz, lz4 (PostgreSQL 14)
    case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end as compression,
    -- statistics: the statistics target where it is set
    case when a.attstattarget >= 0 then a.attstattarget end as statistics,
    -- The server's own entry pg_attver, which some minor releases keep there, is no option: pg_dump leaves it out too.
    -- options: `n_distinct` and the like, sorted
    case when a.attoptions[1] not like 'pg\_attver=%' or cardinality(a.attoptions) > 1
        then (select string_agg(o, ', ' order by o collate "C") from unnest(a.attoptions) o where o not like 'pg\_attver=%')
        end as options,
    -- foreign_options: of a column of a foreign table, sorted, a line each; of passwords, keys and the like only `(hidden)`:
    -- neither shown nor compared
    case when a.attfdwoptions is not null then (
        select string_agg(o.option_name || '=' || case
            when o.option_value ~* '^(true|false|on|off|yes|no)$' then o.option_value
            when o.option_name ~* 'pass(?!ive|thr|word_enc)|pwd|secret|token|credential|private|auth(?!or(s|$|_))|jwt|bearer'
                    '|cookie|signature|(?<!primary_)key(?!space|word|_?col)|(^|[^a-z])(sig|sas|sid|pat)([^a-z]|$)'
                or o.option_value ~* '(pass|pwd|secret|token|credential|key|auth|signature|sas|sig)[a-z_]*["'']?\s*[=:]'
                    '|://[^@]*:[^@]*@|^[^\s/@]+/[^\s/@]+@|(^|\s)(-u|--user|--pass)|(basic|bearer)\s+\S|-----begin'
                then '(hidden)'
            when o.option_value ~ E'[\n\r]|^''' then quote_literal(o.option_value)
            else o.option_value
        end, E'\n' order by o.option_name collate "C")
        from pg_options_to_table(a.attfdwoptions) o
    ) end as foreign_options
-- A column that an older server lacks falls through to the row of the same name outside.
from (select ''::"char" as attcompression) as older
cross join lateral (
    select attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attidentity, attgenerated, attcollation,
        attinhcount, attislocal, attstorage, attcompression, attstattarget, attoptions, attfdwoptions
    from pg_attribute where attnum > 0 and not attisdropped
) a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation co on co.oid = a.attcollation and a.attcollation <> t.typcollation
-- NOT NULL has constraints since PostgreSQL 18.
left join pg_constraint nn on nn.conrelid = a.attrelid and nn.contype = 'n' and nn.conkey[1] = a.attnum
where c.relkind in ('r', 'p', 'f')
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
