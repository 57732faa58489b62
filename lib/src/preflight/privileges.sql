-- What the role may not do and the upgrade must: write the upgrades table, or create it; create and alter what is
-- plain to see in the deltas.
-- codes: cannot_record, cannot_create, cannot_alter
with given as (
    select current_setting('pum.preflight')::json as g
), upgrades as (
    select c.oid, c.relowner, n.oid as schema, format('%I.%I', n.nspname, c.relname) as name
    from given
    join pg_namespace n on n.nspname = g ->> 'schema'
    join pg_class c on c.relnamespace = n.oid and c.relname = g ->> 'table'
), missing as (
    select 'USAGE ON SCHEMA ' || quote_ident(g ->> 'schema') as privilege, 1 as place
    from given, upgrades where not has_schema_privilege(schema, 'USAGE')
    union all
    select wanted || ' ON ' || name, 2
    from upgrades, unnest(array['SELECT', 'INSERT', 'UPDATE']) as wanted where not has_table_privilege(oid, wanted)
    union all
    -- The sequence of a serial; that of an identity needs none.
    select 'USAGE ON SEQUENCE ' || d.objid::regclass::text, 3
    from upgrades u
    join pg_attribute a on a.attrelid = u.oid and a.attname = 'id'
    join pg_depend d on d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
        and d.refobjid = u.oid and d.refobjsubid = a.attnum and d.deptype = 'a'
    join pg_class s on s.oid = d.objid and s.relkind = 'S'
    where not has_sequence_privilege(s.oid, 'USAGE, UPDATE')
    union all
    select 'CREATE ON ' || case when n.oid is null then format('DATABASE %I', current_database()) else format('SCHEMA %I', n.nspname) end, 4
    from given
    left join pg_namespace n on n.nspname = g ->> 'schema'
    where not exists (select 1 from upgrades)
      and not case when n.oid is null then has_database_privilege(current_database(), 'CREATE') else has_schema_privilege(n.oid, 'CREATE') end
)
select 'cannot_record' as code,
       'blocks' as severity,
       format('the role %s lacks %s', current_user, string_agg(privilege, ', ' order by place, privilege)) as what,
       'the upgrades table cannot be written, and no delta is applied without its record' as effect,
       'let the owner run: ' || string_agg(format('GRANT %s TO %I', privilege, current_user), '; ' order by place, privilege) as advice
from given, missing
where (g ->> 'records')::bool or place = 4
having count(*) > 0
union all
select 'cannot_record', 'blocks',
       format('the upgrades table %s lacks the columns %s, and the role %s does not own it', name, string_agg(wanted, ', ' order by wanted), current_user),
       'the columns cannot be added, and no delta is applied without its record',
       format('let the owner, %s, run the first upgrade with this version of pum', relowner::regrole)
from given, upgrades, json_array_elements_text(g -> 'columns') as wanted
where (g ->> 'records')::bool and not pg_has_role(relowner, 'USAGE')
  and not exists (select 1 from pg_attribute a where a.attrelid = upgrades.oid and a.attname = wanted and not a.attisdropped)
group by name, relowner
union all
select 'cannot_create', 'blocks',
       format('the role %s may not create in the database %s, and the deltas that are due have %s', current_user, current_database(),
              string_agg('CREATE ' || upper(created), ', ' order by created)),
       'that delta is refused, unless it takes another role first',
       format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
from given, json_array_elements_text(g -> 'creates') as created
where not has_database_privilege(current_database(), 'CREATE')
having count(*) > 0
union all
select 'cannot_create', 'blocks',
       format('the role %s may not create in the schema %s, and the deltas that are due do', current_user, string_agg(quote_ident(n.nspname), ', ' order by n.nspname)),
       'that delta is refused, unless it takes another role first',
       'let the owner run: ' || string_agg(format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', n.nspname, current_user), '; ' order by n.nspname)
from given, json_array_elements_text(g -> 'creates_in') as place
join pg_namespace n on n.nspname = place
where not (has_schema_privilege(n.oid, 'USAGE') and has_schema_privilege(n.oid, 'CREATE'))
having count(*) > 0
union all
select 'cannot_alter', 'blocks',
       format('the role %s does not own what the deltas that are due alter: %s', current_user,
              string_agg(format('%s (of %s)', relation, owner), ', ' order by place) filter (where place <= 5)
              || case when count(*) > 5 then format('; and %s more', count(*) - 5) else '' end),
       'that delta is refused, unless it takes another role first',
       'run the upgrade as the owner; or let a superuser run: '
       || string_agg(format('ALTER TABLE %s OWNER TO %I', relation, current_user), '; ' order by place) filter (where place <= 5)
from (
    select c.oid::regclass as relation, c.relowner::regrole as owner, row_number() over (order by n.nspname, c.relname) as place
    from given, json_array_elements(g -> 'alters') as altered
    join pg_namespace n on n.nspname = altered ->> 0
    join pg_class c on c.relnamespace = n.oid and c.relname = altered ->> 1
    where not pg_has_role(c.relowner, 'USAGE')
) strange
having count(*) > 0
