-- Whether a table, or a partition of it, was truncated or rewritten after the snapshot was taken: then a reader of that
-- snapshot may find it empty (PostgreSQL documentation, "Serialization and snapshot isolation: caveats").
select c.oid::regclass::text
from pg_class c
where c.relfilenode <> 0
    and c.oid in (select $1::oid union all select p.relid from pg_partition_tree($1::oid) p)
    and pg_relation_filenode(c.oid) is distinct from c.relfilenode
limit 1
