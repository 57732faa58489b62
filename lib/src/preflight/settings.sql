-- Settings that the role, the database or the server gives to sessions. pum sets its own in the sessions of SQL deltas; a
-- Python delta opens sessions of its own.
-- codes: replica_role, python_timeout, python_read_only
with given as (
    select current_setting('pum.preflight')::json as g
)
select case when name = 'session_replication_role' then 'replica_role'
            when name = 'default_transaction_read_only' then 'python_read_only' else 'python_timeout' end as code,
       'know' as severity,
       format('sessions of the role %s begin with %s = %s%s', session_user, name, reset_val, unit) as what,
       case when name = 'session_replication_role' then 'triggers and foreign keys do not fire in the deltas, and what they would have done or refused is not'
            when name = 'default_transaction_read_only' then 'a Python delta that is due cannot write, unless it sets that in its own session; SQL deltas can'
            else 'a Python delta that is due is ended when it takes longer, unless it sets that in its own session; SQL deltas are not' end as effect,
       format('ALTER ROLE %I RESET %s; or ALTER DATABASE %I RESET %s; SELECT * FROM pg_db_role_setting shows where it is set', session_user, name, current_database(), name) as advice
from given, pg_settings
where name = 'session_replication_role' and reset_val <> 'origin'
   or (g ->> 'python')::bool
      and (name = 'default_transaction_read_only' and reset_val = 'on'
           or name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') and reset_val <> '0')
order by name
