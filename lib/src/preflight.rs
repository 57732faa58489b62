//! The pre-flight: what would disturb an upgrade of a database if it began now, and what that would do. It only reads.

mod disk;
mod due;
mod pooler;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connection::{Connection, quote_literal};
use crate::error::{Error, ErrorKind, Result};
use crate::history::own_columns;
use crate::run::Run;
use crate::target::Target;
use crate::upgrade::{Plan, UpgradeOptions, key_in_pg_locks};
use due::Due;

/// A query of its own for each subject. Each returns rows of `code`, `severity`, `what`, `effect` and `advice`; the severity
/// `not_seen` stands for what the role may not see, with the reason in `effect`. What they ask of the upgrade is in the
/// setting `pum.preflight`, as JSON.
struct Check {
    /// What is looked for, in a sentence about why it was not.
    subject: &'static str,
    /// The first version of the server that knows what it reads.
    since: u32,
    sql: &'static str,
}

macro_rules! checks {
    ($($file:literal $since:literal $subject:literal,)*) => {
        &[$(Check { subject: $subject, since: $since, sql: include_str!(concat!("preflight/", $file, ".sql")) }),*]
    };
}

/// In the order in which they are told, among those of the same severity.
const CHECKS: &[Check] = checks![
    "standby" 12 "whether the server is a standby",
    "synchronous" 12 "whether synchronous standbys are connected",
    "privileges" 12 "what the role may do",
    "extensions" 12 "which extensions the server has",
    "connections" 12 "how many connections are free",
    "other_run" 12 "whether another run of pum is under way",
    "sessions" 12 "transactions of other sessions, and dumps",
    "prepared" 12 "prepared transactions",
    "wraparound" 12 "vacuums against wraparound",
    "commands" 12 "commands at work",
    "copies" 14 "copies at work",
    "replicas" 12 "how far replicas are behind",
    "slots" 12 "replication slots",
    "wal" 12 "the archive of WAL",
    "publications" 12 "publications",
    "triggers" 12 "event triggers",
    "settings" 12 "settings of the role and the database",
    "validity" 12 "indexes and constraints that do not hold",
    "collations" 15 "versions of collations",
];

/// The concerns for which an upgrade is not begun: it could not succeed.
const REFUSES: [&str; 2] = ["standby", "no_synchronous_standby"];

/// How a pre-flight looks at a database.
#[derive(Debug, Clone)]
pub struct PreflightOptions {
    /// The upgrade that is about to begin.
    pub upgrade: UpgradeOptions,
    /// A transaction that is open for so long is told.
    pub long_transaction: Duration,
}

impl PreflightOptions {
    /// The defaults for an upgrade: transactions of more than 10 s are told.
    pub fn new(upgrade: UpgradeOptions) -> PreflightOptions {
        PreflightOptions {
            upgrade,
            long_transaction: Duration::from_secs(10),
        }
    }
}

/// How much a concern matters to the upgrade; the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The upgrade fails, or must not begin.
    Blocks,
    /// The upgrade waits, or makes others wait.
    Delays,
    /// It can go on; know it before.
    Know,
}

/// Something that would disturb the upgrade. Its texts hold names and statements from the server, which are untrusted: escape
/// them for where they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Concern {
    /// What it is, in a word that stays the same, such as `long_transaction`; README.md lists them.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// Whether the upgrade is not begun because of it: see [`Preflight::refusal`].
    pub refuses: bool,
    /// What there is, and who: process, user, application, since when, its statement's beginning without a password.
    pub what: String,
    /// What it would do to this upgrade.
    pub effect: String,
    /// What to do about it, with the SQL to run.
    pub advice: String,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotSeen {
    /// What it is.
    pub what: String,
    /// Why it was not seen.
    pub because: String,
    /// What would show it, where something would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What a pre-flight found; its JSON form is `pum/preflight/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Preflight {
    /// `pum/preflight/1`.
    pub schema: String,
    /// The concerns, the gravest first.
    pub concerns: Vec<Concern>,
    /// What could not be looked at.
    pub not_seen: Vec<NotSeen>,
}

impl Preflight {
    fn new(mut concerns: Vec<Concern>, not_seen: Vec<NotSeen>) -> Preflight {
        concerns.sort_by_key(|concern| concern.severity);
        Preflight {
            schema: "pum/preflight/1".to_owned(),
            concerns,
            not_seen,
        }
    }

    /// The concerns of a severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Concern> {
        self.concerns.iter().filter(move |concern| concern.severity == severity)
    }

    /// The error of an upgrade that is not begun, because it could not succeed. Everything else informs only.
    pub fn refusal(&self) -> Option<Error> {
        let concern = self.concerns.iter().find(|concern| concern.refuses)?;
        let message = format!("{}: {}", concern.what, concern.effect);
        Some(
            Error::new(ErrorKind::Refused, message)
                .with_hint(concern.advice.clone())
                .with_state("nothing was changed"),
        )
    }
}

/// Looks at a database before an upgrade of it: in one transaction that reads, and waits for nobody longer than 2 s. What the
/// role may not see, or what the server refused to tell, is in [`Preflight::not_seen`].
///
/// # Errors
/// No session can be opened or it is lost, a file of the plan cannot be read, the run is cancelled.
pub fn preflight(production: &Target, plan: &Plan, options: &PreflightOptions, run: &Run) -> Result<Preflight> {
    let outcome = (|| {
        let due = Due::read(plan, &options.upgrade.variables)?;
        let mut connection = Connection::open(production, run)?;
        let mut found = Found::default();
        pooler::look(&connection, due.sessions(), &mut found);
        found.look(&mut connection, production, &due, options)?;
        Ok(Preflight::new(found.concerns, found.not_seen))
    })();
    outcome.map_err(|error: Error| error.with_state("nothing was changed"))
}

