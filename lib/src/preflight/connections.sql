-- How many sessions more can be opened.
-- codes: few_connections
with given as (
    select current_setting('pum.preflight')::json as g
), role as (
    select rolname, rolsuper, rolconnlimit from pg_roles where rolname = session_user
), session as (
    select datname, usename from pg_stat_activity
    where usename is not null and datname is not null and coalesce(backend_type, 'client backend') = 'client backend'
), open as (
    select count(*) as all, count(*) filter (where datname = current_database()) as here,
           count(*) filter (where usename = session_user) as own
    from session
), limits as (
    select 'the server (max_connections)' as name,
           current_setting('max_connections')::int
           - case when rolsuper then 0 else current_setting('superuser_reserved_connections')::int
                  + coalesce(current_setting('reserved_connections', true), '0')::int end as most, open.all as used
    from role, open
    union all
    select format('the database %s', current_database()), datconnlimit, here
    from pg_database, role, open where datname = current_database() and datconnlimit >= 0 and not rolsuper
    union all
    select format('the role %s', rolname), rolconnlimit, own from role, open where rolconnlimit >= 0 and not rolsuper
)
-- The session that asks is one of pum's.
select 'few_connections' as code,
       case when most - used + 1 < 2 then 'blocks' else 'know' end as severity,
       format('%s takes %s connections of this role, and %s are in use', name, most, used - 1) as what,
       format('the upgrade needs 2 to begin and up to %s; without them it stops', g ->> 'sessions') as effect,
       'end sessions that nobody needs: SELECT pid, usename, application_name, state, state_change FROM pg_stat_activity ORDER BY state_change' as advice
from given, limits
where most - used + 1 < (g ->> 'sessions')::int + 3
