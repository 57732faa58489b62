-- Subscriptions of this database.
select
    s.subname as name,
    -- enabled: whether it runs
    case when s.subenabled then 'yes' else 'no' end as enabled,
    -- publications: the publications on the other side, sorted
    array_to_string(array(select quote_ident(p) from unnest(s.subpublications) p order by p collate "C"), ', ')
        as publications,
    -- connection: the host, port, database and user of the connection string. Everything else of it, passwords above
    -- all, is neither shown nor compared; `(not readable)` for others than superusers
    case
        when not readable.value ? 'subconninfo' then '(not readable)'
        -- What does not look like this may hold a password anywhere.
        when conninfo.text ~ '^postgres(ql)?://' then case when uri.part is null then '(hidden)' else concat_ws(' ',
            'dbname=' || nullif(uri.part[4], ''), 'host=' || nullif(uri.part[2], ''), 'port=' || uri.part[3],
            'user=' || nullif(uri.part[1], '')) end
        else (
            select string_agg(word[1] || '=' || case when word[2] ~ '=|//' then '(hidden)'
                    else regexp_replace(word[2], '^''([^''\\\s]+)''$', '\1') end, ' '
                order by word[1] collate "C")
            from regexp_matches(conninfo.text,
                '(\w+)\s*=\s*(''(?:[^''\\]|\\.)*''|(?:[^''\s\\]|\\.)(?:[^\s\\]|\\.)*|)', 'g') word
            where word[1] in ('host', 'hostaddr', 'port', 'dbname', 'user')
        )
    end as connection,
    -- slot_name: the replication slot on the other side
    s.subslotname as slot_name,
    -- synchronous_commit: the setting for its workers, off by default; before PostgreSQL 14 where superusers read
    coalesce(readable.value ->> 'subsynccommit', 'off') as synchronous_commit,
    -- binary: whether data comes in binary form (PostgreSQL 14)
    case readable.value ->> 'subbinary' when 'true' then 'yes' else 'no' end as binary,
    -- streaming: whether transactions come while they still run: on, parallel, off (PostgreSQL 14)
    case when readable.value ->> 'substream' in ('true', 't') then 'on'
        when readable.value ->> 'substream' = 'p' then 'parallel' else 'off' end as streaming,
    -- two_phase: whether prepared transactions come as such (PostgreSQL 15)
    case when readable.value ->> 'subtwophasestate' in ('p', 'e') then 'yes' else 'no' end as two_phase,
    -- disable_on_error: whether an error switches it off (PostgreSQL 15)
    case readable.value ->> 'subdisableonerr' when 'true' then 'yes' else 'no' end as disable_on_error,
    -- password_required: whether others than superusers need a password (PostgreSQL 16)
    case readable.value ->> 'subpasswordrequired' when 'false' then 'no' else 'yes' end as password_required,
    -- run_as_owner: whether changes are applied as its owner, not as the tables' owners (PostgreSQL 16)
    case readable.value ->> 'subrunasowner' when 'true' then 'yes' else 'no' end as run_as_owner,
    -- origin: whose changes come: any, none (PostgreSQL 16)
    coalesce(readable.value ->> 'suborigin', 'any') as origin,
    -- failover: whether its slot goes to standbys too (PostgreSQL 17)
    case readable.value ->> 'subfailover' when 'true' then 'yes' else 'no' end as failover,
    -- owner: the owner
    pg_get_userbyid(s.subowner) as owner,
    'pg_subscription'::regclass::oid || ' ' || (readable.value ->> 'oid') || ' 0' as address
from pg_subscription s
-- A query that names a column which the role may not read fails as a whole, so that those which it may read are asked
-- for by a text. Hexadecimal digits are the same in XML.
cross join lateral (
    select convert_from(decode(substring(query_to_xml(
        format('select encode(convert_to(to_jsonb(s)::text, ''UTF8''), ''hex'') as value '
                || 'from (select %s from pg_catalog.pg_subscription where subdbid = %s and subname = %L) s',
            string_agg(quote_ident(a.attname), ', '), s.subdbid, s.subname),
        false, true, '')::text from '<value>([0-9a-f]*)</value>'), 'hex'), 'UTF8')::jsonb as value
    from pg_attribute a
    where a.attrelid = 'pg_subscription'::regclass and a.attnum > 0
        and has_column_privilege('pg_subscription'::regclass, a.attnum, 'select')
) readable
cross join lateral (select readable.value ->> 'subconninfo' as text) conninfo
-- user:password@host:port/database?parameters, all of which may be missing
cross join lateral (
    select regexp_match(conninfo.text, '^postgres(?:ql)?://'
        '(?:([^:/?@]*)(?::[^/?@]*)?@)?((?:[^/?@:]|:(?!\d+(?:[/?]|$)))*)(?::(\d+))?(?:/([^?@]*))?(?:\?[^@]*)?$') as part
) uri
where s.subdbid = (select oid from pg_database where datname = current_database())
