//! Carries out the steps of a plan under the lock, each in a fresh session, each either whole and recorded or not at all.

mod commit;
mod left;
mod locate;
mod next;
pub(crate) mod outside;
mod prepared;

use std::time::{Duration, Instant};

use left::Standing;
use locate::locate;
pub(crate) use next::recorded_by_hand;
use next::{BY_ANOTHER, CANCELLED_BY_ANOTHER, CORRECT, as_a_loss};
pub(crate) use prepared::{Prepared, Source, when_done};

use super::lock::{Lock, at_work_in_transaction};
use super::plan::Plan;
use super::watch::Watch;
use super::witness::Witness;
use super::{Applied, AppliedStep, UpgradeOptions};
use crate::connection::{Connection, TransactionStatus};
use crate::delta::Version;
use crate::error::{Error, ErrorKind, Result};
use crate::history::History;
use crate::history::record;
use crate::python::{PythonDelta, run_python_delta};
use crate::run::{Event, Run};
use crate::script::{Statement, Statements};
use crate::target::Target;
use commit::Proof;

pub(crate) struct Application<'a> {
    target: &'a Target,
    options: &'a UpgradeOptions,
    lock: &'a mut Lock,
    witness: Option<&'a mut dyn Witness>,
    // None after it was lost, until the next step opens another.
    connection: Option<Connection>,
    watch: Watch,
    run: Run,
    current: Option<Version>,
    /// As far as the database came with nothing lower to come.
    floor: Option<Version>,
    done: Vec<AppliedStep>,
    /// Whether anything of the step under way may have happened.
    begun: bool,
    /// What a session of pum is before anything runs in it.
    standing: Option<Standing>,
}

