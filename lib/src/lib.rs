//! pum, the Postgres Upgrades Manager: upgrades PostgreSQL databases by delta files and proves the upgrade
//! before production is touched.
#![cfg_attr(test, allow(missing_docs))]

mod error;
mod run;

pub use error::{Error, ErrorKind, Location, Result, ServerError};
pub use run::{Cancel, Event, Run};
