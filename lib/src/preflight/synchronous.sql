-- Whether a COMMIT finds the synchronous standbys that it has to wait for.
-- codes: no_synchronous_standby
with wanted as (
    select current_setting('synchronous_standby_names') as names,
           coalesce(substring(lower(current_setting('synchronous_standby_names')) from '^\s*(?:first\s+|any\s+)?(\d+)\s*\('), '1')::int as count
), there as (
    -- The state of a replica is hidden from who may not read it; without any replica there is nothing to hide.
    select count(*) filter (where sync_state in ('sync', 'quorum')) as synchronous,
           count(*) filter (where state is null) as hidden
    from pg_stat_replication
)
select 'no_synchronous_standby' as code,
       case when hidden = 0 then 'blocks' else 'not_seen' end as severity,
       case when hidden = 0
           then format('synchronous_standby_names is %L and wants %s of them; connected are %s', names, count, synchronous)
           else format('whether the synchronous standbys that synchronous_standby_names (%L) wants are connected', names) end as what,
       case when hidden = 0
           then 'every COMMIT of the upgrade waits without end for a standby that is not there, with all its locks held'
           else format('the role %s is no member of pg_read_all_stats', current_user) end as effect,
       'bring the standby back (SELECT application_name, state, sync_state FROM pg_stat_replication shows who is there), or do without it: ALTER SYSTEM SET synchronous_standby_names = ''''; SELECT pg_reload_conf()' as advice
from wanted, there
where names <> '' and synchronous < count
  and not pg_is_in_recovery()
  -- Without senders nothing is waited for.
  and current_setting('max_wal_senders')::int > 0
