-- The archive of WAL, and a wal_level that is too low for what the deltas create.
-- codes: archiver_failing, wal_level
with given as (
    select current_setting('pum.preflight')::json as g
)
select 'archiver_failing' as code,
       'know' as severity,
       format('WAL cannot be archived: the last failure was at %s (%s), the last success %s', date_trunc('second', last_failed_time), last_failed_wal,
              coalesce('at ' || date_trunc('second', last_archived_time)::text, 'never')) as what,
       'all WAL that the upgrade writes stays in pg_wal until archiving works again, and the disk may fill up; a restore to a time before the upgrade may not be possible' as effect,
       'mend archive_command or archive_library (the server''s log says why it fails); SELECT * FROM pg_stat_archiver shows when it works again' as advice
from pg_stat_archiver
where current_setting('archive_mode') <> 'off' and last_failed_time > coalesce(last_archived_time, '-infinity')
union all
select 'wal_level', 'know',
       format('wal_level is %s, and the deltas that are due have CREATE PUBLICATION', current_setting('wal_level')),
       'the publication is created and publishes nothing',
       'ALTER SYSTEM SET wal_level = logical, and restart the server'
from given
where current_setting('wal_level') <> 'logical' and (g -> 'creates')::jsonb ? 'publication'
