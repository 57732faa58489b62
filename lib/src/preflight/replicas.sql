-- Replicas that lag behind.
-- codes: replica_lag
with now as (
    select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn
), replica as (
    select format('the replica %s%s (%s)', coalesce(nullif(application_name, ''), pid::text),
                  case when client_addr is not null then format(' at %s', host(client_addr)) end,
                  coalesce(sync_state, '?')) as name,
           coalesce(sync_state in ('sync', 'quorum'), false) as synchronous,
           state,
           pg_wal_lsn_diff(lsn, coalesce(replay_lsn, flush_lsn, sent_lsn)) as behind,
           pg_wal_lsn_diff(lsn, coalesce(flush_lsn, sent_lsn)) as unwritten,
           replay_lag
    from pg_stat_replication, now
)
select 'replica_lag' as code,
       case when synchronous and unwritten >= 16777216 then 'delays' else 'know' end as severity,
       format('%s is %s of WAL behind%s', name, pg_size_pretty(behind),
              case when replay_lag is not null then format(', %s', date_trunc('second', replay_lag)) end) as what,
       case when synchronous and unwritten >= 16777216 then 'every COMMIT of the upgrade waits until it has caught up'
            else 'what the upgrade writes comes on top: who reads there sees the old structure for longer, and the server keeps the WAL until then' end as effect,
       'let it catch up first: SELECT application_name, state, replay_lsn, replay_lag FROM pg_stat_replication' as advice
from replica
where state in ('streaming', 'catchup') and (behind >= 16777216 or replay_lag >= interval '10 s')
union all
select null, 'not_seen',
       format('how far %s replica%s behind', count(*), case when count(*) > 1 then 's are' else ' is' end),
       format('the role %s is no member of pg_read_all_stats', current_user),
       format('GRANT pg_read_all_stats TO %I', current_user)
from replica where state is null
having count(*) > 0
