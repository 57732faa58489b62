//! The crash rehearsal: on clones of the copy the upgrade is killed in each step and run again, and must come to the same
//! structure and data as the upgrade that nobody disturbed.
//!
//! What depends on the time or on where sequences stand is another in every run. A run that nobody kills, on a clone whose
//! sequences were moved, finds out which columns those are; they are not compared.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::copy::{self, Likeness};
use super::evidence::{Data, TableChange};
use crate::catalog::Filter;
use crate::check::check;
use crate::connection::{Connection, quote_identifier};
use crate::delta::Language;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::script::{Script, Statement};
use crate::server::Server;
use crate::target::Target;
use crate::upgrade::{Plan, Step, UpgradeOptions, Witness, upgrade, upgrade_seen};

/// The clone that everything begins from, and the one that is upgraded.
const BASE: &str = "pum_crash_base";
const CLONE: &str = "pum_crash";

/// Columns by their table and name.
type Columns = BTreeSet<(String, String)>;

/// An upgrade that was killed in a step, and run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CrashPoint {
    /// The step's place in the plan.
    pub step: usize,
    /// The statement after which the session was killed.
    pub statement: usize,
    /// What is otherwise than after the upgrade that nobody disturbed, in words; none when it came to the same.
    pub problem: Option<String>,
}

/// What the crash rehearsal came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Crashes {
    /// Each step in which the upgrade was killed.
    pub points: Vec<CrashPoint>,
    /// Steps in which it was not killed, and columns that were not compared, with the reason.
    pub not_tried: Vec<String>,
}

impl Crashes {
    /// Whether every upgrade that was killed and run again came to the same.
    pub fn converge(&self) -> bool {
        self.points.iter().all(|point| point.problem.is_none())
    }
}

/// Everything that an attempt needs.
pub(super) struct CrashRehearsal<'a> {
    pub(super) server: &'a Server,
    pub(super) options: &'a UpgradeOptions,
    pub(super) plan: &'a Plan,
    pub(super) like: &'a Likeness,
    pub(super) jobs: usize,
    pub(super) run: &'a Run,
}

