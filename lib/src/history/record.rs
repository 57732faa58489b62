//! The rows that an upgrade and a baseline write. Everything is qualified: they are written in sessions whose
//! `search_path` is the user's.

use std::time::Instant;

use super::shape::let_owner_grant;
use super::{Entry, TableName, state};
use crate::connection::Connection;
use crate::delta::{Delta, Version};
use crate::error::{Error, ErrorKind, Result};

/// A row about to be written.
pub(crate) struct Record<'a> {
    pub(crate) version: Version,
    pub(crate) name: &'a str,
    pub(crate) code: i32,
    pub(crate) script: &'a str,
    pub(crate) checksum: &'a str,
    pub(crate) digest: Option<&'a str>,
    pub(crate) execution_time_ms: u64,
    pub(crate) success: bool,
    pub(crate) state: &'a str,
    pub(crate) rehearsal: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// The row of a delta that is begun.
    pub(crate) fn started(delta: &'a Delta, script: &'a str, checksum: &'a str, digest: &'a str) -> Record<'a> {
        Record {
            version: delta.version,
            name: &delta.name,
            code: delta.code(),
            script,
            checksum,
            digest: Some(digest),
            execution_time_ms: 0,
            success: false,
            state: state::STARTED,
            rehearsal: None,
        }
    }

    /// Inserts the row and returns its id. Everything is qualified: it also runs in sessions whose `search_path` is
    /// the user's.
    pub(crate) fn insert(&self, connection: &mut Connection, table: &TableName) -> Result<i64> {
        let run = connection.run().id().to_string();
        let rows = connection.query(
            &format!(
                "insert into {} (version, description, type, script, checksum, installed_by, execution_time, success, \
                 run_id, digest, state, rehearsal) values ($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int4, \
                 pg_catalog.left($4::pg_catalog.text, 1000), $5::pg_catalog.text, \
                 pg_catalog.left(current_user::pg_catalog.text, 100), $6::pg_catalog.int4, $7::pg_catalog.bool, \
                 $8::pg_catalog.uuid, $9::pg_catalog.text, $10::pg_catalog.text, $11::pg_catalog.text) \
                 returning id::pg_catalog.text",
                table.quoted()
            ),
            &[
                Some(&self.version.to_string()),
                Some(self.name),
                Some(&self.code.to_string()),
                Some(self.script),
                Some(self.checksum),
                Some(&self.execution_time_ms.to_string()),
                Some(if self.success { "true" } else { "false" }),
                Some(&run),
                self.digest,
                Some(self.state),
                self.rehearsal,
            ],
        ).map_err(|error| recording(error, connection, table))?;
        rows.value(0, 0).and_then(|id| id.parse().ok()).ok_or_else(|| {
            Error::new(
                ErrorKind::Refused,
                format!("a row inserted into {table} did not come to be"),
            )
            .with_hint("look for a trigger, a rule or a policy on that table")
        })
    }
}

fn recording(error: Error, connection: &Connection, table: &TableName) -> Error {
    match error.sqlstate() {
        Some("42501") => {
            let user = connection.parameter("user").unwrap_or_default();
            let privileges = [
                format!("SELECT, INSERT, UPDATE ON {}", table.quoted()),
                format!("USAGE ON ALL SEQUENCES IN SCHEMA {}", crate::quote_identifier(&table.schema)),
            ];
            error
                .within(format_args!("the upgrades table {table} cannot be written"))
                .with_hint(let_owner_grant(&privileges, &user))
        }
        // A copy by template whose server crashed, or a table that was loaded by hand.
        Some("23505") => error.within(format_args!("the upgrades table {table} cannot be written")).with_hint(format!(
            "its sequence is behind its rows: SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, 'id'), \
             (SELECT pg_catalog.max(id) FROM {}))",
            crate::quote_literal(&table.quoted()),
            table.quoted()
        )),
        _ => error,
    }
}

