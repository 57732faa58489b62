//! What the words of `pg_dump` leave out.

use std::path::Path;

use crate::connection::Connection;
use crate::dump::child::Ended;
use crate::dump::{part, size};
use crate::error::Error;

/// Adds what the words of pg_dump leave out: free space, all forbidden tables, who holds the lock.
pub(super) fn explain(error: Error, ended: &Ended, path: &Path, connection: &mut Connection) -> Error {
    if ended.complained_of("No space left")
        || ended.complained_of("Disk quota")
        || ended.complained_of("File too large")
    {
        let free = rustix::fs::statvfs(part::parent(path))
            .map(|place| place.f_bavail.saturating_mul(place.f_frsize))
            .unwrap_or(0);
        return error.with_hint(format!(
            "make room or dump to another place; {} MB are free there without the part that was written",
            (free + size(path)) / 1_000_000
        ));
    }
    // Since 18 it looks at sequences by a function that gives nothing to who may not.
    if ended.complained_of("permission denied") || ended.complained_of("may lack SELECT privilege") {
        let tables = connection.query(
            "select string_agg(c.oid::regclass::text, ', ' order by n.nspname, c.relname) from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p', 'S', 'm', 'v') and n.nspname not like 'pg\\_%'
               and n.nspname <> 'information_schema' and not has_table_privilege(c.oid, 'SELECT')
             union all
             select 'what is in the schema' || case when count(*) > 1 then 's ' else ' ' end
                    || string_agg(quote_ident(n.nspname), ', ' order by n.nspname) from pg_namespace n
             where not has_schema_privilege(n.oid, 'USAGE') and n.nspname not like 'pg\\_%'
               and exists (select from pg_class c where c.relnamespace = n.oid)",
            &[],
        );
        let names: Vec<String> = tables
            .map(|rows| rows.iter().filter_map(|row| row.value(0).map(str::to_owned)).collect())
            .unwrap_or_default();
        return match names.as_slice() {
            [] => error.with_hint("dump as a role that may read everything"),
            names => error.with_hint(format!(
                "dump as a role that may read everything (a member of pg_read_all_data since PostgreSQL 14); this one may \
                 not read {}",
                names.join(", and ")
            )),
        };
    }
    if ended.complained_of("row-level security") {
        return error.with_hint(
            "row security would hide rows from this role, and the dump would look complete: dump as the tables' owner \
             or as a role with BYPASSRLS",
        );
    }
    if ended.complained_of("could not obtain lock on relation") {
        // Workers do not queue behind whoever waits for the lock that the first of them holds.
        return error.with_hint(
            "another session waits to change a table that is being dumped, and several jobs cannot go on then: try \
             again later, or with one job (-j 1)",
        );
    }
    if ended.complained_of("statement timeout") || ended.complained_of("lock timeout") {
        let holders = connection.query(
            "select string_agg(distinct format('process %s (%s, %s)', l.pid, a.usename, a.application_name), ', ')
             from pg_locks l join pg_stat_activity a using (pid)
             where l.granted and l.mode = 'AccessExclusiveLock' and l.locktype = 'relation'
               and l.database = (select oid from pg_database where datname = current_database())",
            &[],
        );
        let names = holders.ok().and_then(|rows| rows.value(0, 0).map(str::to_owned));
        return match names {
            Some(names) => error.with_hint(format!("pg_dump waited for a lock on a table; {names} holds one")),
            None => error.with_hint("pg_dump waited for a lock on a table, which is free again"),
        };
    }
    error
}
