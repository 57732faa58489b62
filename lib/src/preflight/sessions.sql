-- Sessions in this database that are in a transaction for long, dumps among them, and which relations they lock.
-- codes: running_dump, idle_in_transaction, long_transaction
with given as (
    select current_setting('pum.preflight')::json as g
), named as (
    select json_array_elements_text(g -> 'named') as name from given
), modes as (
    select array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock',
                 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'] as weakest_first
), locked as (
    select l.pid, l.relation, lower(c.relname) in (select name from named) as named,
           max(array_position(weakest_first, l.mode)) as strength
    from modes, pg_locks l
    join pg_class c on c.oid = l.relation
    where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
      and l.database = (select oid from pg_database where datname = current_database())
      and c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    group by 1, 2, 3
), ranked as (
    select locked.*, row_number() over (partition by pid order by named desc, strength desc, relation::regclass::text) as place
    from locked
), held as (
    select pid, count(*) as relations, max(strength) as strongest,
           string_agg(format('%s (%s%s)', relation::regclass,
                             upper(ltrim(regexp_replace(replace(weakest_first[strength], 'Lock', ''), '([A-Z])', ' \1', 'g'))),
                             case when named then ', named in the deltas' end), ', ' order by place) filter (where place <= 5)
           || case when count(*) > 5 then format(' and %s more', count(*) - 5) else '' end as list
    from modes, ranked
    group by pid
), tables as (
    select count(*) as count from pg_class where oid >= 16384 and relkind in ('r', 'p')
), session as (
    select a.pid, a.state, a.query = '<insufficient privilege>' or a.state = 'disabled' as hidden,
           coalesce(a.state like 'idle in transaction%', false) as idle,
           date_trunc('second', clock_timestamp() - a.xact_start) as age,
           a.backend_xmin is not null as snapshot,
           coalesce(h.relations, 0) as relations, h.strongest, h.list,
           -- A dump by another program: it reads all tables in one snapshot.
           a.application_name in ('pg_dump', 'pg_dumpall')
           or coalesce(h.strongest = 1 and h.relations >= 10 and h.relations * 2 >= tables.count
                       and a.state = 'idle in transaction' and a.backend_xmin is not null, false) as dump,
           format('process %s of user %s%s%s', a.pid, a.usename,
                  case when a.application_name <> '' then format(' (application %s)', a.application_name) end,
                  case when a.client_addr is not null then format(' from %s', host(a.client_addr)) end) as who,
           left(regexp_replace(regexp_replace(regexp_replace(a.query, '\s+', ' ', 'g'), '://[^@/ ]*@', '://...@', 'g'),
                               '(passw).*$', '\1...', 'i'), 100) as query
    from tables, pg_stat_activity a
    left join held h on h.pid = a.pid
    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.usename is not null
      and coalesce(a.backend_type, 'client backend') not in ('autovacuum worker', 'walsender', 'parallel worker')
)
select case when dump then 'running_dump' when idle then 'idle_in_transaction' else 'long_transaction' end as code,
       case when relations > 0 or dump or snapshot and (g ->> 'concurrently')::bool then 'delays' else 'know' end as severity,
       who
       || case when dump then ', a dump' else '' end
       || coalesce(format(', in its transaction for %s', age), '')
       || case when idle then ', idle' else '' end
       || case when relations > 0 then format('; it holds %s', list) else '; it holds no lock on a relation' end
       || case when hidden or query = '' then '' when idle then format('; its last statement: %s', query)
               else format('; it runs: %s', query) end as what,
       case when relations = 0 and snapshot and (g ->> 'concurrently')::bool
               then 'CREATE INDEX CONCURRENTLY and its like, which are due, wait for its end'
            when relations = 0 then 'nothing yet; what it locks from now on is in the way'
            when strongest = 1 then 'a delta that needs ACCESS EXCLUSIVE on one of them (DROP, TRUNCATE, most of ALTER TABLE) ' || (g ->> 'waits')
            else 'a delta that changes one of them ' || (g ->> 'waits') end as effect,
       case when dump then format('wait until the dump is done, or give it up: SELECT pg_terminate_backend(%s)', pid)
            when idle then format('let its owner end the transaction, or end the session, which rolls it back: SELECT pg_terminate_backend(%s)', pid)
            else format('wait for its end, or cancel what it runs: SELECT pg_cancel_backend(%s)', pid) end as advice
from given, session
where dump or not hidden and extract(epoch from age) >= (g ->> 'long_transaction')::float
union all
select null,
       'not_seen',
       format('how long %s session%s of other roles %s in a transaction, and what %s (process %s)%s',
              count(*), case when count(*) > 1 then 's' end, case when count(*) > 1 then 'are' else 'is' end,
              case when count(*) > 1 then 'they run' else 'it runs' end,
              string_agg(pid::text, ', ' order by pid),
              '; locked: ' || string_agg(list, ', ' order by pid)),
       case when bool_or(state = 'disabled') then 'they have track_activities = off'
            else format('the role %s is no member of pg_read_all_stats', current_user) end,
       case when bool_or(state = 'disabled') then null else format('GRANT pg_read_all_stats TO %I', current_user) end
from session where hidden and not dump
having count(*) > 0
