-- Comments by the address of what they are about. Those of objects that initdb made are left out, save for `public` and
-- extensions, which a database may have made anew; and that of pum on a database that it made for a rehearsal.
-- comment: the text of `COMMENT`
select classoid || ' ' || objoid || ' ' || objsubid as address, description as comment
from pg_description
where objoid >= 16384
    -- Users number large objects as they like.
    or classoid in ('pg_extension'::regclass, 'pg_largeobject'::regclass)
    or classoid = 'pg_namespace'::regclass and objoid = (select oid from pg_namespace where nspname = 'public')
union all
select d.classoid || ' ' || d.objoid || ' 0', d.description
from pg_shdescription d
where d.classoid = 'pg_database'::regclass
    and d.objoid = (select oid from pg_database where datname = current_database())
    and d.description <> 'made by pum for a rehearsal; pum drops it at the next one'
