-- Extensions that the deltas create: whether the server has them, and the role may.
-- codes: extension_missing, extension_privilege
with given as (
    select current_setting('pum.preflight')::json as g
), wanted as (
    select json_array_elements_text(g -> 'extensions') as name from given
), due as (
    select w.name, e.default_version, to_jsonb(v) as version
    from wanted w
    left join pg_available_extensions e on e.name = w.name
    left join pg_available_extension_versions v on v.name = e.name and v.version = e.default_version
    where not exists (select 1 from pg_extension i where i.extname = w.name)
)
select case when default_version is null then 'extension_missing' else 'extension_privilege' end as code,
       'blocks' as severity,
       case when default_version is null then format('the deltas create the extension %I, which this server does not have', name)
            else format('the deltas create the extension %I, which only a superuser may, and the role %s is none', name, current_user) end as what,
       'that delta fails at CREATE EXTENSION'
       || case when default_version is null then '' else ', unless the hoster of the server lets this role' end as effect,
       case when default_version is null then 'install its package on the server; SELECT * FROM pg_available_extensions shows what is there'
            else format('let a superuser run it before: CREATE EXTENSION %I', name) end as advice
from due
where default_version is null
   or (version ->> 'superuser')::bool and not coalesce((version ->> 'trusted')::bool, false)
      and not (select rolsuper from pg_roles where rolname = current_user)
order by name
