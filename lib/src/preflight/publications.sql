-- Publications of tables: their subscribers do not get what the deltas do to the structure.
-- codes: publication
with given as (
    select current_setting('pum.preflight')::json as g
), named as (
    select json_array_elements_text(g -> 'named') as name from given
), published as (
    select t.pubname, format('%I.%I', t.schemaname, t.tablename) as name, lower(t.tablename) in (select name from named) as named,
           row_number() over (partition by t.pubname order by lower(t.tablename) in (select name from named) desc, t.schemaname, t.tablename) as place
    from pg_publication_tables t
)
select 'publication' as code,
       'know' as severity,
       format('the publication %I publishes %s%s', pubname,
              string_agg(name || case when named then ' (named in the deltas)' else '' end, ', ' order by place) filter (where place <= 5),
              case when count(*) > 5 then format(' and %s more tables', count(*) - 5) end) as what,
       'subscribers get rows and no structure: after a delta that changes a published table their replication stops with an error until they have the change too' as effect,
       'apply what only adds (columns, tables) to the subscribers first; SELECT * FROM pg_stat_replication shows who is connected' as advice
from published
group by pubname
order by pubname
