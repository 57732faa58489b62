-- Another run of pum that changes this database: it holds the advisory lock of the upgrades table.
-- codes: other_run
with given as (
    select current_setting('pum.preflight')::json as g
)
select 'other_run' as code,
       'delays' as severity,
       format('another run of pum changes this database: process %s of user %s%s, since %s', l.pid, coalesce(a.usename::text, '?'),
              case when a.client_addr is not null then format(' from %s', host(a.client_addr)) end,
              coalesce(date_trunc('second', a.backend_start)::text, '?')) as what,
       case when (g ->> 'waits_for_runs')::bool then 'this upgrade waits for its end as long as it may, and then stops'
            else 'this upgrade does not begin before its end' end as effect,
       'wait for its end, or let this run wait, such as --wait 10min' as advice
from given, pg_locks l
left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid <> pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database())
  and l.classid = (g ->> 'lock_class')::oid and l.objid = (g ->> 'lock_object')::oid
