-- Foreign-data wrappers.
select
    w.fdwname as name,
    -- handler: the function that runs queries
    nullif(w.fdwhandler, 0)::regproc as handler,
    -- validator: the function that looks over options
    nullif(w.fdwvalidator, 0)::regproc as validator,
    -- options: sorted, a line each. The values of passwords, keys and the like are never shown, and so not compared:
    -- `(hidden)` says that there is one
    case when w.fdwoptions is not null then (
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
        from pg_options_to_table(w.fdwoptions) o
    ) end as options,
    -- owner: the owner
    pg_get_userbyid(w.fdwowner) as owner,
    'pg_foreign_data_wrapper'::regclass::oid || ' ' || w.oid || ' 0' as address
from pg_foreign_data_wrapper w
where w.oid not in (
    select objid from pg_depend
    where refclassid = 'pg_extension'::regclass and classid = 'pg_foreign_data_wrapper'::regclass and deptype = 'e'
)