impl CrashRehearsal<'_> {
    /// Clones the copy before it is upgraded. Nobody may be connected to it.
    pub(super) fn prepare(server: &Server, copy: &Target, run: &Run) -> Result<()> {
        let rows = Connection::open(copy, run)?.query("select current_database()", &[])?;
        let name = rows.value(0, 0).unwrap_or_default();
        let mut attempt = 0;
        loop {
            match server.create_database_from(BASE, name) {
                // 55006: a session that has ended is still there for a moment.
                Err(error) if error.sqlstate() == Some("55006") && attempt < 100 => attempt += 1,
                outcome => return outcome.map(drop),
            }
            run.sleep(Duration::from_millis(50))?;
        }
    }

    /// Kills and runs again, for each step; `upgraded` and `data` are what the upgrade that nobody disturbed came to.
    pub(super) fn carry_out(&self, upgraded: &Target, data: &Data) -> Result<Crashes> {
        let mut crashes = Crashes::default();
        let (unstable, not_told) = self.control(data)?;
        crashes.not_tried.extend(not_told);
        if !unstable.is_empty() {
            let names: Vec<String> = unstable
                .iter()
                .map(|(table, column)| format!("{table}.{column}"))
                .collect();
            crashes.not_tried.push(format!(
                "not compared, because every run gives other values: {}",
                names.join(", ")
            ));
        }
        for (number, step) in self.plan.steps.iter().enumerate() {
            self.run
                .emit(Event::Message(format!("kill the upgrade in {step}, and run it again")));
            if step.language() == Language::Python {
                crashes
                    .not_tried
                    .push(format!("{step}: a Python delta has sessions of its own"));
                continue;
            }
            let script = Script::open(step.path(), &self.options.variables)?;
            let count = script.statement_count();
            // The BEGIN and COMMIT around all are passed over.
            if count == 0 || script.enclosing_transaction() && count <= 2 {
                continue;
            }
            let statement = count.div_ceil(2);
            let problem = self.attempt(number, statement, upgraded, data, &unstable)?;
            crashes.points.push(CrashPoint {
                step: number,
                statement,
                problem,
            });
        }
        Ok(crashes)
    }

    fn clone(&self) -> Result<Target> {
        let mut connection = Connection::open(&self.server.target("postgres"), &self.run.quietly())?;
        connection.execute(&format!("drop database if exists {}", quote_identifier(CLONE)))?;
        let clone = self.server.create_database_from(CLONE, BASE)?;
        // A template gives what is in it, and not what is set for it.
        copy::set(&mut connection, CLONE, self.like, &self.run.quietly())?;
        Ok(clone)
    }

    fn data(&self, target: &Target) -> Result<Data> {
        Data::read(target, &self.options.table, self.jobs, &self.run.quietly())
    }

    /// The columns that are another in a run that nobody kills, and what cannot be told.
    fn control(&self, data: &Data) -> Result<(Columns, Vec<String>)> {
        let clone = self.clone()?;
        let mut connection = Connection::open(&clone, &self.run.quietly())?;
        let sequences = connection.query(
            "select s.oid::regclass::text from pg_class s join pg_namespace n on n.oid = s.relnamespace \
             where s.relkind = 'S' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
            &[],
        )?;
        for sequence in sequences.iter() {
            // One that may give no more stays where it is.
            let _ = connection.query("select nextval($1::regclass)::text", &[Some(sequence.text(0))]);
        }
        drop(connection);
        upgrade(&clone, self.options, Some(self.plan), &self.run.quietly())?;
        let found = self.data(&clone)?;
        let changes = data.differences(&found);
        let columns = |change: TableChange| {
            let table = change.table;
            change
                .columns_changed
                .into_iter()
                .map(move |column| (table.clone(), column))
        };
        Ok((changes.into_iter().flat_map(columns).collect(), data.not_told(&found)))
    }

    /// What is otherwise when the upgrade is killed after a statement of a step, and run again.
    fn attempt(
        &self,
        step: usize,
        statement: usize,
        upgraded: &Target,
        data: &Data,
        unstable: &Columns,
    ) -> Result<Option<String>> {
        let clone = self.clone()?;
        let quiet = self.run.quietly();
        let mut killer = Killer {
            connection: Connection::open(&clone, &quiet)?,
            step,
            statement,
            now: None,
            session: 0,
            killed: false,
        };
        let outcome = upgrade_seen(&clone, self.options, Some(self.plan.into()), Some(&mut killer), &quiet);
        self.run.go_on()?;
        let killed = killer.killed;
        drop(killer);
        match outcome {
            Ok(_) if !killed => return Ok(Some("the upgrade did not come to the statement".to_owned())),
            // A statement of the script itself ended the session's work.
            Ok(_) => {}
            Err(error) if !killed => return Ok(Some(format!("the upgrade failed before: {error}"))),
            Err(_) => {
                if let Err(error) = upgrade(&clone, self.options, None, &quiet) {
                    self.run.go_on()?;
                    return Ok(Some(format!("the second run failed: {error}")));
                }
            }
        }
        let table = &self.options.table;
        let filter = Filter {
            upgrades_table: Some((table.schema.clone(), table.name.clone())),
            ..Filter::default()
        };
        let report = check(&clone, upgraded, &filter, &quiet)?;
        if let Some(difference) = report.differences().first() {
            let count = report.differences().len();
            return Ok(Some(format!(
                "the structure is another: {count} differences, such as {}",
                difference.object
            )));
        }
        let changes = data.differences(&self.data(&clone)?);
        let problem = changes.iter().find_map(|change| {
            let others: Vec<&String> = change
                .columns_changed
                .iter()
                .filter(|column| !unstable.contains(&(change.table.clone(), (*column).clone())))
                .collect();
            let rows = change.rows_before != change.rows_after;
            (rows || !others.is_empty() || !change.columns_dropped.is_empty()).then(|| {
                let count = |rows: Option<u64>| rows.map_or("no table".to_owned(), |rows| format!("{rows} rows"));
                if rows {
                    format!(
                        "the data of {} are others: {} in place of {}",
                        change.table,
                        count(change.rows_after),
                        count(change.rows_before)
                    )
                } else {
                    format!("the data of {} are others", change.table)
                }
            })
        });
        Ok(problem)
    }
}

/// Ends the session of the upgrade after a statement of a step.
struct Killer {
    connection: Connection,
    step: usize,
    statement: usize,
    now: Option<usize>,
    session: i32,
    killed: bool,
}

impl Witness for Killer {
    fn session(&mut self, pid: i32) {
        self.session = pid;
    }

    fn attempt_begins(&mut self) {}

    fn step_begins(&mut self, _: &Step) -> Result<()> {
        self.now = Some(self.now.map_or(0, |now| now + 1));
        Ok(())
    }

    fn statement_begins(&mut self, _: &mut Connection, _: &Statement) -> Result<()> {
        Ok(())
    }

    fn statement_ended(&mut self, _: &mut Connection, statement: &Statement, _: u64) -> Result<()> {
        if self.killed || self.now != Some(self.step) || statement.number() < self.statement {
            return Ok(());
        }
        self.killed = true;
        let pid = self.session.to_string();
        self.connection
            .query("select pg_terminate_backend($1::int4)::text", &[Some(&pid)])?;
        // The server ends it when it gets to it.
        for _ in 0..500 {
            let rows = self.connection.query(
                "select count(*)::text from pg_stat_activity where pid = $1::int4",
                &[Some(&pid)],
            )?;
            if rows.value(0, 0) == Some("0") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Error::new(
            ErrorKind::Server,
            "the session of the upgrade could not be ended",
        ))
    }

    fn transaction_ended(&mut self) -> Result<()> {
        Ok(())
    }

    fn step_ended(&mut self) -> Result<()> {
        Ok(())
    }

    fn rolled_back(&mut self) {}
}
