-- Replication slots that nobody reads: they keep WAL.
-- codes: inactive_slot
select 'inactive_slot' as code,
       'know' as severity,
       format('nobody reads the %s replication slot %L%s; it keeps %s of WAL', slot_type, slot_name,
              case when database is not null then format(' of the database %s', database) end,
              pg_size_pretty(pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn))) as what,
       'all WAL that the upgrade writes is kept too, and the disk of the server may fill up'
       || case when coalesce(current_setting('max_slot_wal_keep_size', true), '-1') <> '-1'
               then format(' until max_slot_wal_keep_size (%s) gives the slot up', current_setting('max_slot_wal_keep_size', true)) else '' end as effect,
       format('bring its reader back, or drop it when nobody needs it: SELECT pg_drop_replication_slot(%L)', slot_name) as advice
from pg_replication_slots
where not active and restart_lsn is not null and not temporary
order by slot_name
