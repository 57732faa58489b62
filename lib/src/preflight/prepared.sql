-- Prepared transactions of this database, which no session holds and no restart ends, and which relations they lock.
-- codes: prepared_transaction
with given as (
    select current_setting('pum.preflight')::json as g
), named as (
    select json_array_elements_text(g -> 'named') as name from given
), held as (
    select l.virtualtransaction as holder,
           string_agg(format('%s (%s%s)', l.relation::regclass,
                             upper(ltrim(regexp_replace(replace(l.mode, 'Lock', ''), '([A-Z])', ' \1', 'g'))),
                             case when lower(c.relname) in (select name from named) then ', named in the deltas' end),
                      ', ' order by l.relation::regclass::text) as list
    from pg_locks l
    join pg_class c on c.oid = l.relation
    where l.locktype = 'relation' and l.pid is null and c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and l.database = (select oid from pg_database where datname = current_database())
    group by 1
)
select 'prepared_transaction' as code,
       'delays' as severity,
       format('the prepared transaction %L of %s, for %s%s', p.gid, p.owner, date_trunc('second', clock_timestamp() - p.prepared),
              coalesce('; it holds ' || held.list, '; it holds no lock on a relation')) as what,
       case when held.list is null then 'CREATE INDEX CONCURRENTLY and its like wait for its end'
            else 'a delta that changes one of them ' || (g ->> 'waits') end as effect,
       format('ask whoever prepared it, then COMMIT PREPARED %1$L or ROLLBACK PREPARED %1$L: nothing else ends it, not even a restart', p.gid) as advice
from given, pg_prepared_xacts p
-- What holds the lock on the transaction's own number holds its other locks.
left join pg_locks own on own.locktype = 'transactionid' and own.transactionid = p.transaction and own.granted and own.pid is null
left join held on held.holder = own.virtualtransaction
where p.database = current_database()
order by p.prepared
