-- Functions, procedures, aggregates and window functions. Argument types and kind are part of the name.
select
    n.nspname as schema,
    case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' when 'w' then 'window ' else '' end
        || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')' as name,
    'pg_proc'::regclass::oid || ' ' || p.oid || ' 0' as address,
    -- owner: the role it belongs to
    pg_get_userbyid(p.proowner) as owner,
    -- arguments: modes, names, types and defaults
    pg_get_function_arguments(p.oid) as arguments,
    -- returns: the result with `SETOF` or `TABLE`
    pg_get_function_result(p.oid) as returns,
    -- language: of all but aggregates
    case when p.prokind <> 'a' then l.lanname end as language,
    -- volatility: immutable, stable, volatile
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    -- strict: whether null arguments give null
    case when p.proisstrict then 'yes' else 'no' end as strict,
    -- security: definer, invoker
    case when p.prosecdef then 'definer' else 'invoker' end as security,
    -- leakproof: yes, no
    case when p.proleakproof then 'yes' else 'no' end as leakproof,
    -- parallel: safe, restricted, unsafe
    case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end as parallel,
    -- cost: the estimated cost
    p.procost as cost,
    -- rows: the estimated rows of a set
    case when p.proretset then p.prorows end as rows,
    -- support: the planner support function
    case when p.prosupport <> 0 then p.prosupport::regproc end as support,
    -- settings: what `SET` gives it, sorted, a line each; of passwords, keys and the like only `(hidden)`: neither shown
    -- nor compared
    case when p.proconfig is not null then (
        select string_agg(o.option_name || '=' || case
            when o.option_value ~* '^(true|false|on|off|yes|no)$' then o.option_value
            when o.option_name ~* 'pass(?!ive|thr|word_enc)|pwd|secret|token|credential|private|auth(?!or(s|$|_))|jwt|bearer'
                    '|cookie|signature|(?<!primary_)key(?!space|word|_?col)|(^|[^a-z])(sig|sas|sid|pat)([^a-z]|$)'
                or o.option_value ~* '(pass|pwd|secret|token|credential|key|auth|signature|sas|sig)[a-z_]*["'']?\s*[=:]'
                    '|://[^@]*:[^@]*@|^[^\s/@]+/[^\s/@]+@|(^|\s)(-u|--user|--pass)|(basic|bearer)\s+\S|-----begin'
                then '(hidden)'
            when o.option_value ~ E'[\n\r]|^''' then quote_literal(o.option_value)
            else o.option_value
        end, E'\n' order by o.option_name collate "C")
        from pg_options_to_table(p.proconfig) o
    ) end as settings,
    -- transforms: the types of `TRANSFORM`, sorted
    case when p.protrftypes is not null then (
        select string_agg(format_type(type, null), ', ' order by format_type(type, null) collate "C")
        from unnest(p.protrftypes) type
    ) end as transforms,
    -- body: the source as it is, line ends included; for C the symbol
    case when p.prokind <> 'a' and not p.standard then p.prosrc end as body,
    -- The text of a body in standard SQL has no function of its own before PostgreSQL 14.
    -- sql_body: a body in standard SQL (PostgreSQL 14)
    case when p.standard
        then btrim(substring(pg_get_functiondef(p.oid) from E'\n((?:RETURN|BEGIN ATOMIC).*)$'), E'\n') end as sql_body,
    -- library: of a C function
    p.probin as library,
    -- aggregate: everything of an aggregate, a line each
    case when a.aggfnoid is not null then concat_ws(E'\n',
        'kind ' || case a.aggkind when 'o' then 'ordered set' when 'h' then 'hypothetical' else 'normal' end,
        case when a.aggkind <> 'n' then 'direct arguments ' || a.aggnumdirectargs end,
        'sfunc ' || a.aggtransfn::regprocedure,
        'stype ' || format_type(a.aggtranstype, null),
        case when a.aggtransspace <> 0 then 'sspace ' || a.aggtransspace end,
        case when a.aggfinalfn <> 0 then 'finalfunc ' || a.aggfinalfn::regprocedure end,
        case when a.aggfinalextra then 'finalfunc_extra' end,
        'finalfunc_modify ' || a.aggfinalmodify::text,
        case when a.aggcombinefn <> 0 then 'combinefunc ' || a.aggcombinefn::regprocedure end,
        case when a.aggserialfn <> 0 then 'serialfunc ' || a.aggserialfn::regprocedure end,
        case when a.aggdeserialfn <> 0 then 'deserialfunc ' || a.aggdeserialfn::regprocedure end,
        'initcond ' || a.agginitval,
        case when a.aggmtransfn <> 0 then 'msfunc ' || a.aggmtransfn::regprocedure end,
        case when a.aggminvtransfn <> 0 then 'minvfunc ' || a.aggminvtransfn::regprocedure end,
        case when a.aggmtranstype <> 0 then 'mstype ' || format_type(a.aggmtranstype, null) end,
        case when a.aggmtransspace <> 0 then 'msspace ' || a.aggmtransspace end,
        case when a.aggmfinalfn <> 0 then 'mfinalfunc ' || a.aggmfinalfn::regprocedure end,
        case when a.aggmfinalextra then 'mfinalfunc_extra' end,
        case when a.aggmtransfn <> 0 then 'mfinalfunc_modify ' || a.aggmfinalmodify::text end,
        'minitcond ' || a.aggminitval,
        case when a.aggsortop <> 0 then 'sortop ' || a.aggsortop::regoperator end
    ) end as aggregate,
    -- depends_on_extension: the extensions with which it goes, sorted
    bound.extensions as depends_on_extension
from (select null::pg_node_tree as prosqlbody) as older
cross join lateral (
    select p.*, prosqlbody is not null as standard from pg_proc p
) p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
left join pg_aggregate a on a.aggfnoid = p.oid
left join (
    select d.objid, string_agg(quote_ident(e.extname), ', ' order by e.extname) as extensions
    from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.refclassid = 'pg_extension'::regclass and d.classid = 'pg_proc'::regclass and d.deptype = 'x'
    group by 1
) bound on bound.objid = p.oid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    -- Members of extensions, and what a range type brings with it.
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i')
    )
