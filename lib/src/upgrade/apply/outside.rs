//! Deltas that cannot run in a transaction: statement by statement, each with a checkpoint.

use std::time::Instant;

use sha2::{Digest, Sha256};

use super::super::lock::AtWork;
use super::{
    Application, BY_ANOTHER, CANCELLED_BY_ANOTHER, Prepared, locate, no_session, run_seen, run_statement,
    settings_outside,
};
use crate::connection::{Connection, TransactionStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::file::hexadecimal;
use crate::history::record;
use crate::run::{Event, Run};
use crate::script::{Script, Statement};

/// Whatever the script has set for its session.
const BEGIN: &str = "begin read write";

impl Application<'_> {
    /// A delta that cannot run in a transaction goes statement by statement. What can be in a transaction is, together
    /// with its checkpoint; what cannot is checked on resuming.
    pub(super) fn without_transaction(&mut self, prepared: &Prepared, script: &Script) -> Result<()> {
        let begun = Instant::now();
        self.fresh_session()?;
        let milliseconds = u64::try_from(self.options.lock_timeout.as_millis()).unwrap_or(0);
        let options = self.options;
        let table = &options.table;
        let connection = self.connection.as_mut().ok_or_else(no_session)?;
        let settings = settings_outside(connection, milliseconds) + &prepared.limit("set");
        let at_work = AtWork::new(table, self.lock, settings);
        at_work.begin(connection)?;
        self.begun = true;
        let (row, done) = match prepared.record(&prepared.script_path()) {
            Some(started) => {
                let (row, done) = record::begin(connection, table, &started, prepared.unfinished.as_ref())?;
                (Some(row), done)
            }
            None => (None, 0),
        };
        let checkpoint = |connection: &mut Connection, number: usize, digest: &str| match row {
            Some(row) => record::checkpoint(connection, table, row, number, digest),
            None => Ok(()),
        };
        let checkpoint_alone = |connection: &mut Connection, number: usize, digest: &str| {
            connection.execute(BEGIN)?;
            checkpoint(connection, number, digest)?;
            connection.execute("commit")
        };
        if done > 0 {
            self.run.emit(Event::Message(format!(
                "{}: statements 1 to {done} were done by an earlier run; going on with statement {}",
                prepared.step,
                done + 1
            )));
        }
        let resumed = prepared.unfinished.is_some();
        let mut completed = done;
        // What pum has set for the session is to be set again.
        let mut unset = false;
        // The invalid indexes before a statement that may leave one, while it runs.
        let mut building = None;
        let outcome = (|| {
            let mut statements = script.statements()?;
            let mut texts = Texts::default();
            while let Some(statement) = statements.next()? {
                let digest = texts.add(&statement);
                if statement.number() <= done {
                    // What the session had set is gone with the run that was interrupted.
                    let unsets = unsets_the_session(&statement);
                    if unsets || sets_the_session(statement.text()) {
                        run_statement(connection, &statement, &mut statements)?;
                    }
                    if unsets {
                        at_work.again(connection)?;
                    }
                    continue;
                }
                self.run.emit(Event::Progress {
                    done: statement.number() as u64,
                    total: Some(script.statement_count() as u64),
                    unit: "statements",
                });
                prepared.still_in_budget(begun)?;
                let first_again = resumed && statement.number() == done + 1;
                unset |= unsets_the_session(&statement);
                if statement.outside_transaction().is_some() {
                    at_work.still(connection, "")?;
                    if let Some(witness) = &mut self.witness {
                        witness.statement_begins(connection, &statement)?;
                    }
                    let creates = statement.outside_transaction() == Some(CREATES);
                    let created = creates.then(|| statement.text().to_owned());
                    building = Some((created, invalid_indexes(connection)?));
                    outside(connection, &statement, first_again, milliseconds, &self.run)?;
                    building = None;
                    if let Some(witness) = &mut self.witness {
                        witness.statement_ended(connection, &statement, 0)?;
                    }
                    if connection.transaction_status() == TransactionStatus::Idle {
                        checkpoint_alone(connection, statement.number(), &digest)?;
                    }
                } else {
                    // A transaction of the script's own is left as it is.
                    let own = connection.transaction_status() != TransactionStatus::Idle
                        || statement.is_transaction_control();
                    // In a transaction of the script's own the question would take its snapshot.
                    if !own {
                        at_work.still(connection, &format!("{BEGIN}; "))?;
                    } else if connection.transaction_status() == TransactionStatus::Idle {
                        at_work.still(connection, "")?;
                    }
                    // A COMMIT of the script's own takes its checkpoint along, so that the block is never run twice.
                    let commits = own
                        && commits(statement.text())
                        && connection.transaction_status() == TransactionStatus::InTransaction;
                    if commits {
                        checkpoint(connection, statement.number(), &digest)?;
                    }
                    run_seen(connection, &statement, &mut statements, &mut self.witness)?;
                    if commits {
                        // Recorded with it.
                    } else if !own {
                        checkpoint(connection, statement.number(), &digest)?;
                        connection.execute("commit")?;
                    } else if connection.transaction_status() == TransactionStatus::Idle {
                        checkpoint_alone(connection, statement.number(), &digest)?;
                    }
                }
                if connection.transaction_status() == TransactionStatus::Idle {
                    if std::mem::take(&mut unset) {
                        at_work.again(connection)?;
                    }
                    if let Some(witness) = &mut self.witness {
                        witness.transaction_ended()?;
                    }
                    completed = statement.number();
                }
            }
            Ok(())
        })();
        let outcome = match (outcome, row) {
            (Ok(()), Some(row)) => self.complete(prepared, row, begun),
            (outcome, _) => outcome,
        };
        let Err(error) = outcome else {
            if let Some(connection) = &mut self.connection {
                at_work.end(connection);
            }
            return Ok(());
        };
        let error = {
            let error = prepared.over_budget(error, begun, self.watch.last_blockers().as_deref());
            let mut left = None;
            if let Some(connection) = &mut self.connection {
                connection.rollback();
                if let Some((created, before)) = building {
                    let invalid = if error.kind() != ErrorKind::ConnectionLost {
                        connection.shield(true);
                        let invalid = invalid_indexes(connection);
                        connection.shield(false);
                        invalid
                    } else if error.server().is_some() {
                        // The server ended the session, and says what another asks.
                        Connection::open(self.target, &Run::new()).and_then(|mut other| invalid_indexes(&mut other))
                    } else {
                        Ok(Vec::new())
                    };
                    let invalid = invalid.unwrap_or_default();
                    left = invalid
                        .into_iter()
                        .find(|index| !before.contains(index))
                        .map(|(bare, name)| {
                            let found = created.is_some_and(|created| names(&created, &bare));
                            what_is_left(&name, row.is_some() && found)
                        });
                }
                if let Some(row) = row {
                    record::fail(connection, table, row);
                }
            }
            let count = script.statement_count();
            // The answer to the last checkpoint may be what was lost.
            let (at_least, or_later) = match error.kind() {
                ErrorKind::ConnectionLost => ("at least ", " or a later one"),
                _ => ("", ""),
            };
            let again = self.run_again(prepared);
            let again = match error.kind() {
                ErrorKind::Cancelled | ErrorKind::ConnectionLost => again.to_owned(),
                _ if error.sqlstate() == Some(CANCELLED_BY_ANOTHER) => format!("{BY_ANOTHER}: {again}"),
                _ => "correct the cause and run pum again".to_owned(),
            };
            error.with_hint(format!(
                "{}{} runs without a transaction: {at_least}{} of its {count} statements are done and stay; {again}, it goes on with statement {}{or_later}{}",
                left.unwrap_or_default(),
                prepared.step,
                completed,
                completed + 1,
                self.or_rehearse(prepared)
            ))
        };
        if let Some(connection) = &mut self.connection {
            at_work.end(connection);
        }
        Err(error)
    }
}

