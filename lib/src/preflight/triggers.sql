-- Event triggers that fire on what the deltas do.
-- codes: event_trigger
select 'event_trigger' as code,
       'know' as severity,
       format('the event trigger %I of %s calls %s on %s%s', t.evtname, t.evtowner::regrole, t.evtfoid::regprocedure, t.evtevent,
              case when t.evttags is not null then ' for ' || array_to_string(t.evttags[1:5], ', ') || case when cardinality(t.evttags) > 5 then ', ...' else '' end end) as what,
       'it runs in the deltas, takes its time there and can refuse a statement' as effect,
       format('read what the function does; if it must not run, ALTER EVENT TRIGGER %1$I DISABLE, and afterwards ALTER EVENT TRIGGER %1$I ENABLE', t.evtname)
       || case when t.evtenabled = 'A' then ' ALWAYS' else '' end as advice
from pg_event_trigger t
where t.evtenabled in ('O', 'A') and t.evtevent <> 'login'
order by t.evtname
