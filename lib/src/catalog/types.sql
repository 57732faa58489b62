-- Enum, composite, range, base and shell types. The row types of tables and views, the types of arrays and the
-- multirange of a range come with what they belong to; domains are a kind of their own.
select
    n.nspname as schema,
    t.typname as name,
    -- kind: enum, composite, range, base, shell
    case when not t.typisdefined then 'shell' else
        case t.typtype when 'e' then 'enum' when 'c' then 'composite' when 'r' then 'range' else 'base' end
        end as kind,
    -- owner: the role
    pg_get_userbyid(t.typowner) as owner,
    -- labels: of an enum, in order
    case when t.typtype = 'e' then (
        select string_agg(case when e.enumlabel ~ E'[\n'']' then quote_literal(e.enumlabel) else e.enumlabel::text end,
            E'\n' order by e.enumsortorder)
        from pg_enum e where e.enumtypid = t.oid
    ) end as labels,
    -- attributes: of a composite type, in order, each with its type, and its collation where it is not the type's own
    composite.attributes,
    -- attribute_comments: the comments on them
    composite.comments as attribute_comments,
    -- subtype: of a range
    format_type(r.rngsubtype, null) as subtype,
    -- subtype_operator_class: by which a range sorts its bounds
    case when r.rngsubopc is not null then (
        select case when s.nspname = 'pg_catalog' then '' else quote_ident(s.nspname) || '.' end || quote_ident(o.opcname)
        from pg_opclass o join pg_namespace s on s.oid = o.opcnamespace where o.oid = r.rngsubopc
    ) end as subtype_operator_class,
    -- collation: of a range, where it is not the subtype's own
    case when r.rngcollation <> 0 then (
        select quote_ident(s.nspname) || '.' || quote_ident(co.collname)
        from pg_collation co join pg_namespace s on s.oid = co.collnamespace
        where co.oid = r.rngcollation
            and co.oid <> (select typcollation from pg_type where oid = r.rngsubtype)
    ) end as collation,
    -- canonical: the function that brings a range to its canonical form
    case when r.rngcanonical <> 0 then r.rngcanonical::regprocedure end as canonical,
    -- subtype_diff: the function that subtracts two bounds
    case when r.rngsubdiff <> 0 then r.rngsubdiff::regprocedure end as subtype_diff,
    -- multirange: the name of a range's multirange where it is not the one that PostgreSQL gives it (PostgreSQL 14)
    case when r.rngmultitypid is not null then (
        select format_type(m.oid, null) from pg_type m
        where m.oid = r.rngmultitypid and (m.typnamespace, m.typname::text) is distinct from (t.typnamespace, left(
            case when strpos(t.typname, 'range') > 0 then regexp_replace(t.typname, 'range', 'multirange')
                else left(t.typname, 52) || '_multirange' end, 63))
    ) end as multirange,
    -- input: the function that reads the text of a base type
    case when b.oid is not null then b.typinput::regprocedure end as input,
    -- output: the function that writes the text of a base type
    case when b.oid is not null then b.typoutput::regprocedure end as output,
    -- receive: the function that reads the binary form of a base type
    case when b.typreceive <> 0 then b.typreceive::regprocedure end as receive,
    -- send: the function that writes the binary form of a base type
    case when b.typsend <> 0 then b.typsend::regprocedure end as send,
    -- typmod_in: the function that reads the modifiers of a base type
    case when b.typmodin <> 0 then b.typmodin::regprocedure end as typmod_in,
    -- typmod_out: the function that writes the modifiers of a base type
    case when b.typmodout <> 0 then b.typmodout::regprocedure end as typmod_out,
    -- analyze: the function that gathers the statistics of a base type
    case when b.typanalyze <> 0 then b.typanalyze::regprocedure end as analyze,
    -- subscript: the function behind the subscripts of a base type, where it is not the one of all that have an element
    -- (PostgreSQL 14)
    case when b.subscript <> 0 then nullif(b.subscript::regprocedure::text, 'raw_array_subscript_handler(internal)') end
        as subscript,
    -- internal_length: of a base type, in bytes, or variable
    case when b.typlen = -1 then 'variable' when b.oid is not null then b.typlen::text end as internal_length,
    -- passed_by_value: whether a base type is
    case when b.typbyval then 'yes' when b.oid is not null then 'no' end as passed_by_value,
    -- alignment: char, int2, int4, double
    case b.typalign when 'c' then 'char' when 's' then 'int2' when 'i' then 'int4' when 'd' then 'double' end
        as alignment,
    -- storage: of a base type: plain, external, extended, main
    case b.typstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' when 'x' then 'extended' end
        as storage,
    -- category: of a base type, a letter
    b.typcategory as category,
    -- preferred: whether a base type is the preferred one of its category
    case when b.typispreferred then 'yes' when b.oid is not null then 'no' end as preferred,
    -- default: of a base type
    b.typdefault as default,
    -- element: the type that the subscripts of a base type give
    case when b.typelem <> 0 then format_type(b.typelem, null) end as element,
    -- delimiter: between the elements of an array of a base type
    b.typdelim as delimiter,
    -- collatable: whether values of a base type have a collation
    case when b.typcollation <> 0 then 'yes' when b.oid is not null then 'no' end as collatable,
    -- used: not compared: whether anything uses the type, its array or its row; what exists on one side only and is not
    -- used is a class of its own
    case when exists (
        select from pg_depend d left join pg_class user_ on d.classid = 'pg_class'::regclass and user_.oid = d.objid
        where d.refclassid = 'pg_type'::regclass and d.refobjid in (t.oid, t.typarray) and d.deptype <> 'i'
            and user_.relpersistence is distinct from 't'
    ) then 'yes' end as used,
    'pg_type'::regclass::oid || ' ' || t.oid || ' 0' as address
from (select 0::oid as rngmultitypid, 0::oid as typsubscript) as older
join pg_type t on true
join pg_namespace n on n.oid = t.typnamespace
-- Most rows are those of tables and their arrays.
left join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
left join lateral (
    select rngsubtype, rngsubopc, rngcollation, rngcanonical, rngsubdiff, rngmultitypid
    from pg_range where rngtypid = t.oid
) r on t.typtype = 'r'
-- A base type once more, to see null for the others.
left join lateral (
    select *, typsubscript::oid as subscript from pg_type where oid = t.oid
) b on t.typtype = 'b' and t.typisdefined
left join lateral (
    select
        string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
            || coalesce(' COLLATE ' || quote_ident(s.nspname) || '.' || quote_ident(co.collname), ''),
            E'\n' order by a.attnum) as attributes,
        string_agg(quote_ident(a.attname) || ': '
            || case when d.description ~ E'[\n\r]|^''' then quote_literal(d.description)
                else d.description end, E'\n' order by a.attnum) as comments
    from pg_attribute a
    join pg_type at on at.oid = a.atttypid
    left join pg_collation co on co.oid = a.attcollation and a.attcollation <> at.typcollation
    left join pg_namespace s on s.oid = co.collnamespace
    left join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = c.oid and d.objsubid = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) composite on c.oid is not null
where (t.typtype in ('e', 'r', 'p') or t.typtype = 'c' and c.oid is not null
        -- Only the types of arrays are read by array_in.
        or t.typtype = 'b' and t.typinput <> 'array_in'::regproc)
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_type'::regclass and deptype = 'e'
    )
