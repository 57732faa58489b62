//! What wants an upgrade to go wrong: scripts that leave their transaction, settings, sessions, servers, tables and
//! objects that somebody planted. Each is put before a real server.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod content;
mod malformed;
mod rows;
mod server;
mod session;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod transaction;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pum::{BaselineOptions, Connection, Error, Event, Run, TableName, Target, UpgradeOptions, baseline, upgrade};

fn table() -> TableName {
    "pum_sys.upgrades".parse().unwrap()
}

/// A database and its deltas.
struct Case {
    target: Target,
    directory: tempfile::TempDir,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Case {
    /// A database at 1.0.0.
    fn new(name: &str) -> Case {
        Case::of(support::database(name))
    }

    /// The same in a database that is there already.
    fn of(target: Target) -> Case {
        let case = Case::bare(target);
        let options = BaselineOptions::new(table(), "1.0.0".parse().unwrap());
        baseline(&case.target, &options, &Run::new()).unwrap();
        case
    }

    /// Without an upgrades table.
    fn bare(target: Target) -> Case {
        Case {
            target,
            directory: tempfile::tempdir().unwrap(),
            events: Arc::default(),
        }
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.directory.path().join(file), text).unwrap();
    }

    /// A delta 1.1.0 in place of the one before.
    fn delta(&self, text: impl AsRef<[u8]>) {
        self.write("delta_1.1.0_a.sql", text);
    }

    fn directories(&self) -> Vec<PathBuf> {
        vec![self.directory.path().to_owned()]
    }

    fn options(&self) -> UpgradeOptions {
        UpgradeOptions::new(table(), self.directories())
    }

    fn upgrade(&self) -> Result<Vec<String>, Error> {
        self.upgrade_with(&self.options(), &self.target)
    }

    fn upgrade_with(&self, options: &UpgradeOptions, target: &Target) -> Result<Vec<String>, Error> {
        self.upgrade_in(options, target, |_| {})
    }

    /// With somebody who hears each event before the run goes on.
    fn upgrade_in(
        &self,
        options: &UpgradeOptions,
        target: &Target,
        listener: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Vec<String>, Error> {
        upgrade(target, options, None, &self.run(listener))
            .map(|applied| applied.steps.iter().map(|step| step.step.to_string()).collect())
    }

    /// A run whose events are kept, behind somebody who hears each.
    fn run(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Run {
        let events = Arc::clone(&self.events);
        Run::new().on_event(move |event| {
            listener(&event);
            events.lock().unwrap().push(event);
        })
    }

    fn execute(&self, sql: &str) {
        execute(&self.target, sql);
    }

    fn ask(&self, sql: &str) -> String {
        ask(&self.target, sql)
    }

    /// What is recorded after the baseline: version, name, success, state.
    fn rows(&self) -> String {
        self.ask(
            "select coalesce(string_agg(concat_ws(' ', version, description, success, state), '; ' order by id), '') \
             from pum_sys.upgrades where type <> 0",
        )
    }

    /// Whether there is such a relation.
    fn has(&self, relation: &str) -> bool {
        self.ask(&format!("select (to_regclass('{relation}') is not null)::text")) == "true"
    }

    /// Nothing is recorded, and the tables that a failing delta makes are not there.
    #[track_caller]
    fn is_as_it_was(&self, about: &str) {
        let tables = [self.has("public.a"), self.has("public.b")];
        assert_eq!((self.rows(), tables), (String::new(), [false, false]), "{about}");
    }

    fn heard(&self, what: &str) -> bool {
        let events = self.events.lock().unwrap();
        events.iter().any(|event| format!("{event:?}").contains(what))
    }
}

fn execute(target: &Target, sql: &str) {
    let mut connection = Connection::open_for_scripts(target, &Run::new()).unwrap();
    connection.execute(sql).unwrap();
}

fn ask(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open_for_scripts(target, &Run::new()).unwrap();
    let rows = connection.query(sql, &[]).unwrap();
    rows.value(0, 0).unwrap_or_default().to_owned()
}

/// Waits until a query answers `true`.
#[track_caller]
fn until(target: &Target, sql: &str) {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while connection.query(sql, &[]).unwrap().value(0, 0) != Some("true") {
        assert!(std::time::Instant::now() < deadline, "never: {sql}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything that an error tells.
fn told(error: &Error) -> String {
    let parts = [Some(error.message()), error.state(), error.hint()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn holds(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is missing in {text}");
    }
}