impl<'a> Application<'a> {
    pub(crate) fn new(
        target: &'a Target,
        options: &'a UpgradeOptions,
        lock: &'a mut Lock,
        history: &History,
        witness: Option<&'a mut dyn Witness>,
        run: &Run,
    ) -> Application<'a> {
        Application {
            target,
            options,
            lock,
            witness,
            connection: None,
            watch: Watch::new(target, run),
            run: run.clone(),
            current: history.current_version(),
            floor: history.floor(),
            done: Vec::new(),
            begun: false,
            standing: None,
        }
    }

    /// Runs every step.
    pub(crate) fn all(mut self, plan: &Plan, steps: &[Prepared]) -> Result<Applied> {
        let outcome = if self.options.single_transaction {
            self.together(steps)
        } else {
            self.one_by_one(steps)
        };
        match outcome {
            Ok(()) => Ok(Applied {
                from: plan.current,
                to: plan.reached,
                steps: self.done,
            }),
            Err(error) => {
                let state = self.state(steps, &error);
                let error = as_a_loss(error);
                let error = match error.kind() {
                    ErrorKind::Server => {
                        let hint = self.after_a_refusal(plan, steps, &error);
                        error.with_hint(hint)
                    }
                    ErrorKind::Program => error.with_hint(
                        "what the delta committed before it failed is in the database: make it safe to run again, or \
                         undo that by hand; then run pum again",
                    ),
                    ErrorKind::Cancelled | ErrorKind::ConnectionLost => error.with_hint(self.how_to_go_on(steps)),
                    // No longer one that changed nothing.
                    ErrorKind::Refused => error.with_kind(ErrorKind::Stopped).with_hint(CORRECT),
                    _ => error.with_hint(CORRECT),
                };
                Err(error.add_state(&state))
            }
        }
    }

    fn one_by_one(&mut self, steps: &[Prepared]) -> Result<()> {
        for (index, prepared) in steps.iter().enumerate() {
            self.run.emit(Event::StepStarted {
                number: index + 1,
                of: steps.len(),
                step: prepared.step.to_string(),
            });
            let begun = Instant::now();
            self.begun = false;
            self.lock.still_held()?;
            self.step_begins(prepared)?;
            match &prepared.source {
                Source::Python { .. } => self.python(prepared)?,
                Source::Sql(script) if script.no_transaction() => self.without_transaction(prepared, script)?,
                Source::Sql(_) => self.in_transaction(std::slice::from_ref(prepared))?,
            }
            if let Some(witness) = &mut self.witness {
                witness.transaction_ended()?;
                witness.step_ended()?;
            }
            self.finished(prepared, begun, index + 1 < steps.len());
        }
        Ok(())
    }

    fn step_begins(&mut self, prepared: &Prepared) -> Result<()> {
        match &mut self.witness {
            Some(witness) => witness.step_begins(&prepared.step),
            None => Ok(()),
        }
    }

    fn together(&mut self, steps: &[Prepared]) -> Result<()> {
        if let Some(prepared) = steps.iter().find(|prepared| prepared.needs_no_transaction()) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{} cannot be part of a single transaction", prepared.step),
            )
            .with_hint("a Python delta and a delta with the header `-- pum: no-transaction` work outside: leave out --single-transaction, or upgrade up to the version before with -u"));
        }
        self.lock.still_held()?;
        self.in_transaction(steps)
    }

    fn finished(&mut self, prepared: &Prepared, begun: Instant, another_follows: bool) {
        self.current = self.current.max(prepared.step.delta().map(|delta| delta.version));
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.run.emit(Event::StepFinished { milliseconds });
        let left_behind = if another_follows {
            self.left_behind()
        } else {
            Vec::new()
        };
        left::tell(&prepared.step.to_string(), &left_behind, &self.run);
        self.done.push(AppliedStep {
            step: prepared.step.clone(),
            milliseconds,
            left_behind,
        });
    }

    /// Steps in one transaction, tried again as a whole when another session was in the way.
    fn in_transaction(&mut self, steps: &[Prepared]) -> Result<()> {
        let mut attempt = 1;
        loop {
            let error = match self.attempt(steps) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let in_the_way = matches!(error.sqlstate(), Some("55P03" | "40P01" | "40001"));
            if !in_the_way {
                return Err(error);
            }
            if let Some(witness) = &mut self.witness {
                witness.rolled_back();
            }
            let blockers = self.watch.last_blockers();
            if attempt >= self.options.attempts {
                let who = blockers
                    .map(|who| format!("; in the way was {who}"))
                    .unwrap_or_default();
                let ends = match self.watch.last_prepared() {
                    Some(gid) => {
                        format!("end the prepared transaction with COMMIT PREPARED {gid} or ROLLBACK PREPARED {gid}")
                    }
                    None => "let the other session end (pg_terminate_backend(PID) ends it)".to_owned(),
                };
                return Err(error
                    .within(format_args!("given up after {attempt} attempts{who}"))
                    .with_hint(format!("{ends}, or give --lock-timeout a longer time")));
            }
            let who = blockers.map(|who| format!(" ({who})")).unwrap_or_default();
            self.run.emit(Event::Waiting(format!(
                "another session is in the way{who}: {}; trying again",
                error.message()
            )));
            self.run.sleep(pause(attempt))?;
            attempt += 1;
        }
    }

    fn attempt(&mut self, steps: &[Prepared]) -> Result<()> {
        self.fresh_session()?;
        if let Some(witness) = &mut self.witness {
            witness.attempt_begins();
        }
        let milliseconds = u64::try_from(self.options.lock_timeout.as_millis()).unwrap_or(0);
        let at_work = at_work_in_transaction(&self.options.table);
        let is_ours = self.lock.is_ours();
        let together = self.options.single_transaction;
        let total = steps.len();
        let mut durations = Vec::new();
        let connection = self.session()?;
        let settings = |connection: &Connection, prepared: &Prepared| {
            let settings = settings(connection, "set local", milliseconds);
            settings + &prepared.limit("set local")
        };
        let first = steps
            .first()
            .map(|first| settings(connection, first))
            .unwrap_or_default();
        let recorded = steps.iter().any(|prepared| prepared.step.delta().is_some());
        let last_crash = if recorded { "null" } else { commit::LAST_CRASH };
        // Read write and read committed, whatever the role's or the database's defaults are.
        let begun = connection.batch(&format!(
            "begin isolation level read committed, read write; {first}; {at_work}; \
             select pg_catalog.txid_current(), {is_ours}, {last_crash}"
        ))?;
        let transaction = text(begun.value(0, 0));
        let last_crash = begun.value(0, 2).map(str::to_owned);
        if begun.value(0, 1) != Some("t") {
            connection.rollback();
            return Err(Lock::lost());
        }
        self.begun = true;
        let mut row = None;
        for (index, prepared) in steps.iter().enumerate() {
            let step_begun = Instant::now();
            if together {
                self.step_begins(prepared)?;
                self.run.emit(Event::StepStarted {
                    number: index + 1,
                    of: total,
                    step: prepared.step.to_string(),
                });
                if index > 0 {
                    // DISCARD ALL is not allowed here; this is what of it is.
                    let connection = self.session()?;
                    let settings = settings(connection, prepared);
                    connection.execute(&format!(
                        "reset session authorization; reset role; reset all; close all; unlisten *; discard plans; {settings}"
                    ))?;
                }
            }
            let outcome = self.one_script(prepared, &transaction, step_begun);
            match outcome {
                Ok(recorded) => row = recorded.or(row),
                Err(error) => {
                    if let Some(connection) = &mut self.connection {
                        connection.rollback();
                    }
                    return Err(prepared.over_budget(error, step_begun, self.watch.last_blockers().as_deref()));
                }
            }
            let milliseconds = u64::try_from(step_begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            durations.push(milliseconds);
            if together {
                if let Some(witness) = &mut self.witness {
                    witness.step_ended()?;
                }
                self.run.emit(Event::StepFinished { milliseconds });
            }
        }
        let last = &steps[steps.len() - 1];
        let proof = Proof {
            transaction,
            row,
            last_crash,
        };
        self.commit(&proof, last)?;
        if let Some(witness) = &mut self.witness {
            witness.transaction_ended()?;
        }
        if together {
            for (prepared, milliseconds) in steps.iter().zip(durations) {
                self.done.push(AppliedStep {
                    step: prepared.step.clone(),
                    milliseconds,
                    left_behind: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// The record first, then the script, then the proof that both are still in the transaction that was begun.
    fn one_script(&mut self, prepared: &Prepared, transaction: &str, begun: Instant) -> Result<Option<i64>> {
        let Source::Sql(script) = &prepared.source else {
            return Ok(None);
        };
        let table = &self.options.table;
        let Some(connection) = &mut self.connection else {
            return Err(no_session());
        };
        let row = match prepared.record(&prepared.script_path()) {
            Some(record) => Some(record.insert(connection, table)?),
            None => None,
        };
        let around = script.enclosing_transaction();
        let mut shortened = Duration::ZERO;
        let mut statements = script.statements()?;
        while let Some(statement) = statements.next()? {
            if around && (statement.number() == 1 || statement.number() == script.statement_count()) {
                continue;
            }
            self.run.emit(Event::Progress {
                done: statement.number() as u64,
                total: Some(script.statement_count() as u64),
                unit: "statements",
            });
            prepared.still_in_budget(begun)?;
            prepared.shorten(connection, begun, &mut shortened)?;
            run_seen(connection, &statement, &mut statements, &mut self.witness)?;
        }
        prepared.still_in_budget(begun)?;
        self.prove(prepared, transaction, row, begun)?;
        Ok(row)
    }

    fn prove(&mut self, prepared: &Prepared, transaction: &str, row: Option<i64>, begun: Instant) -> Result<()> {
        let table = &self.options.table;
        let Some(connection) = &mut self.connection else {
            return Err(no_session());
        };
        let left = || {
            Error::new(ErrorKind::Stopped, format!("{} left the transaction that pum began for it", prepared.step))
                .with_hint("take BEGIN, COMMIT and ROLLBACK out of the delta: what it did before them may be committed already and is not recorded")
        };
        if connection.transaction_status() != TransactionStatus::InTransaction {
            return Err(left());
        }
        // One round trip. The transaction is judged after the update: in another one it is rolled back all the same.
        let reset = record::AS_PUM;
        let now = "pg_catalog.txid_current_if_assigned()::pg_catalog.text";
        let proved = match row {
            Some(row) => {
                let update = record::completion(connection, table, row, begun, prepared.when_done());
                connection.batch(&format!("{reset}; {update} returning {now}"))
            }
            None => connection.batch(&format!("{reset}; select {now}")),
        };
        let rows = proved.map_err(|error| record::disturbed(error, table))?;
        match rows.value(0, 0) {
            Some(now) if now == transaction => Ok(()),
            None if row.is_some() && rows.is_empty() => {
                // A transaction that was rolled back took the row along; one that is still the same had it changed.
                let now = connection.query(&format!("select {now}"), &[])?;
                Err(if now.value(0, 0) == Some(transaction) {
                    record::row_changed(table)
                } else {
                    left()
                })
            }
            _ => Err(left()),
        }
    }

    fn python(&mut self, prepared: &Prepared) -> Result<()> {
        let begun = Instant::now();
        let table = self.options.table.clone();
        let mut row = None;
        if let Some(started) = prepared.record(&prepared.script_path()) {
            self.fresh_session()?;
            let connection = self.session()?;
            connection.execute(&settings_outside(connection, 0))?;
            self.begun = true;
            let connection = self.session()?;
            row = Some(record::begin(connection, &table, &started, prepared.unfinished.as_ref())?.0);
        }
        self.begun = true;
        let current = self.current.map(|version| version.to_string());
        let delta = PythonDelta {
            path: prepared.step.path(),
            directory: prepared.step.directory(),
            directories: &self.options.directories,
            current_version: current,
            upgrades_table: &table.to_string(),
            variables: &self.options.variables,
            python: self.options.python.as_deref(),
        };
        let outcome = run_python_delta(&delta, self.lock.connection(), &self.run);
        let anew = format!(
            "what {} committed stays, and the next run begins it anew: make it safe to run twice, or undo that by hand; then {}{}",
            prepared.step,
            self.run_again(prepared),
            self.or_rehearse(prepared)
        );
        let ended = |error: Error| match error.kind() {
            ErrorKind::Cancelled | ErrorKind::ConnectionLost => error.with_hint(anew),
            _ => error,
        };
        let Some(row) = row else { return outcome.map_err(ended) };
        let by_hand = recorded_by_hand(&table, prepared.goes_back, row);
        let unrecorded = match &outcome {
            Ok(()) => format!(
                "{} came to its end, and only that is not recorded, so that the next run would refuse: record it as applied: \
                 {by_hand}; or run it again with --rerun-interrupted",
                prepared.step
            ),
            Err(_) => format!(
                "what {} did is not known, and the next run refuses until that is settled: look at the database; then run it \
                 again with --rerun-interrupted, or record it as applied: {by_hand}",
                prepared.step
            ),
        };
        // The delta had connections of its own and may have taken its time: ours may be gone.
        if self
            .connection
            .as_mut()
            .is_none_or(|connection| connection.uncancelled("select 1").is_err())
        {
            self.connection = None;
            if let Err(error) = self.fresh_session() {
                return Err(error.with_hint(unrecorded));
            }
        }
        match (outcome, &mut self.connection) {
            (Ok(()), _) => {
                // It is done, also when the run was cancelled meanwhile.
                self.session()?.shield(true);
                let completed = self.complete(prepared, row, begun);
                if let Some(connection) = &mut self.connection {
                    connection.shield(false);
                }
                completed.map_err(|error| error.with_hint(unrecorded))
            }
            (Err(error), connection) => {
                let recorded = connection
                    .as_mut()
                    .is_some_and(|connection| record::fail(connection, &table, row));
                Err(if recorded {
                    ended(error)
                } else {
                    error.with_hint(unrecorded)
                })
            }
        }
    }

    /// A session as a new one: settings, role, temporary tables, cursors, listens of the step before are gone.
    fn fresh_session(&mut self) -> Result<()> {
        if let Some(connection) = &mut self.connection {
            connection.rollback();
            self.watch.forget();
            match connection.execute("discard all") {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionLost => self.connection = None,
                Err(error) => return Err(error),
            }
        }
        let mut connection = Connection::open_for_scripts(self.target, &self.run)?;
        self.lock.guards(&mut connection)?;
        self.standing = Some(Standing::read(&mut connection)?);
        self.watch.follow(connection.backend_pid());
        if let Some(witness) = &mut self.witness {
            witness.session(connection.backend_pid());
        }
        self.connection = Some(connection);
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(no_session)
    }
}

/// Runs one statement of a file, with the data that follow it there. How many rows it returned or affected.
pub(crate) fn run_statement(
    connection: &mut Connection,
    statement: &Statement,
    statements: &mut Statements,
) -> Result<u64> {
    let outcome = if statement.copies_from_stdin() {
        connection.run_statement(statement.text(), Some(&mut || statements.copy_data()))
    } else {
        connection.run_statement(statement.text(), None)
    };
    outcome.map(|done| done.rows).map_err(|error| locate(error, statement))
}

/// The same, while somebody may look on.
fn run_seen(
    connection: &mut Connection,
    statement: &Statement,
    statements: &mut Statements,
    witness: &mut Option<&mut dyn Witness>,
) -> Result<()> {
    let Some(witness) = witness else {
        return run_statement(connection, statement, statements).map(drop);
    };
    witness.statement_begins(connection, statement)?;
    let rows = run_statement(connection, statement, statements)?;
    witness.statement_ended(connection, statement, rows)
}

fn no_session() -> Error {
    Error::new(ErrorKind::ConnectionLost, "the session is gone")
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or("").to_owned()
}

/// Settings that a role or a database may have otherwise and an upgrade must not depend on. `search_path` stays the
/// user's: deltas rely on it.
fn settings(connection: &Connection, set: &str, lock_timeout_ms: u64) -> String {
    format!(
        "{set} lock_timeout = {lock_timeout_ms}; {}; {set} synchronous_commit = on; \
         {set} standard_conforming_strings = on",
        connection.timeouts(set)
    )
}

/// The same for a session whose transactions pum does not begin itself.
fn settings_outside(connection: &Connection, lock_timeout_ms: u64) -> String {
    format!(
        "{}; set default_transaction_read_only = off",
        settings(connection, "set", lock_timeout_ms)
    )
}

/// Longer after each attempt, and never the same twice, so that two that are in each other's way part.
fn pause(attempt: u32) -> Duration {
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    Duration::from_millis((200 << attempt.min(5)) + jitter * 2)
}
