-- Indexes and constraints that are there and do not hold.
-- codes: invalid_index, constraint_not_valid
select 'invalid_index' as code,
       'know' as severity,
       format('the index %s of %s is %s', i.indexrelid::regclass, i.indrelid::regclass,
              case when not i.indislive then 'being dropped' when not i.indisready then 'not ready' else 'not valid' end) as what,
       'no query uses it; CREATE INDEX IF NOT EXISTS takes it for the one that is wanted, and if it is unique, duplicates may be there' as effect,
       case when c.relkind = 'I' then format('attach the missing indexes of the partitions: ALTER INDEX %s ATTACH PARTITION ...', i.indexrelid::regclass)
            else format('build it again: REINDEX INDEX CONCURRENTLY %1$s; or DROP INDEX CONCURRENTLY %1$s', i.indexrelid::regclass) end as advice
from pg_index i
join pg_class c on c.oid = i.indexrelid
where not (i.indisvalid and i.indisready and i.indislive)
  -- One that is being built is told as a command at work.
  and not exists (select 1 from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
union all
select 'constraint_not_valid',
       'know',
       format('the constraint %I of %s is NOT VALID', c.conname, c.conrelid::regclass),
       'rows from before it may break it: a delta that validates it fails at the first of them',
       format('ALTER TABLE %s VALIDATE CONSTRAINT %I, which names what breaks it', c.conrelid::regclass, c.conname)
from pg_constraint c
where not c.convalidated and c.conrelid <> 0
  -- PostgreSQL 18: what is not enforced is never valid.
  and coalesce(to_jsonb(c) ->> 'conenforced', 'true') = 'true'
order by 1 desc, 3
