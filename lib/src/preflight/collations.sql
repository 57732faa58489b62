-- Texts that the library of the server sorts otherwise than the one under which the indexes on them were built: what the
-- database, and each collation that an index uses, recorded of it.
-- codes: collation_version
with used as (
    select distinct u.collated
    from pg_index i, unnest(i.indcollation::oid[]) as u (collated)
    where i.indrelid >= 16384
)
select 'collation_version' as code,
       'know' as severity,
       format('the database %I was built with version %s of its collations, and this server has %s', d.datname, d.datcollversion, a.version) as what,
       'texts may sort otherwise: an index on them does not find every row, and a unique one takes duplicates, in the deltas too' as effect,
       format('build the indexes again, which locks one table after the other: REINDEX DATABASE %1$I; then ALTER DATABASE %1$I REFRESH COLLATION VERSION', d.datname) as advice
from pg_database d
cross join lateral (select coalesce(pg_database_collation_actual_version(d.oid), 'none') as version) a
where d.datname = current_database() and d.datcollversion <> a.version
union all
select 'collation_version',
       'know',
       format('the collation %s, which indexes use, was made with version %s of its library, and this server has %s', c.oid::regcollation, c.collversion, a.version),
       'texts in it may sort otherwise: an index on them does not find every row, and a unique one takes duplicates, in the deltas too',
       format('build the indexes on texts in it again with REINDEX; then ALTER COLLATION %s REFRESH VERSION', c.oid::regcollation)
from used
join pg_collation c on c.oid = used.collated
cross join lateral (select coalesce(pg_collation_actual_version(c.oid), 'none') as version) a
where c.collversion <> a.version
order by 3
