//! Whether the tables of production have, after its upgrade, about as many rows as those of the upgraded copy.

use std::time::{Duration, Instant};

use super::contract::Contract;
use crate::connection::Connection;
use crate::error::Result;
use crate::run::Run;
use crate::target::Target;

/// A table of production that has fewer rows after the upgrade than one would think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRows {
    /// The table, `schema.name` quoted as SQL has it.
    pub table: String,
    /// Rows of the upgraded copy.
    pub rehearsed: u64,
    /// Rows of production.
    pub rows: u64,
}

/// Counting may take so long; production has other things to do.
const TIME: Duration = Duration::from_secs(30);

/// Production lived on since it was copied: so many of a hundred rows may be gone, and so many in any case.
const PERCENT: u64 = 10;
const FEW: u64 = 10;

impl MissingRows {
    /// Looks at the smallest tables first, and at as many as there is time for. A table that cannot be read, or a session
    /// that cannot be had, tells nothing: production is upgraded and proved by its structure already.
    pub(super) fn of(production: &Target, contract: &Contract, run: &Run) -> Vec<MissingRows> {
        let mut missing = Vec::new();
        if contract.copy.schema_only {
            return missing;
        }
        let mut tables: Vec<(&String, u64)> = contract
            .evidence
            .rows
            .iter()
            .map(|(table, rows)| (table, *rows))
            .collect();
        tables.sort_by_key(|(_, rows)| *rows);
        let Ok(mut connection) = open(production, run) else {
            return missing;
        };
        let end = Instant::now() + TIME;
        for (table, rehearsed) in tables.into_iter().filter(|(_, rehearsed)| *rehearsed > FEW) {
            if run.go_on().is_err() || Instant::now() > end {
                break;
            }
            let Some(rows) = count(&mut connection, table) else {
                continue;
            };
            if rehearsed.saturating_sub(rows) > FEW.max(rehearsed / (100 / PERCENT)) {
                missing.push(MissingRows {
                    table: table.clone(),
                    rehearsed,
                    rows,
                });
            }
        }
        missing
    }
}

fn open(production: &Target, run: &Run) -> Result<Connection> {
    let mut connection = Connection::open(production, &run.quietly())?;
    connection.execute(&format!(
        "set search_path = pg_catalog, pg_temp; set row_security = off; set default_transaction_read_only = on; \
         set lock_timeout = '1s'; set statement_timeout = {}",
        TIME.as_millis()
    ))?;
    Ok(connection)
}

fn count(connection: &mut Connection, table: &str) -> Option<u64> {
    // The name is quoted.
    let rows = connection
        .query(&format!("select count(*)::text from only {table}"), &[])
        .ok()?;
    rows.value(0, 0)?.parse().ok()
}
