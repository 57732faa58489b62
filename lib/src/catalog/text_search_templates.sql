-- Text search templates.
select
    n.nspname as schema,
    t.tmplname as name,
    -- init: the function that sets a dictionary up
    case when t.tmplinit <> 0 then t.tmplinit::oid::regprocedure end as init,
    -- lexize: the function that looks up a token
    t.tmpllexize::oid::regprocedure as lexize,
    'pg_ts_template'::regclass::oid || ' ' || t.oid || ' 0' as address
from pg_ts_template t
join pg_namespace n on n.oid = t.tmplnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and t.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_ts_template'::regclass and deptype = 'e'
    )