/// The digest of the first statements of a script: what is done must not change before the rest is, and the rest may.
#[derive(Default)]
struct Texts(Sha256);

impl Texts {
    /// Adds a statement, and returns the digest so far.
    fn add(&mut self, statement: &Statement) -> String {
        self.0.update((statement.text().len() as u64).to_be_bytes());
        self.0.update(statement.text());
        hexadecimal(&self.0.clone().finalize())
    }
}

/// The digest of the first `count` statements, as the checkpoints record it.
pub(crate) fn digest_of_first(script: &Script, count: usize) -> Result<String> {
    let (mut statements, mut texts, mut digest) = (script.statements()?, Texts::default(), String::new());
    while let Some(statement) = statements.next()?
        && statement.number() <= count
    {
        digest = texts.add(&statement);
    }
    Ok(digest)
}

/// A statement that cannot run in a transaction. On resuming, it may have been done by the run that was killed.
fn outside(
    connection: &mut Connection,
    statement: &Statement,
    again: bool,
    lock_timeout_ms: u64,
    run: &Run,
) -> Result<()> {
    let concurrently = statement
        .outside_transaction()
        .is_some_and(|command| command.contains("CONCURRENTLY"));
    if concurrently {
        // It waits without blocking others, so the limit for waiting would only leave an invalid index.
        connection.execute("set lock_timeout = 0")?;
    }
    let creates = statement.outside_transaction() == Some(CREATES);
    if again
        && creates
        && let Some((_, name)) = invalid_indexes(connection)?
            .iter()
            .find(|(bare, _)| names(statement.text(), bare))
    {
        run.emit(Event::Message(format!(
            "the index {name} was left invalid by the interrupted run; building it again"
        )));
        connection.execute(&format!("drop index concurrently {name}"))?;
    }
    match connection.run_statement(statement.text(), None) {
        Ok(_) => {}
        // 42P07, 42710 and 42P04: it exists already; 42704 and 3D000: it is gone already.
        Err(error) if again && matches!(error.sqlstate(), Some("42P07" | "42710" | "42P04" | "42704" | "3D000")) => {
            run.emit(Event::Message(format!(
                "line {}: done by the interrupted run already ({})",
                statement.line(),
                error.message()
            )));
        }
        Err(error) => return Err(locate(error, statement)),
    }
    if concurrently {
        connection.execute(&format!("set lock_timeout = {lock_timeout_ms}"))?;
        let after = invalid_indexes(connection)?;
        // IF NOT EXISTS passes over an index that an earlier attempt left invalid.
        if let Some((_, name)) = after.iter().find(|(bare, _)| creates && names(statement.text(), bare)) {
            return Err(Error::new(ErrorKind::Server, format!("the index {name} is not valid"))
                .at(statement.location(None))
                .with_hint(format!(
                    "an earlier attempt left it: run DROP INDEX CONCURRENTLY {name} and pum again"
                )));
        }
    }
    Ok(())
}

