//! How far a dump is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::Connection;
use crate::run::{Event, Run};

/// The tables that will be dumped with their size in bytes; none when a lock is in the way.
pub(super) fn table_sizes(connection: &mut Connection, excluded: &[String]) -> Vec<(String, u64)> {
    // Asking for a size locks the table for a moment, and progress is not worth waiting for a lock.
    if connection
        .execute("begin transaction read only; set local lock_timeout = '100ms'")
        .is_err()
    {
        return Vec::new();
    }
    let excluded = if excluded.is_empty() {
        None
    } else {
        Some(excluded.join("|"))
    };
    let sizes = connection.query(
        "select n.nspname || '.' || c.relname, pg_table_size(c.oid)::text
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname not like 'pg\\_%'
           and n.nspname <> 'information_schema' and ($1::text is null or n.nspname operator(pg_catalog.!~) $1::text)",
        &[excluded.as_deref()],
    );
    connection.rollback();
    sizes
        .map(|rows| {
            rows.iter()
                .map(|row| (row.text(0).to_owned(), row.text(1).parse().unwrap_or(0)))
                .collect()
        })
        .unwrap_or_default()
}

/// How far `pg_dump` is, in bytes of the tables on the server: what it says when it begins with a table tells.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Tables>>);

struct Tables {
    sizes: HashMap<String, u64>,
    total: u64,
    /// The tables before the last that was begun.
    done: u64,
    current: Option<u64>,
    /// How much was written when it was begun.
    written: Option<u64>,
    told: Option<u64>,
}

impl Progress {
    pub(super) fn new(sizes: Vec<(String, u64)>) -> Progress {
        let total = sizes.iter().map(|(_, size)| size).sum();
        Progress(Arc::new(Mutex::new(Tables {
            sizes: sizes.into_iter().collect(),
            total,
            done: 0,
            current: None,
            written: None,
            told: None,
        })))
    }

    pub(super) fn hear(&self, line: &str) {
        let Some(table) = line
            .strip_prefix("dumping contents of table \"")
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return;
        };
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = tables.sizes.get(table).copied().unwrap_or(0);
        tables.done += tables.current.replace(size).unwrap_or(0);
        tables.written = None;
    }

    /// Tells it when it changed. What was written since the last table began counts too: a table is seldom smaller on
    /// the server than in a dump. With several jobs nothing is heard, and this is all that is known.
    pub(super) fn tell(&self, written: u64, run: &Run) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = tables.current.unwrap_or(tables.total);
        let before = *tables.written.get_or_insert(written);
        let done = (tables.done + written.saturating_sub(before).min(limit)).max(tables.told.unwrap_or(0));
        if tables.total > 0 && tables.told != Some(done) {
            tables.told = Some(done);
            run.emit(Event::Progress {
                done,
                total: Some(tables.total),
                unit: "bytes",
            });
        }
    }

    pub(super) fn finish(&self, run: &Run) {
        let total = self.0.lock().unwrap_or_else(PoisonError::into_inner).total;
        if total > 0 {
            run.emit(Event::Progress {
                done: total,
                total: Some(total),
                unit: "bytes",
            });
        }
    }
}
