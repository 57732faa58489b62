-- Settings that connections to this database begin with: `ALTER DATABASE ... SET`, and `ALTER ROLE ... IN DATABASE ...
-- SET` as `role: setting`.
select
    case s.setrole when 0 then '' else quote_ident(pg_get_userbyid(s.setrole)) || ': ' end
        || o.option_name as name,
    -- value: of passwords, keys and the like only `(hidden)`: neither shown nor compared
    case
        when o.option_value ~* '^(true|false|on|off|yes|no)$' then o.option_value
        when o.option_name ~* 'pass(?!ive|thr|word_enc)|pwd|secret|token|credential|private|auth(?!or(s|$|_))|jwt|bearer'
                '|cookie|signature|(?<!primary_)key(?!space|word|_?col)|(^|[^a-z])(sig|sas|sid|pat)([^a-z]|$)'
            or o.option_value ~* '(pass|pwd|secret|token|credential|key|auth|signature|sas|sig)[a-z_]*["'']?\s*[=:]'
                '|://[^@]*:[^@]*@|^[^\s/@]+/[^\s/@]+@|(^|\s)(-u|--user|--pass)|(basic|bearer)\s+\S|-----begin'
            then '(hidden)'
        when o.option_value ~ E'[\n\r]|^''' then quote_literal(o.option_value)
        else o.option_value
    end as value
from pg_db_role_setting s
cross join lateral pg_options_to_table(s.setconfig) o
where s.setdatabase = (select oid from pg_database where datname = current_database())
