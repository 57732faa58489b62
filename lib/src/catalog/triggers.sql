-- Triggers of tables and views. Those that PostgreSQL keeps for foreign keys are read with the constraints; a partition's
-- copy of its parent's trigger only where it is switched otherwise.
select
    n.nspname as schema,
    c.relname as relation,
    t.tgname as name,
    case when condition.expression is null then definition.text
        else replace(definition.text, 'WHEN (' || condition.expression || ') ', '') end as definition,
    condition.expression as condition,
    case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'replica' else 'always' end as enabled,
    case when t.tgparentid <> 0 then 'yes' end as inherited
from (select 0::oid as tgparentid) as older
cross join lateral (
    select oid, tgname, tgrelid, tgisinternal, tgenabled, tgqual, tgparentid from pg_trigger
) t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_trigger parent on parent.oid = t.tgparentid
cross join lateral (select pg_get_triggerdef(t.oid) as text) definition
cross join lateral (
    select case when t.tgqual is not null then substring(
        definition.text from ' FOR EACH (?:ROW|STATEMENT) WHEN \((.*)\) EXECUTE (?:FUNCTION|PROCEDURE) '
    ) end as expression
) condition
where case when t.tgparentid = 0 then not t.tgisinternal else t.tgenabled <> parent.tgenabled end
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_trigger'::regclass and deptype = 'e'
    )
