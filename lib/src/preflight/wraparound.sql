-- Vacuums against the wraparound of transaction numbers, which do not give way to anybody, and tables that get one soon.
-- codes: wraparound_vacuum, wraparound_near
with given as (
    select current_setting('pum.preflight')::json as g
), limits as (
    select current_setting('autovacuum_freeze_max_age')::float8 as xids,
           current_setting('autovacuum_multixact_freeze_max_age')::float8 as multixacts
), aged as (
    select coalesce(owner.oid, c.oid)::regclass as relation,
           max(greatest(age(c.relfrozenxid) / least(limits.xids, own.xids),
                        mxid_age(c.relminmxid) / least(limits.multixacts, own.multixacts))) as share,
           max(age(c.relfrozenxid)) as age
    from limits, pg_class c
    left join pg_class owner on owner.reltoastrelid = c.oid and c.relkind = 't'
    cross join lateral (
        select max(option_value::float8) filter (where option_name = 'autovacuum_freeze_max_age') as xids,
               max(option_value::float8) filter (where option_name = 'autovacuum_multixact_freeze_max_age') as multixacts
        from pg_options_to_table(c.reloptions)
    ) own
    where c.relkind in ('r', 'm', 't') and c.oid >= 16384 and c.relfrozenxid <> '0' and c.relpersistence <> 't'
    group by 1
), near as (
    select relation, share, age, row_number() over (order by share desc, relation::text) as place
    from aged where share >= 0.95
)
select 'wraparound_vacuum' as code,
       'delays' as severity,
       format('autovacuum process %s freezes %s to prevent wraparound, for %s%s', p.pid, coalesce(owner.oid, p.relid)::regclass,
              date_trunc('second', clock_timestamp() - a.query_start),
              case when p.heap_blks_total > 0 then format(', %s %% of it read', 100 * p.heap_blks_scanned / p.heap_blks_total) end) as what,
       'it does not give way as other autovacuums do: a delta that changes the table ' || (g ->> 'waits') as effect,
       format('wait for its end (SELECT * FROM pg_stat_progress_vacuum WHERE pid = %s); cancelled, it begins anew', p.pid) as advice
from given, pg_stat_progress_vacuum p
join pg_stat_activity a on a.pid = p.pid
left join pg_class owner on owner.reltoastrelid = p.relid
where p.datname = current_database() and p.relid >= 16384
  and a.backend_type = 'autovacuum worker' and a.query like '%(to prevent wraparound)'
union all
select 'wraparound_near',
       case when max(share) >= 1 then 'delays' else 'know' end,
       format('%s: %s of the age at which autovacuum freezes it to prevent wraparound%s', string_agg(relation::text, ', ' order by place) filter (where place <= 5),
              round(100 * max(share)) || ' %',
              case when count(*) > 5 then format('; and %s more tables', count(*) - 5) end),
       'such a vacuum can begin at any moment and gives way to nobody: a delta that changes the table ' || (max(g ->> 'waits')),
       format('freeze before the upgrade: VACUUM (FREEZE) %s', string_agg(relation::text, ', ' order by place) filter (where place <= 5))
from given, near
having count(*) > 0
