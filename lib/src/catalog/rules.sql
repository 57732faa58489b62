-- Rules of tables and views, except the rule that is the view itself.
select
    n.nspname as schema,
    c.relname as relation,
    r.rulename as name,
    'pg_rewrite'::regclass::oid || ' ' || r.oid || ' 0' as address,
    -- event: the command
    case r.ev_type when '1' then 'SELECT' when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end as event,
    -- What follows the name of the table.
    -- definition: condition, `INSTEAD` and actions
    btrim(substr(definition.text, length('CREATE RULE ' || quote_ident(r.rulename) || E' AS\n    ON UPDATE TO '
        || quote_ident(n.nspname) || '.' || quote_ident(c.relname)) + 1), E' \n;') as definition,
    -- enabled: yes, no, replica, always
    case r.ev_enabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'replica' else 'always' end as enabled
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (select pg_get_ruledef(r.oid) as text) definition
where r.rulename <> '_RETURN'
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
