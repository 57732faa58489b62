//! Carries out the steps of a plan under the lock, each in a fresh session, each either whole and recorded or not at all.

use std::time::{Duration, Instant};

use super::lock::Lock;
use super::plan::{Plan, Step};
use super::watch::Watch;
use super::{Applied, AppliedStep, UpgradeOptions};
use crate::connection::{Connection, TransactionStatus};
use crate::delta::{Language, Version};
use crate::error::{Error, ErrorKind, Location, Result};
use crate::history::{Entry, History, Record, TableName, state};
use crate::python::{PythonDelta, run_python_delta};
use crate::run::{Event, Run};
use crate::script::{Script, Statement, Statements};
use crate::target::Target;

/// A step with its script read and found sound.
pub(crate) struct Prepared {
    pub(crate) step: Step,
    pub(crate) source: Source,
    /// What an earlier run left of it.
    pub(crate) unfinished: Option<Entry>,
}

pub(crate) enum Source {
    Sql(Script),
    Python { checksum: String, digest: String },
}

impl Prepared {
    fn checksum(&self) -> &str {
        match &self.source {
            Source::Sql(script) => script.checksum(),
            Source::Python { checksum, .. } => checksum,
        }
    }

    fn digest(&self) -> &str {
        match &self.source {
            Source::Sql(script) => script.digest(),
            Source::Python { digest, .. } => digest,
        }
    }

    fn needs_no_transaction(&self) -> bool {
        match &self.source {
            Source::Sql(script) => script.no_transaction(),
            Source::Python { .. } => true,
        }
    }
}

/// What proves after a lost COMMIT whether it happened.
struct Proof {
    transaction: String,
    row: Option<i64>,
}

pub(crate) struct Application<'a> {
    target: &'a Target,
    options: &'a UpgradeOptions,
    lock: &'a mut Lock,
    // None after it was lost, until the next step opens another.
    connection: Option<Connection>,
    watch: Watch,
    run: Run,
    current: Option<Version>,
    done: Vec<AppliedStep>,
}

impl<'a> Application<'a> {
    pub(crate) fn new(
        target: &'a Target,
        options: &'a UpgradeOptions,
        lock: &'a mut Lock,
        history: &History,
        run: &Run,
    ) -> Application<'a> {
        Application {
            target,
            options,
            lock,
            connection: None,
            watch: Watch::new(target, run),
            run: run.clone(),
            current: history.current_version(),
            done: Vec::new(),
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
            self.lock.still_held()?;
            match &prepared.source {
                Source::Python { .. } => self.python(prepared)?,
                Source::Sql(script) if script.no_transaction() => self.without_transaction(prepared, script)?,
                Source::Sql(_) => self.in_transaction(std::slice::from_ref(prepared))?,
            }
            self.finished(prepared, begun);
        }
        Ok(())
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

