-- Whether the server takes changes.
-- codes: standby
select 'standby' as code,
       'blocks' as severity,
       format('%s is a standby server, which takes no changes', current_setting('pum.preflight')::json ->> 'target') as what,
       'the first statement that writes is refused' as effect,
       'name the primary server' as advice
where pg_is_in_recovery()
