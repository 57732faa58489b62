-- Policies of row security.
select
    n.nspname as schema,
    c.relname as relation,
    p.polname as name,
    -- command: what it is for, or all
    case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE'
        else 'ALL' end as command,
    -- permissive: whether it lets rows through (yes) or keeps them back (no, `AS RESTRICTIVE`)
    case when p.polpermissive then 'yes' else 'no' end as permissive,
    -- roles: whom it is for, sorted
    (
        select string_agg(case r.id when 0 then 'public' else quote_ident(pg_get_userbyid(r.id)) end, ', '
            order by case r.id when 0 then 'public' else quote_ident(pg_get_userbyid(r.id)) end collate "C")
        from unnest(p.polroles) r(id)
    ) as roles,
    -- using: which rows there are for the role
    pg_get_expr(p.polqual, p.polrelid) as using,
    -- check: which rows the role may write
    pg_get_expr(p.polwithcheck, p.polrelid) as check,
    'pg_policy'::regclass::oid || ' ' || p.oid || ' 0' as address
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.oid not in (
        select objid from pg_depend
        where refclassid = 'pg_extension'::regclass and classid = 'pg_class'::regclass and deptype = 'e'
    )
