//! pum, the Postgres Upgrades Manager: upgrades PostgreSQL databases by delta files and proves the upgrade
//! before production is touched.
//!
//! The library prints nothing, asks nothing and never ends the process. What happens is told through a [`Run`], which
//! is also the handle to cancel it; what fails is an [`Error`] with a kind, a place, the server's words and a hint.
//!
//! **A database** is named by a [`Target`]: a service, a URI or a conninfo string, resolved by libpq itself. For tests
//! and rehearsals a throw-away [`Server`] makes some.
//!
//! ```
//! use pum::{Connection, Run, Server, ServerOptions};
//! let run = Run::new().on_event(|event| println!("{event:?}"));
//! let server = Server::start(&ServerOptions::default(), &run)?;
//! let water = server.create_database("water")?;
//! let mut connection = Connection::open(&water, &run)?;
//! connection.execute("create table public.pipe (id int primary key, length numeric(8, 3))")?;
//! # Ok::<(), pum::Error>(())
//! ```
//!
//! **Compare** two databases with [`check`]. A spelling that PostgreSQL changes by itself is no difference.
//!
//! ```
//! # use pum::{Connection, Run, Server, ServerOptions};
//! # let run = Run::new();
//! # let server = Server::start(&ServerOptions::default(), &run)?;
//! # let (left, right) = (server.create_database("a")?, server.create_database("b")?);
//! # Connection::open(&left, &run)?.execute("create table public.pipe (id int)")?;
//! # Connection::open(&right, &run)?.execute("create table public.pipe (id bigint)")?;
//! let report = pum::check(&left, &right, &pum::Filter::default(), &run)?;
//! assert!(!report.same());
//! let difference = &report.differences()[0];
//! assert_eq!(difference.attributes[0].left.as_deref(), Some("integer"));
//! assert_eq!(difference.attributes[0].right.as_deref(), Some("bigint"));
//! # Ok::<(), pum::Error>(())
//! ```
//!
//! **Back up and restore** with PostgreSQL's own programs of the right version, by [`dump()`] and [`restore()`].
//!
//! ```
//! # use pum::{Connection, Run, Server, ServerOptions};
//! # let run = Run::new();
//! # let server = Server::start(&ServerOptions::default(), &run)?;
//! # let water = server.create_database("water")?;
//! # Connection::open(&water, &run)?.execute("create table public.pipe (id int)")?;
//! # let directory = tempfile::tempdir().unwrap();
//! # let file = directory.path().join("water.dump");
//! pum::dump(&water, &file, &pum::DumpOptions::default(), &run)?;
//! let copy = server.create_database("copy")?;
//! pum::restore(&file, &copy, &pum::RestoreOptions::default(), &run)?;
//! assert!(pum::check(&water, &copy, &pum::Filter::default(), &run)?.same());
//! # Ok::<(), pum::Error>(())
//! ```
//!
//! **Baseline and upgrade**: [`baseline`] records where a database is, [`plan`] shows what is due, [`preflight()`] tells
//! what would disturb it now, [`upgrade`] applies it, each delta in one transaction with its record, under a lock.
//! [`info`] tells what is applied and what is not.
//!
//! ```
//! # use pum::{Connection, Run, Server, ServerOptions};
//! # let run = Run::new();
//! # let server = Server::start(&ServerOptions::default(), &run)?;
//! # let water = server.create_database("water")?;
//! # let deltas = tempfile::tempdir().unwrap();
//! # std::fs::write(deltas.path().join("delta_1.1.0_pipe.sql"), "create table public.pipe (id int)").unwrap();
//! let table: pum::TableName = "water_sys.upgrades".parse()?;
//! pum::baseline(&water, &pum::BaselineOptions::new(table.clone(), "1.0.0".parse()?), &run)?;
//! let options = pum::UpgradeOptions::new(table.clone(), vec![deltas.path().to_owned()]);
//! let plan = pum::plan(&water, &options, &run)?;
//! let found = pum::preflight(&water, &plan, &pum::PreflightOptions::new(options.clone()), &run)?;
//! assert!(found.concerns.is_empty() && found.refusal().is_none());
//! let applied = pum::upgrade(&water, &options, Some(&plan), &run)?;
//! assert_eq!(applied.steps[0].step.to_string(), "1.1.0 pipe (delta sql)");
//! assert_eq!(pum::info(&water, &table, &options.directories, &run)?.current_version.as_deref(), Some("1.1.0"));
//! # Ok::<(), pum::Error>(())
//! ```
//!
//! **Rehearse**: [`rehearse`] copies production, upgrades the copy, and compares it with what it must be. A clean
//! [`Rehearsal`] can be carried out once, while production and the deltas are what they were.
//!
//! ```
//! # use pum::{Connection, Run, Server, ServerOptions};
//! # let run = Run::new();
//! # let server = Server::start(&ServerOptions::default(), &run)?;
//! # let water = server.create_database("water")?;
//! # let deltas = tempfile::tempdir().unwrap();
//! # std::fs::write(deltas.path().join("delta_1.1.0_pipe.sql"), "create table public.pipe (id int)").unwrap();
//! # let create = deltas.path().join("create.sql");
//! # std::fs::write(&create, "create table public.pipe (id int)").unwrap();
//! # let table: pum::TableName = "water_sys.upgrades".parse()?;
//! # pum::baseline(&water, &pum::BaselineOptions::new(table.clone(), "1.0.0".parse()?), &run)?;
//! # let upgrade = pum::UpgradeOptions::new(table, vec![deltas.path().to_owned()]);
//! let mut options = pum::RehearsalOptions::new(upgrade);
//! options.expected = Some(pum::Expected::Sql(vec![create]));
//! let rehearsal = pum::rehearse(&water, &options, &run)?;
//! if rehearsal.is_clean() {
//!     let done = rehearsal.carry_out(&pum::Terms::default(), &run)?;
//!     assert!(done.report.same());
//! }
//! # Ok::<(), pum::Error>(())
//! ```
#![cfg_attr(test, allow(missing_docs))]