/// The statement that completes a row with a state. Everything in it is a number, an identity or qualified.
pub(crate) fn completion(
    connection: &Connection,
    table: &TableName,
    row: i64,
    begun: Instant,
    state: &'static str,
) -> String {
    let milliseconds = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX).max(1);
    // Nothing lower is to come behind this one: what earlier rows said of that is over.
    let others = match state {
        state::DONE => format!(
            "with others as (update {} set state = '{state}' where state operator(pg_catalog.=) '{}'::pg_catalog.text) ",
            table.quoted(),
            state::MORE
        ),
        _ => String::new(),
    };
    format!(
        "{others}update {} set success = true, execution_time = {milliseconds}, state = '{state}' \
         where id operator(pg_catalog.=) {row} and run_id operator(pg_catalog.=) '{}'::pg_catalog.uuid",
        table.quoted(),
        connection.run().id()
    )
}

pub(crate) fn complete(
    connection: &mut Connection,
    table: &TableName,
    row: i64,
    begun: Instant,
    state: &'static str,
) -> Result<()> {
    let update = completion(connection, table, row, begun, state);
    match connection.query(&format!("{update} returning 1"), &[]) {
        Ok(rows) if rows.len() == 1 => Ok(()),
        Ok(_) => Err(row_changed(table)),
        Err(error) => Err(disturbed(error, table)),
    }
}

pub(crate) fn row_changed(table: &TableName) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("the delta changed pum's own row in the upgrades table {table}"),
    )
    .with_hint("a delta must leave the upgrades table alone")
}

/// An error while completing the row: the delta may have dropped or changed the table.
pub(crate) fn disturbed(error: Error, table: &TableName) -> Error {
    if matches!(
        error.sqlstate(),
        Some("42P01" | "42703" | "42501" | "3F000" | "42883" | "42804" | "0A000")
    ) {
        error
            .within(format_args!("the delta changed the upgrades table {table} itself"))
            .with_hint("a delta must leave the upgrades table alone: its record could not be written")
    } else {
        error
    }
}

/// Makes a transaction that of the user and the role, such as `ALTER ROLE ... SET role` gives, that pum has by itself. What the
/// script took is the script's again at its end.
pub(crate) const AS_PUM: &str = "set local session authorization default; set local role to default";

/// Says how many statements are done, and their digest. It is called inside a transaction, and works in it as pum's own user.
pub(crate) fn checkpoint(
    connection: &mut Connection,
    table: &TableName,
    row: i64,
    done: usize,
    digest: &str,
) -> Result<()> {
    connection.execute(AS_PUM)?;
    connection
        .query(
            &format!(
                "update {} set statements_done = $2::pg_catalog.int4, digest = $3::pg_catalog.text where id operator(pg_catalog.=) $1::pg_catalog.int8",
                table.quoted()
            ),
            &[Some(&row.to_string()), Some(&done.to_string()), Some(digest)],
        )
        .map(drop)
}

/// The row that says that a step without a transaction is begun: that of the interrupted run, or a new one. With it, how
/// many statements are done.
pub(crate) fn begin(
    connection: &mut Connection,
    table: &TableName,
    record: &Record<'_>,
    unfinished: Option<&Entry>,
) -> Result<(i64, usize)> {
    let Some(entry) = unfinished else {
        return Ok((record.insert(connection, table)?, 0));
    };
    connection.query(
        &format!(
            "update {} set run_id = $2::pg_catalog.uuid, state = '{}', checksum = $3::pg_catalog.text, \
             digest = case when statements_done operator(pg_catalog.>) 0 then digest else $4::pg_catalog.text end \
             where id operator(pg_catalog.=) $1::pg_catalog.int8",
            table.quoted(),
            state::STARTED
        ),
        &[
            Some(&entry.id.to_string()),
            Some(&connection.run().id().to_string()),
            Some(record.checksum),
            record.digest,
        ],
    )?;
    Ok((entry.id, entry.statements_done))
}

/// Says in the row that its step failed, also when the run is cancelled; whether that is recorded. A failure leaves it begun.
pub(crate) fn fail(connection: &mut Connection, table: &TableName, row: i64) -> bool {
    let update = format!(
        "update {} set state = '{}' where id operator(pg_catalog.=) {row}",
        table.quoted(),
        state::FAILED
    );
    let _ = connection.uncancelled("reset session authorization; reset role");
    connection.uncancelled(&update).is_ok()
}
