-- Triggers of tables and views. Those that PostgreSQL keeps for foreign keys are read with the constraints; a partition's
-- copy of its parent's trigger only where it is switched otherwise.
select
    n.nspname as schema,
    c.relname as relation,
    t.tgname as name,
    'pg_trigger'::regclass::oid || ' ' || t.oid || ' 0' as address,
    -- timing: before, after, instead of
    case when t.tgtype & 2 <> 0 then 'before' when t.tgtype & 64 <> 0 then 'instead of' else 'after' end as timing,
    -- events: insert, update, delete, truncate
    concat_ws(', ', case when t.tgtype & 4 <> 0 then 'insert' end, case when t.tgtype & 16 <> 0 then 'update' end,
        case when t.tgtype & 8 <> 0 then 'delete' end, case when t.tgtype & 32 <> 0 then 'truncate' end) as events,
    -- columns: of `UPDATE OF`, sorted
    case when t.tgattr[0] is not null then (
        select string_agg(quote_ident(a.attname), ', ' order by a.attname)
        from pg_attribute a where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr)
    ) end as columns,
    -- level: row, statement
    case when t.tgtype & 1 <> 0 then 'row' else 'statement' end as level,
    -- condition: `WHEN`
    condition.expression as condition,
    -- function: what it calls
    t.tgfoid::regproc as function,
    -- arguments: what it calls it with
    case when t.tgnargs > 0 then (
        select string_agg(quote_literal(convert_from(decode(argument[1], 'hex'), getdatabaseencoding())), ', '
            order by number)
        from regexp_matches(encode(t.tgargs, 'hex'), '((?:..)*?)00', 'g') with ordinality as split(argument, number)
    ) end as arguments,
    -- old_table: the transition table of the rows before
    t.tgoldtable as old_table,
    -- new_table: the transition table of the rows after
    t.tgnewtable as new_table,
    -- deferrable: of a constraint trigger: no, initially immediate, initially deferred
    case when t.tgconstraint <> 0 then case when t.tginitdeferred then 'initially deferred'
        when t.tgdeferrable then 'initially immediate' else 'no' end end as deferrable,
    -- from_table: the table of `FROM`
    case when t.tgconstrrelid <> 0 then t.tgconstrrelid::regclass end as from_table,
    -- enabled: yes, no, replica, always
    case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'replica' else 'always' end as enabled,
    -- inherited: whether the parent's trigger stands behind it
    case when parent.oid is not null then 'yes' end as inherited,
    -- depends_on_extension: the extensions with which it goes, sorted
    bound.extensions as depends_on_extension
from (select null::oid as tgparentid) as older
cross join lateral (
    select oid, tgname, tgrelid, tgisinternal, tgenabled, tgqual, tgconstraint, tgconstrrelid, tgparentid, tgtype, tgattr,
        tgfoid, tgnargs, tgargs, tgoldtable, tgnewtable, tgdeferrable, tginitdeferred
    from pg_trigger
) t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
-- Before PostgreSQL 13 only a dependency leads to the parent.
left join pg_depend d on t.tgparentid is null and t.tgisinternal
    and d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_trigger'::regclass
left join pg_trigger parent on parent.oid = coalesce(t.tgparentid, d.refobjid)
left join (
    select d.objid, string_agg(quote_ident(e.extname), ', ' order by e.extname) as extensions
    from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.refclassid = 'pg_extension'::regclass and d.classid = 'pg_trigger'::regclass and d.deptype = 'x'
    group by 1
) bound on bound.objid = t.oid
-- Only the definition of the whole trigger has the text of its condition.
cross join lateral (
    select case when t.tgqual is not null then substring(
        pg_get_triggerdef(t.oid) from ' FOR EACH (?:ROW|STATEMENT) WHEN \((.*)\) EXECUTE (?:FUNCTION|PROCEDURE) '
    ) end as expression
) condition
where case when parent.oid is null then not t.tgisinternal
        else t.tgenabled <> parent.tgenabled
            and not exists (select from pg_constraint k where k.oid = t.tgconstraint and k.contype = 'f') end
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_trigger'::regclass and deptype = 'e'
    )