/// A row of a query.
#[derive(Deserialize)]
struct Line {
    code: Option<String>,
    severity: Option<String>,
    what: Option<String>,
    effect: Option<String>,
    advice: Option<String>,
}

#[derive(Default)]
struct Found {
    concerns: Vec<Concern>,
    not_seen: Vec<NotSeen>,
}

impl Found {
    fn concern(&mut self, severity: Severity, code: &str, what: String, effect: String, advice: String) {
        self.concerns.push(Concern {
            code: code.to_owned(),
            severity,
            refuses: severity == Severity::Blocks && REFUSES.contains(&code),
            what,
            effect,
            advice,
        });
    }

    fn not_seen(&mut self, what: impl Into<String>, because: impl Into<String>) {
        self.not_seen.push(NotSeen {
            what: what.into(),
            because: because.into(),
            advice: None,
        });
    }

    fn look(
        &mut self,
        connection: &mut Connection,
        production: &Target,
        due: &Due,
        options: &PreflightOptions,
    ) -> Result<()> {
        let server = connection.server_version().major();
        connection.execute(
            "begin isolation level read committed, read only; set local lock_timeout = '2s'; \
             set local statement_timeout = '20s'",
        )?;
        let named = match named(connection, due) {
            Ok(named) => named,
            Err(error) if error.kind() == ErrorKind::Server => {
                connection.rollback();
                self.not_seen("everything else", error.message());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let given = quote_literal(&given(production, due, &named, options));
        // One savepoint for all: what fails is rolled back to it, and the next goes on.
        connection.execute(&format!(
            "select set_config('pum.preflight', {given}, true); savepoint looked"
        ))?;
        let checks: Vec<&Check> = CHECKS.iter().filter(|check| check.since <= server).collect();
        let mut queries: Vec<String> = checks
            .iter()
            .map(|check| format!("select coalesce(json_agg(q), '[]')::text from (\n{}) q", check.sql))
            .collect();
        queries.push(disk::SIZES.to_owned());
        let groups: Vec<Vec<&str>> = queries
            .iter()
            .flat_map(|query| [vec![query.as_str()], vec!["rollback to savepoint looked"]])
            .collect();
        let mut answers = connection.pipeline(&groups)?.into_iter().step_by(2);
        for (check, answer) in checks.iter().zip(&mut answers) {
            self.take(check, answer)?;
        }
        if let Some(answer) = answers.next() {
            disk::look(connection, answer, self)?;
        }
        connection.rollback();
        Ok(())
    }

    /// What a query returned; one that failed is something that was not seen.
    fn take(&mut self, check: &Check, answer: Result<String>) -> Result<()> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Server => {
                self.not_seen(check.subject, error.message());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let lines: Vec<Line> = match serde_json::from_str(&answer) {
            Ok(lines) => lines,
            Err(error) => {
                self.not_seen(check.subject, format!("the server's answer cannot be read: {error}"));
                return Ok(());
            }
        };
        for line in lines {
            let (what, effect) = (line.what.unwrap_or_default(), line.effect.unwrap_or_default());
            let severity = match line.severity.as_deref() {
                Some("blocks") => Severity::Blocks,
                Some("delays") => Severity::Delays,
                Some("know") => Severity::Know,
                _ => {
                    self.not_seen.push(NotSeen {
                        what,
                        because: effect,
                        advice: line.advice,
                    });
                    continue;
                }
            };
            let code = line.code.unwrap_or_default();
            self.concern(severity, &code, what, effect, line.advice.unwrap_or_default());
        }
        Ok(())
    }
}

/// The names of relations that are words of the deltas. The words themselves stay here: a password may be among them.
fn named(connection: &mut Connection, due: &Due) -> Result<Vec<String>> {
    let names = connection.query("select distinct lower(relname) from pg_class where oid >= 16384", &[])?;
    let names = names.iter().map(|row| row.text(0).to_owned());
    Ok(names.filter(|name| due.words.contains(name)).collect())
}

/// What the queries ask of the upgrade.
fn given(production: &Target, due: &Due, named: &[String], options: &PreflightOptions) -> String {
    let upgrade = &options.upgrade;
    let (class, object) = key_in_pg_locks(&upgrade.table);
    serde_json::json!({
        "target": production.name(),
        "schema": upgrade.table.schema,
        "table": upgrade.table.name,
        "columns": own_columns().collect::<Vec<_>>(),
        "lock_class": class.to_string(),
        "lock_object": object.to_string(),
        "long_transaction": options.long_transaction.as_secs_f64(),
        "waits": waits(upgrade, due),
        "waits_for_runs": !upgrade.wait.is_zero(),
        "sessions": due.sessions(),
        "records": due.records,
        "python": due.python,
        "concurrently": due.concurrently,
        "creates": due.creates,
        "creates_in": due.creates_in,
        "alters": due.alters,
        "extensions": due.extensions,
        "named": named,
    })
    .to_string()
}

/// What happens to a delta that has to wait for a lock.
fn waits(upgrade: &UpgradeOptions, due: &Due) -> String {
    if upgrade.lock_timeout.is_zero() {
        return "waits without end, and everybody else who wants the table waits behind it".to_owned();
    }
    format!(
        "waits, and everybody else who wants the table behind it; after {} s it is rolled back and tried again, {} times in \
         all, and then the upgrade stops{}",
        upgrade.lock_timeout.as_secs_f64(),
        upgrade.attempts,
        if due.no_transaction {
            " (a delta without a transaction stops it the first time)"
        } else {
            ""
        }
    )
}

#[cfg(test)]
mod tests;