const CREATES: &str = "CREATE INDEX CONCURRENTLY";

/// Says of an index that a statement left invalid who removes it.
fn what_is_left(name: &str, by_pum: bool) -> String {
    if by_pum {
        format!("the index {name} is left invalid, and pum drops it and builds it again when it is run again; ")
    } else {
        format!("the index {name} is left invalid: run DROP INDEX CONCURRENTLY {name}; ")
    }
}

/// Whether a statement names something, as a whole word.
fn names(statement: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    statement
        .match_indices(name)
        .any(|(place, _)| !statement[..place].ends_with(part) && !statement[place + name.len()..].starts_with(part))
}

/// Whether a statement is a COMMIT or END.
fn commits(statement: &str) -> bool {
    let word: String = statement.chars().take_while(char::is_ascii_alphabetic).collect();
    matches!(word.to_ascii_lowercase().as_str(), "commit" | "end")
}

/// Whether a statement is a SET or RESET, which lasts as long as the session.
fn sets_the_session(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_lowercase);
    let first = words.next();
    matches!(first.as_deref(), Some("set" | "reset"))
        && !matches!(words.next().as_deref(), Some("local" | "transaction" | "constraints"))
}

/// Whether a statement is a RESET ALL or DISCARD ALL, which take away what pum has set for the session, too.
fn unsets_the_session(statement: &Statement) -> bool {
    let mut words = statement.words();
    matches!(words.next().as_deref(), Some("RESET" | "DISCARD")) && words.next().as_deref() == Some("ALL")
}

/// Invalid indexes as bare and as qualified name.
fn invalid_indexes(connection: &mut Connection) -> Result<Vec<(String, String)>> {
    let rows = connection.query(
        "select c.relname::pg_catalog.text, \
         pg_catalog.format('%I.%I', n.nspname, c.relname) \
         from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) i.indexrelid \
         join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace \
         where not i.indisvalid and c.relkind operator(pg_catalog.=) 'i'::pg_catalog.\"char\" order by 2",
        &[],
    )?;
    Ok(rows
        .iter()
        .map(|row| (row.text(0).to_owned(), row.text(1).to_owned()))
        .collect())
}
