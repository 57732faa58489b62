//! pum, the Postgres Upgrades Manager: upgrades PostgreSQL databases by delta files and proves the upgrade
//! before production is touched.
#![cfg_attr(test, allow(missing_docs))]

mod catalog;
mod check;
mod connection;
mod delta;
mod diff;
mod dump;
mod error;
mod history;
mod programs;
mod python;
mod rehearsal;
mod report;
mod run;
mod script;
mod server;
mod spelling;
mod supervise;
mod target;
mod upgrade;

pub use catalog::{Catalog, Filter, Fingerprint, KINDS, Kind, ObjectId};
pub use check::check;
pub use connection::{
    Connection, CopySource, Done, Row, Rows, ServerVersion, TransactionStatus, quote_identifier, quote_literal,
};
pub use delta::{Delta, Deltas, Language, NearMiss, Stage, Surrounding, Version};
pub use diff::{AttributeChange, Change, Diff, Difference};
pub use dump::{DumpOptions, Dumped, Format, PassedOver, RestoreOptions, Restored, dump, restore};
pub use error::{Error, ErrorKind, Location, Result, ServerError};
pub use history::{Entry, History, TableName};
pub use programs::{fetch_programs, find_program, program_version};
pub use rehearsal::{CarriedOut, Expected, Rehearsal, RehearsalOptions, rehearse};
pub use report::{NotCompared, Report, Side, TextOptions};
pub use run::{Cancel, Event, Run};
pub use script::{Script, Statement, Statements, Value, Variables};
pub use server::{Server, ServerOptions};
pub use target::Target;
pub use upgrade::{
    Applied, AppliedStep, BaselineOptions, Baselined, DeltaInfo, Info, Plan, Status, Step, UpgradeOptions, baseline,
    history, info, plan, run_script, upgrade,
};