    fn finished(&mut self, prepared: &Prepared, begun: Instant) {
        self.current = self.current.max(prepared.step.delta().map(|delta| delta.version));
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.run.emit(Event::StepFinished { milliseconds });
        self.done.push(AppliedStep {
            step: prepared.step.clone(),
            milliseconds,
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
            let blockers = self.watch.last_blockers();
            if attempt >= self.options.attempts {
                let who = blockers
                    .map(|who| format!("; in the way was {who}"))
                    .unwrap_or_default();
                return Err(error.within(format_args!("given up after {attempt} attempts{who}")).with_hint(
                    "let the other session end (pg_terminate_backend(PID) ends it), or give --lock-timeout a longer time",
                ));
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
        let milliseconds = u64::try_from(self.options.lock_timeout.as_millis()).unwrap_or(0);
        let together = self.options.single_transaction;
        let total = steps.len();
        let mut durations = Vec::new();
        let connection = self.session()?;
        // Read write and read committed, whatever the role's or the database's defaults are.
        let begun = connection.batch(&format!(
            "begin isolation level read committed, read write; {}; select pg_catalog.txid_current()",
            settings("set local", milliseconds)
        ))?;
        let transaction = text(begun.value(0, 0));
        let mut row = None;
        for (index, prepared) in steps.iter().enumerate() {
            let step_begun = Instant::now();
            if together {
                self.run.emit(Event::StepStarted {
                    number: index + 1,
                    of: total,
                    step: prepared.step.to_string(),
                });
                if index > 0 {
                    // DISCARD ALL is not allowed here; this is what of it is.
                    self.session()?.execute(&format!(
                        "reset session authorization; reset role; reset all; close all; unlisten *; discard plans; {}",
                        settings("set local", milliseconds)
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
                    return Err(error);
                }
            }
            let milliseconds = u64::try_from(step_begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            durations.push(milliseconds);
            if together {
                self.run.emit(Event::StepFinished { milliseconds });
            }
        }
        let last = &steps[steps.len() - 1];
        self.commit(&Proof { transaction, row }, last)?;
        if together {
            for (prepared, milliseconds) in steps.iter().zip(durations) {
                self.done.push(AppliedStep {
                    step: prepared.step.clone(),
                    milliseconds,
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
        let row = match &prepared.step {
            Step::Delta(delta) => {
                let record = Record {
                    version: delta.version,
                    name: &delta.name,
                    code: delta.code(),
                    script: &delta.path.to_string_lossy(),
                    checksum: script.checksum(),
                    digest: Some(script.digest()),
                    execution_time_ms: 0,
                    success: false,
                    state: state::STARTED,
                };
                Some(
                    record
                        .insert(connection, table)
                        .map_err(|error| recording(error, table))?,
                )
            }
            Step::Surrounding(_) => None,
        };
        let around = script.enclosing_transaction();
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
            run_statement(connection, &statement, &mut statements)?;
        }
        self.prove(prepared, transaction, row, begun)?;
        Ok(row)
    }

    fn prove(&mut self, prepared: &Prepared, transaction: &str, row: Option<i64>, begun: Instant) -> Result<()> {
        let table = &self.options.table;
        let Some(connection) = &mut self.connection else {
            return Err(no_session());
        };
        let left = || {
            Error::new(ErrorKind::Refused, format!("{} left the transaction that pum began for it", prepared.step))
                .with_hint("take BEGIN, COMMIT and ROLLBACK out of the delta: what it did before them may be committed already and is not recorded")
        };
        if connection.transaction_status() != TransactionStatus::InTransaction {
            return Err(left());
        }
        // One round trip. The transaction is judged after the update: in another one it is rolled back all the same.
        let reset = "reset session authorization; reset role";
        let now = "pg_catalog.txid_current_if_assigned()::pg_catalog.text";
        let proved = match row {
            Some(row) => {
                let update = completion(connection, table, row, begun);
                connection.batch(&format!("{reset}; {update} returning {now}"))
            }
            None => connection.batch(&format!("{reset}; select {now}")),
        };
        let rows = proved.map_err(|error| disturbed(error, table))?;
        match rows.value(0, 0) {
            Some(now) if now == transaction => Ok(()),
            None if row.is_some() && rows.is_empty() => {
                // A transaction that was rolled back took the row along; one that is still the same had it changed.
                let now = connection.query(&format!("select {now}"), &[])?;
                Err(if now.value(0, 0) == Some(transaction) {
                    row_changed(table)
                } else {
                    left()
                })
            }
            _ => Err(left()),
        }
    }

    fn commit(&mut self, proof: &Proof, last: &Prepared) -> Result<()> {
        match self.session()?.run_statement("commit", None) {
            Ok(done) if done.tag == "COMMIT" => Ok(()),
            Ok(_) => Err(Error::new(
                ErrorKind::Server,
                format!("the server rolled {} back at its COMMIT", last.step),
            )),
            Err(error) if error.kind() == ErrorKind::ConnectionLost => self.outcome_of_commit(proof, last, error),
            Err(error) => {
                if let Some(connection) = &mut self.connection {
                    connection.rollback();
                }
                Err(error.within(format_args!("{} failed at its COMMIT", last.step)))
            }
        }
    }

    /// The connection was lost in COMMIT. Only the row with our run's identity proves what happened: after a crash of
    /// the server, transaction numbers are handed out again.
    fn outcome_of_commit(&mut self, proof: &Proof, last: &Prepared, lost: Error) -> Result<()> {
        self.connection = None;
        self.run.emit(Event::Waiting(format!(
            "the connection was lost in COMMIT of {}; asking the server what happened",
            last.step
        )));
        let deadline = Instant::now() + self.options.patience;
        let question = format!(
            "select success from {} where run_id = '{}' and id = {}",
            self.options.table.quoted(),
            self.run.id(),
            proof.row.unwrap_or(0)
        );
        // A cancelled run must learn the outcome too.
        let asking = Run::new();
        while Instant::now() < deadline {
            if let Ok(mut connection) = Connection::open(self.target, &asking)
                && let Ok(committed) = committed(&mut connection, &self.options.table, proof, &self.run)
            {
                match committed {
                    Some(true) => {
                        return match self.lock.still_held() {
                            Ok(()) => Ok(()),
                            Err(_) => Err(lost
                                .within(format_args!(
                                    "{} is committed and recorded; then the link broke",
                                    last.step
                                ))
                                .with_hint("run pum again: it goes on from there")),
                        };
                    }
                    Some(false) => {
                        return Err(lost
                            .within(format_args!(
                                "{} was rolled back: the link broke before its COMMIT",
                                last.step
                            ))
                            .with_hint("run pum again: it goes on from there"));
                    }
                    None => {}
                }
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Err(lost
            .with_kind(ErrorKind::OutcomeUnknown)
            .within(format_args!(
                "it is not known whether {} was committed: the server cannot be asked",
                last.step
            ))
            .with_hint(format!(
                "when the server is back, run pum again: it sees what is recorded. To look by hand: {question}"
            ))
            .with_state(format!(
                "{} is either wholly applied and recorded, or not at all",
                last.step
            )))
    }

    /// A delta that cannot run in a transaction goes statement by statement. What can be in a transaction is, together
    /// with its checkpoint; what cannot is checked on resuming.
    fn without_transaction(&mut self, prepared: &Prepared, script: &Script) -> Result<()> {
        let begun = Instant::now();
        self.fresh_session()?;
        let milliseconds = u64::try_from(self.options.lock_timeout.as_millis()).unwrap_or(0);
        let Some(connection) = &mut self.connection else {
            return Err(no_session());
        };
        connection.execute(&settings("set", milliseconds))?;
        let table = &self.options.table;
        let (row, done) = begin_record(connection, table, prepared)?;
        if done > 0 {
            self.run.emit(Event::Message(format!(
                "{}: statements 1 to {done} were done by an earlier run; going on with statement {}",
                prepared.step,
                done + 1
            )));
        }
        let resumed = prepared.unfinished.is_some();
        let mut completed = done;
        let outcome = (|| {
            let mut statements = script.statements()?;
            while let Some(statement) = statements.next()? {
                if statement.number() <= done {
                    continue;
                }
                self.run.emit(Event::Progress {
                    done: statement.number() as u64,
                    total: Some(script.statement_count() as u64),
                    unit: "statements",
                });
                let first_again = resumed && statement.number() == done + 1;
                if statement.outside_transaction().is_some() {
                    outside(connection, &statement, first_again, &self.run)?;
                    if connection.transaction_status() == TransactionStatus::Idle {
                        checkpoint(connection, table, row, statement.number())?;
                    }
                } else {
                    // A transaction of the script's own is left as it is: its checkpoint comes after its COMMIT.
                    let own = connection.transaction_status() != TransactionStatus::Idle
                        || statement.is_transaction_control();
                    if !own {
                        connection.execute("begin")?;
                    }
                    run_statement(connection, &statement, &mut statements)?;
                    if !own {
                        checkpoint(connection, table, row, statement.number())?;
                        connection.execute("commit")?;
                    } else if connection.transaction_status() == TransactionStatus::Idle {
                        checkpoint(connection, table, row, statement.number())?;
                    }
                }
                if connection.transaction_status() == TransactionStatus::Idle {
                    completed = statement.number();
                }
            }
            connection.execute("reset session authorization; reset role")?;
            complete(connection, table, row, begun)
        })();
        outcome.map_err(|error: Error| {
            connection.rollback();
            let failed = format!(
                "update {} set state = '{}' where id operator(pg_catalog.=) {row}",
                table.quoted(),
                state::FAILED
            );
            let _ = connection.uncancelled("reset session authorization; reset role");
            let _ = connection.uncancelled(&failed);
            let count = script.statement_count();
            error.with_hint(format!(
                "{} runs without a transaction: {} of its {count} statements are done and stay; correct the cause and run pum again, it goes on with statement {}",
                prepared.step,
                completed,
                completed + 1
            ))
        })
    }

    fn python(&mut self, prepared: &Prepared) -> Result<()> {
        let begun = Instant::now();
        let table = self.options.table.clone();
        let mut row = None;
        if prepared.step.delta().is_some() {
            self.fresh_session()?;
            let Some(connection) = &mut self.connection else {
                return Err(no_session());
            };
            connection.execute(&settings("set", 0))?;
            row = Some(begin_record(connection, &table, prepared)?.0);
        }
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
        let Some(row) = row else { return outcome };
        // The delta had connections of its own and may have taken its time: ours may be gone.
        if self
            .connection
            .as_mut()
            .is_none_or(|connection| connection.uncancelled("select 1").is_err())
        {
            self.connection = None;
            self.fresh_session()?;
        }
        let Some(connection) = &mut self.connection else {
            return Err(no_session());
        };
        match outcome {
            Ok(()) => complete(connection, &table, row, begun),
            Err(error) => {
                let _ = connection.uncancelled(&format!(
                    "update {} set state = '{}' where id operator(pg_catalog.=) {row}",
                    table.quoted(),
                    state::FAILED
                ));
                Err(error)
            }
        }
    }

    /// A session as a new one: settings, role, temporary tables, cursors, listens of the step before are gone.
    fn fresh_session(&mut self) -> Result<()> {
        if let Some(connection) = &mut self.connection {
            connection.rollback();
            match connection.execute("discard all") {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionLost => self.connection = None,
                Err(error) => return Err(error),
            }
        }
        let connection = Connection::open_for_scripts(self.target, &self.run)?;
        self.watch.follow(connection.backend_pid());
        self.connection = Some(connection);
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(no_session)
    }

    /// What is applied and what is not, for the person who reads the error.
    fn state(&self, steps: &[Prepared], error: &Error) -> String {
        let names = |list: &[String]| match list {
            [] => "nothing".to_owned(),
            list if list.len() > 8 => format!("{}, ... and {} more", list[..7].join(", "), list.len() - 7),
            list => list.join(", "),
        };
        let applied: Vec<String> = self.done.iter().map(|done| done.step.to_string()).collect();
        let left: Vec<String> = steps[self.done.len()..]
            .iter()
            .map(|prepared| prepared.step.to_string())
            .collect();
        let failed = steps.get(self.done.len());
        let rolled_back = match failed {
            Some(_) if self.options.single_transaction => "everything was rolled back".to_owned(),
            Some(prepared) if error.kind() == ErrorKind::OutcomeUnknown => format!("{} is not known", prepared.step),
            Some(prepared) if !prepared.needs_no_transaction() => format!("{} was rolled back", prepared.step),
            Some(prepared) => format!("what {} committed stays", prepared.step),
            None => "everything was done".to_owned(),
        };
        format!(
            "applied by this run: {}; {rolled_back}; not applied: {}",
            names(&applied),
            names(&left)
        )
    }
}

/// Runs one statement of a file, with the data that follow it there.
pub(crate) fn run_statement(
    connection: &mut Connection,
    statement: &Statement,
    statements: &mut Statements,
) -> Result<()> {
    let outcome = if statement.copies_from_stdin() {
        connection.run_statement(statement.text(), Some(&mut || statements.copy_data()))
    } else {
        connection.run_statement(statement.text(), None)
    };
    outcome.map(drop).map_err(|error| locate(error, statement))
}

fn no_session() -> Error {
    Error::new(ErrorKind::ConnectionLost, "the session is gone")
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or("").to_owned()
}

/// Settings that a role or a database may have otherwise and an upgrade must not depend on. `search_path` stays the
/// user's: deltas rely on it.
fn settings(set: &str, lock_timeout_ms: u64) -> String {
    format!(
        "{set} lock_timeout = {lock_timeout_ms}; {set} statement_timeout = 0; \
         {set} idle_in_transaction_session_timeout = 0; {set} synchronous_commit = on; \
         {set} standard_conforming_strings = on"
    )
}

/// Longer after each attempt, and never the same twice, so that two that are in each other's way part.
fn pause(attempt: u32) -> Duration {
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    Duration::from_millis((200 << attempt.min(5)) + jitter * 2)
}

fn recording(error: Error, table: &TableName) -> Error {
    match error.sqlstate() {
        Some("42501") => error.within(format_args!("the upgrades table {table} cannot be written")).with_hint(format!(
            "let its owner run: GRANT SELECT, INSERT, UPDATE ON {0} TO ...; GRANT USAGE ON ALL SEQUENCES IN SCHEMA ... TO ...",
            table.quoted()
        )),
        _ => error,
    }
}

/// The statement that completes a row. Everything in it is a number, an identity or qualified.
fn completion(connection: &Connection, table: &TableName, row: i64, begun: Instant) -> String {
    let milliseconds = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX).max(1);
    format!(
        "update {} set success = true, execution_time = {milliseconds}, state = '{}' \
         where id operator(pg_catalog.=) {row} and run_id operator(pg_catalog.=) '{}'::pg_catalog.uuid",
        table.quoted(),
        state::DONE,
        connection.run().id()
    )
}

fn complete(connection: &mut Connection, table: &TableName, row: i64, begun: Instant) -> Result<()> {
    let update = completion(connection, table, row, begun);
    match connection.query(&format!("{update} returning 1"), &[]) {
        Ok(rows) if rows.len() == 1 => Ok(()),
        Ok(_) => Err(row_changed(table)),
        Err(error) => Err(disturbed(error, table)),
    }
}

fn row_changed(table: &TableName) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("the delta changed pum's own row in the upgrades table {table}"),
    )
    .with_hint("a delta must leave the upgrades table alone")
}

/// An error while completing the row: the delta may have dropped or changed the table.
fn disturbed(error: Error, table: &TableName) -> Error {
    if matches!(error.sqlstate(), Some("42P01" | "42703" | "42501" | "3F000")) {
        error
            .within(format_args!("the delta changed the upgrades table {table} itself"))
            .with_hint("a delta must leave the upgrades table alone: its record could not be written")
    } else {
        error
    }
}

fn checkpoint(connection: &mut Connection, table: &TableName, row: i64, done: usize) -> Result<()> {
    connection
        .query(
            &format!(
                "update {} set statements_done = $2::pg_catalog.int4 where id operator(pg_catalog.=) $1::pg_catalog.int4",
                table.quoted()
            ),
            &[Some(&row.to_string()), Some(&done.to_string())],
        )
        .map(drop)
}

/// The row that says that a step without a transaction is begun: that of the interrupted run, or a new one.
fn begin_record(connection: &mut Connection, table: &TableName, prepared: &Prepared) -> Result<(i64, usize)> {
    let Some(delta) = prepared.step.delta() else {
        return Ok((0, 0));
    };
    if let Some(entry) = &prepared.unfinished {
        connection.query(
            &format!(
                "update {} set run_id = $2::pg_catalog.uuid, state = '{}', checksum = $3::pg_catalog.text, \
                 digest = $4::pg_catalog.text where id operator(pg_catalog.=) $1::pg_catalog.int4",
                table.quoted(),
                state::STARTED
            ),
            &[
                Some(&entry.id.to_string()),
                Some(&connection.run().id().to_string()),
                Some(prepared.checksum()),
                Some(prepared.digest()),
            ],
        )?;
        return Ok((
            entry.id,
            if delta.language == Language::Sql {
                entry.statements_done
            } else {
                0
            },
        ));
    }
    let record = Record {
        version: delta.version,
        name: &delta.name,
        code: delta.code(),
        script: &delta.path.to_string_lossy(),
        checksum: prepared.checksum(),
        digest: Some(prepared.digest()),
        execution_time_ms: 0,
        success: false,
        state: state::STARTED,
    };
    Ok((
        record
            .insert(connection, table)
            .map_err(|error| recording(error, table))?,
        0,
    ))
}

/// A statement that cannot run in a transaction. On resuming, it may have been done by the run that was killed.
fn outside(connection: &mut Connection, statement: &Statement, again: bool, run: &Run) -> Result<()> {
    let concurrently = statement
        .outside_transaction()
        .is_some_and(|command| command.contains("CONCURRENTLY"));
    if concurrently {
        // It waits without blocking others, so the limit for waiting would only leave an invalid index.
        connection.execute("set lock_timeout = 0")?;
    }
    let before = invalid_indexes(connection)?;
    if again
        && concurrently
        && let Some((_, name)) = before.iter().find(|(bare, _)| statement.text().contains(bare.as_str()))
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
        Err(error) => {
            let error = locate(error, statement);
            let left = invalid_indexes(connection).unwrap_or_default();
            let new = left.iter().find(|index| !before.contains(index));
            return Err(match new {
                Some((_, name)) => error.with_hint(format!(
                    "the index {name} is left invalid: correct the cause, then run DROP INDEX CONCURRENTLY {name} and pum again"
                )),
                None => error,
            });
        }
    }
    if concurrently {
        let after = invalid_indexes(connection)?;
        if let Some((_, name)) = after.iter().find(|(bare, _)| statement.text().contains(bare.as_str())) {
            return Err(Error::new(ErrorKind::Server, format!("the index {name} is not valid"))
                .at(statement.location(None))
                .with_hint(format!(
                    "an earlier attempt left it: run DROP INDEX CONCURRENTLY {name} and pum again"
                )));
        }
    }
    Ok(())
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

/// Whether the transaction of a lost COMMIT is there: `None` while it is still in progress.
fn committed(connection: &mut Connection, table: &TableName, proof: &Proof, run: &Run) -> Result<Option<bool>> {
    if let Some(row) = proof.row {
        let there = connection.query(
            &format!(
                "select 1 from {} where id = $1::int4 and run_id = $2::uuid and success",
                table.quoted()
            ),
            &[Some(&row.to_string()), Some(&run.id().to_string())],
        )?;
        if !there.is_empty() {
            return Ok(Some(true));
        }
    }
    // A number that the server does not know yet was lost in a crash.
    let status = connection.query(
        "select case when $1::text::int8 < txid_snapshot_xmax(txid_current_snapshot()) \
         then txid_status($1::text::int8) else 'aborted' end",
        &[Some(&proof.transaction)],
    )?;
    match status.value(0, 0) {
        Some("in progress") => Ok(None),
        // Without a row there is nothing better than the server's word.
        Some("committed") if proof.row.is_none() => Ok(Some(true)),
        _ => Ok(Some(false)),
    }
}

/// Puts the place in the file into an error of a statement: the server's position, or the line in a DO block that the
/// context names, or the statement's first line.
fn locate(error: Error, statement: &Statement) -> Error {
    let Some(server) = error.server() else { return error };
    let position = server
        .position
        .or_else(|| position_in_block(server.context.as_deref()?, statement.text()));
    let location: Location = statement.location(position);
    error.at(location)
}

/// `PL/pgSQL function inline_code_block line 3 at ...` counts lines from the opening dollar quote of a DO block.
fn position_in_block(context: &str, statement: &str) -> Option<usize> {
    let (_, after) = context.split_once("inline_code_block line ")?;
    let line: usize = after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let body = statement.find('$')?;
    let mut start = body;
    for _ in 1..line {
        start += statement[start..].find('\n')? + 1;
    }
    let indent = if line > 1 {
        statement[start..].chars().take_while(|c| c.is_whitespace()).count()
    } else {
        0
    };
    Some(statement[..start].chars().count() + indent + 1)
}
