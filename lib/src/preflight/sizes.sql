-- What the database takes on disk, its largest tables, and where its files are if this role may know.
select json_build_object(
    'database', pg_database_size(current_database()),
    'default_tablespace', (select dattablespace = 1663 from pg_database where datname = current_database()),
    'data_directory', case when pg_has_role('pg_read_all_settings', 'USAGE') then current_setting('data_directory') end,
    'largest', (
        select coalesce(json_agg(t), '[]') from (
            select c.oid::regclass::text as name, pg_total_relation_size(c.oid) as bytes
            from (
                select oid from pg_class where relkind in ('r', 'm') and oid >= 16384 and reltablespace = 0
                -- To read a size takes a lock, for which who holds the table alone must not be waited for.
                and not exists (select 1 from pg_locks l where l.relation = pg_class.oid and l.mode = 'AccessExclusiveLock'
                                and l.database = (select oid from pg_database where datname = current_database()))
                order by relpages desc, oid limit 50
            ) c
            order by 2 desc nulls last, 1 limit 3
        ) t)
)::text
