-- Triggers of tables and views. Those that PostgreSQL keeps for foreign keys are read with the constraints; a partition's
-- copy of its parent's trigger only where it is switched otherwise.
select
    n.nspname as schema,
    c.relname as relation,
    t.tgname as name,
    'pg_trigger'::regclass::oid || ' ' || t.oid || ' 0' as address,
    -- definition: timing, events, columns, transition tables, deferrability, level, function and arguments
    case when condition.expression is null then definition.text
        else replace(definition.text, 'WHEN (' || condition.expression || ') ', '') end as definition,
    -- condition: `WHEN`
    condition.expression as condition,
    -- enabled: yes, no, replica, always
    case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'replica' else 'always' end as enabled,
    -- inherited: whether the parent's trigger stands behind it
    case when parent.oid is not null then 'yes' end as inherited
from (select null::oid as tgparentid) as older
cross join lateral (
    select oid, tgname, tgrelid, tgisinternal, tgenabled, tgqual, tgconstraint, tgparentid from pg_trigger
) t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
-- Before PostgreSQL 13 only a dependency leads to the parent.
left join pg_depend d on t.tgparentid is null and t.tgisinternal
    and d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_trigger'::regclass
left join pg_trigger parent on parent.oid = coalesce(t.tgparentid, d.refobjid)
cross join lateral (select pg_get_triggerdef(t.oid) as text) definition
cross join lateral (
    select case when t.tgqual is not null then substring(
        definition.text from ' FOR EACH (?:ROW|STATEMENT) WHEN \((.*)\) EXECUTE (?:FUNCTION|PROCEDURE) '
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
