-- Event triggers.
select
    t.evtname as name,
    -- event: such as `ddl_command_end`
    t.evtevent as event,
    -- tags: the commands of `WHEN TAG IN`, sorted
    case when t.evttags is not null
        then array_to_string(array(select tag from unnest(t.evttags) tag order by tag collate "C"), ', ') end as tags,
    -- function: what it calls
    t.evtfoid::regproc as function,
    -- enabled: yes, no, replica, always
    case t.evtenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'replica' else 'always' end as enabled,
    -- owner: the owner
    pg_get_userbyid(t.evtowner) as owner,
    'pg_event_trigger'::regclass::oid || ' ' || t.oid || ' 0' as address
from pg_event_trigger t
where t.oid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_event_trigger'::regclass and deptype = 'e'
)
