-- Security labels by the address of what they are about.
-- security_labels: `provider: label`, one a line, sorted
select address, string_agg(provider || ': ' || label, E'\n' order by provider collate "C") as security_labels
from (
    select classoid || ' ' || objoid || ' ' || objsubid as address, provider, label from pg_seclabel
    union all
    select classoid || ' ' || objoid || ' 0', provider, label
    from pg_shseclabel
    where classoid = 'pg_database'::regclass
        and objoid = (select oid from pg_database where datname = current_database())
) label
group by address
