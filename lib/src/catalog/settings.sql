-- Settings that connections to this database begin with: `ALTER DATABASE ... SET`, and `ALTER ROLE ... IN DATABASE ...
-- SET` as `role: setting`.
select
    case s.setrole when 0 then '' else quote_ident(pg_get_userbyid(s.setrole)) || ': ' end
        || split_part(setting, '=', 1) as name,
    -- value: of passwords, keys and the like only `(hidden)`: neither shown nor compared
    case when split_part(setting, '=', 1) ~* 'pass(word|wd|phrase)|pwd|secret|token|[._]key|credential'
        then '(hidden)' else substr(setting, strpos(setting, '=') + 1) end as value
from pg_db_role_setting s
cross join lateral unnest(s.setconfig) setting
where s.setdatabase = (select oid from pg_database where datname = current_database())
