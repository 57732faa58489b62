-- Procedural languages, except what comes with PostgreSQL; most are members of extensions.
select
    l.lanname as name,
    -- owner: the role
    pg_get_userbyid(l.lanowner) as owner,
    -- trusted: whether everyone may use it
    case when l.lanpltrusted then 'yes' else 'no' end as trusted,
    -- handler: the function that runs functions
    case when l.lanplcallfoid <> 0 then l.lanplcallfoid::regprocedure end as handler,
    -- inline: the function that runs the blocks of `DO`
    case when l.laninline <> 0 then l.laninline::regprocedure end as inline,
    -- validator: the function that looks at new functions
    case when l.lanvalidator <> 0 then l.lanvalidator::regprocedure end as validator,
    'pg_language'::regclass::oid || ' ' || l.oid || ' 0' as address
from pg_language l
where l.oid >= 16384
    and l.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_language'::regclass and deptype = 'e'
    )
