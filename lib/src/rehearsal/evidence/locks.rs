//! Which locks the upgrade holds, looked at from another session. That session does not see what the upgrade has not
//! committed, which serves well: relations that nobody sees yet keep nobody out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::KeepsOut;
use crate::connection::Connection;
use crate::error::Result;
use crate::run::Run;
use crate::target::Target;

/// How often the locks are looked at.
pub(super) const INTERVAL: Duration = Duration::from_millis(4);

/// A relation by its number.
pub(super) type Oid = u32;

/// What there is to know about a relation.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) table: Option<String>,
    /// Whether rows can be read from it.
    pub(super) is_table: bool,
}

/// The locks of one look.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) held: Vec<(Oid, String)>,
    /// Bytes of write-ahead log that the server ever wrote.
    pub(super) wal: u64,
}

/// A session that looks.
pub(super) struct Eyes {
    connection: Connection,
    relations: BTreeMap<Oid, Option<Relation>>,
}

impl Eyes {
    pub(super) fn open(target: &Target, run: &Run) -> Result<Eyes> {
        let mut connection = Connection::open(target, &run.quietly())?;
        connection.execute(
            "set jit = off; \
             prepare pum_look (int4) as select l.relation::pg_catalog.text, l.mode from pg_catalog.pg_locks l \
             where (l.pid = $1 or $1 = 0 and l.pid in (select a.pid from pg_catalog.pg_stat_activity a \
                 where a.backend_type = 'client backend' and a.application_name <> 'pum rehearsal' \
                 and a.pid <> pg_catalog.pg_backend_pid() and a.datname = pg_catalog.current_database())) \
             and l.granted and l.locktype = 'relation' and l.relation >= 16384 \
             and l.mode = any ('{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,\
                 AccessExclusiveLock}'::pg_catalog.text[]) \
             and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) \
             and exists (select from pg_catalog.pg_class c where c.oid = l.relation) \
             union all select 'wal', pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.text; \
             set application_name = 'pum rehearsal'",
        )?;
        Ok(Eyes {
            connection,
            relations: BTreeMap::new(),
        })
    }

    /// The locks that a server process holds on relations that others see; of every client when it is 0.
    pub(super) fn look(&mut self, pid: i32) -> Result<Look> {
        let rows = self.connection.query(&format!("execute pum_look ({pid})"), &[])?;
        let mut look = Look::default();
        for row in rows.iter() {
            match row.text(0).parse() {
                Ok(oid) => look.held.push((oid, row.text(1).to_owned())),
                Err(_) => look.wal = row.text(1).parse().unwrap_or(0),
            }
        }
        Ok(look)
    }

    /// What is known about a relation; none of a temporary one, and of TOAST.
    pub(super) fn relation(&mut self, oid: Oid) -> Result<Option<Relation>> {
        self.learn([oid].into())?;
        Ok(self.relations.get(&oid).cloned().flatten())
    }

    /// Asks for all relations that are not known yet.
    pub(super) fn learn(&mut self, oids: BTreeSet<Oid>) -> Result<()> {
        let new = oids.into_iter().filter(|oid| !self.relations.contains_key(oid));
        let new: Vec<Oid> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = new.iter().map(ToString::to_string).collect();
        let rows = self.connection.query(
            "select c.oid::pg_catalog.text, pg_catalog.format('%I.%I', n.nspname, c.relname), \
                 case when t.relname is not null then pg_catalog.format('%I.%I', n.nspname, t.relname) end, \
                 (c.relkind in ('r', 'p', 'm'))::pg_catalog.text \
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             left join pg_catalog.pg_index i on i.indexrelid = c.oid \
             left join pg_catalog.pg_class t on t.oid = i.indrelid \
             where c.oid = any ($1::pg_catalog.oid[]) and n.nspname !~ '^pg_'",
            &[Some(&format!("{{{}}}", list.join(",")))],
        )?;
        self.relations.extend(new.into_iter().map(|oid| (oid, None)));
        for row in rows.iter() {
            let Ok(oid) = row.text(0).parse() else { continue };
            let relation = Relation {
                name: row.text(1).to_owned(),
                table: row.value(2).map(str::to_owned),
                is_table: row.text(3) == "true",
            };
            self.relations.insert(oid, Some(relation));
        }
        Ok(())
    }

    /// Forgets the names: a commit may have changed them.
    pub(super) fn forget(&mut self) {
        self.relations.clear();
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Whom a mode keeps out (PostgreSQL's documentation, "Table-Level Locks").
pub(super) fn keeps_out(mode: &str) -> KeepsOut {
    match mode {
        "AccessExclusiveLock" => KeepsOut::Readers,
        "ShareLock" | "ShareRowExclusiveLock" | "ExclusiveLock" => KeepsOut::Writers,
        _ => KeepsOut::SchemaChanges,
    }
}