mod catalog;
mod check;
mod class;
mod connection;
mod delta;
mod diff;
mod dump;
mod environment;
mod error;
mod expectation;
mod file;
mod fleet;
mod hazard;
mod history;
mod preflight;
mod programs;
mod python;
mod rehearsal;
mod report;
mod rows;
mod run;
mod script;
mod server;
mod snapshot;
mod spelling;
mod supervise;
mod target;
mod upgrade;

pub use catalog::{Catalog, Filter, Fingerprint, KINDS, Kind, ObjectId, Pattern};
pub use check::{Origin, check};
pub use class::Class;
pub use connection::{
    Connection, CopySource, Done, Row, Rows, ServerVersion, TransactionStatus, quote_identifier, quote_literal,
};
pub use delta::{Delta, Deltas, Language, NearMiss, Stage, Surrounding, Version};
pub use diff::{AttributeChange, Change, Diff, Difference};
pub use dump::{DumpOptions, Dumped, Format, PassedOver, RestoreOptions, Restored, dump, restore};
pub use error::{Error, ErrorKind, Location, Result, ServerError};
pub use expectation::Expectations;
pub use file::write_file;
pub use fleet::{DatabaseId, databases, services};
pub use hazard::{Effect, HAZARD_RULES, Hazard, HazardRule, Hazards, hazards};
pub use history::{Entry, History, TableName};
pub use preflight::{Concern, NotSeen, Preflight, PreflightOptions, Severity, preflight};
pub use programs::{fetch_programs, find_program, program_version};
pub use python::PYTHON_DELTA_FILES;
pub use rehearsal::evidence::{
    Evidence, HeldLock, KeepsOut, Place, Prediction, Rewrite, Scan, SequenceChange, StatementEvidence, StepEvidence,
    TableChange, Unforeseen, Wait, Waiter,
};
pub use rehearsal::{
    CarriedOut, Contract, ContractStep, Copied, CopyMethod, CrashPoint, Crashes, Expected, MissingRows, NotCompared,
    Rehearsal, RehearsalOptions, Sample, Sampled, ServerFacts, Terms, rehearse, upgrade_rehearsed,
};
pub use report::{Count, HtmlOptions, LeftOut, NotCounted, Report, Side, TextOptions};
pub use rows::MoreRows;
pub use run::{Cancel, Event, PythonCall, Run};
pub use script::{Script, Statement, Statements, Value, Variables};
pub use server::{Server, ServerOptions};
pub use target::Target;
pub use upgrade::{
    Applied, AppliedStep, BaselineOptions, Baselined, DeltaInfo, Info, Plan, Status, Step, UpgradeOptions, baseline,
    create_upgrades_table, history, info, plan, run_script, upgrade,
};

/// Readers that only tests and fuzzers call by themselves; no part of the interface.
#[doc(hidden)]
pub mod readers {
    pub use crate::target::service_file::{service_names, service_section};
}
