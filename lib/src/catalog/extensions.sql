-- Extensions. Their members belong to them and are not compared.
select
    e.extname as name,
    -- schema_name: where its objects are
    n.nspname as schema_name,
    -- version: the version that is installed in the database; `pg_dump` does not show it
    e.extversion as version,
    -- configuration: tables whose rows `pg_dump` takes along, with the condition that the rows fulfil, a line each
    case when e.extconfig is not null then (
        select string_agg(concat_ws(' ', c.id::regclass::text, nullif(c.condition, '')), E'\n'
            order by c.id::regclass::text collate "C")
        from unnest(e.extconfig, e.extcondition) c(id, condition)
    ) end as configuration,
    -- owner: the owner
    pg_get_userbyid(e.extowner) as owner,
    'pg_extension'::regclass::oid || ' ' || e.oid || ' 0' as address
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
