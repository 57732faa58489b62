-- Commands at work that hold a table: CREATE INDEX, REINDEX, VACUUM, CLUSTER.
-- codes: running_command
with given as (
    select current_setting('pum.preflight')::json as g
), running as (
    select pid, datname, relid, command, phase, blocks_done as done, blocks_total as total from pg_stat_progress_create_index
    union all
    select pid, datname, relid, command, phase, heap_blks_scanned, heap_blks_total from pg_stat_progress_cluster
    union all
    -- Autovacuum gives way, save against wraparound.
    select v.pid, v.datname, v.relid, 'VACUUM', v.phase, v.heap_blks_scanned, v.heap_blks_total
    from pg_stat_progress_vacuum v
    join pg_stat_activity a on a.pid = v.pid
    where a.backend_type = 'client backend' or a.backend_type is null and a.usename is not null
)
select 'running_command' as code,
       'delays' as severity,
       format('%s on %s: process %s of user %s%s, for %s%s', coalesce(r.command, 'a command'),
              case when r.relid is null then 'a table that this role may not know' else r.relid::regclass::text end, r.pid, a.usename,
              case when a.application_name <> '' then format(' (application %s)', a.application_name) end,
              coalesce(date_trunc('second', clock_timestamp() - a.query_start)::text, 'some time'),
              case when r.phase is not null then format(', %s%s', r.phase, case when r.total > 0 then format(', %s %%', 100 * r.done / r.total) end) end) as what,
       'a delta that changes this table ' || (g ->> 'waits') as effect,
       format('wait for its end, or cancel it: SELECT pg_cancel_backend(%s)', r.pid) as advice
from given, running r
join pg_stat_activity a on a.pid = r.pid
where r.datname = current_database() and r.pid <> pg_backend_pid()
order by r.pid
