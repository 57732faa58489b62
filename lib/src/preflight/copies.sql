-- COPY at work.
-- codes: running_command
with given as (
    select current_setting('pum.preflight')::json as g
)
select 'running_command' as code,
       'delays' as severity,
       format('%s %s: process %s of user %s%s, for %s%s', coalesce(r.command, 'COPY'),
              case when r.relid is null then 'of a table that this role may not know' else r.relid::regclass::text end, r.pid, a.usename,
              case when a.application_name <> '' then format(' (application %s)', a.application_name) end,
              coalesce(date_trunc('second', clock_timestamp() - a.query_start)::text, 'some time'),
              case when r.bytes_processed is not null then format(', %s so far', pg_size_pretty(r.bytes_processed)) end) as what,
       case when r.command = 'COPY TO' then 'a delta that needs ACCESS EXCLUSIVE on this table ' else 'a delta that changes this table ' end
       || (g ->> 'waits') as effect,
       format('wait for its end, or cancel it: SELECT pg_cancel_backend(%s)', r.pid) as advice
from given, pg_stat_progress_copy r
join pg_stat_activity a on a.pid = r.pid
where r.datname = current_database() and r.pid <> pg_backend_pid()
  -- Of a query, it locks what the query reads, and of a dump, that is told of the dump.
  and coalesce(r.relid, 1) <> 0 and a.application_name not in ('pg_dump', 'pg_dumpall')
order by r.pid
