//! `pum test`

use std::path::PathBuf;

use clap::Args;
use pum::Result;

use crate::Exit;
use crate::command::{Comparison, Deltas, Login, Scripts};
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  pum test -pp water_prod -t water_sys.info -d deltas
  pum test -pp water_prod -pt water_test -pc water_new -t water_sys.info -d deltas -f water.backup -i views";

/// Rehearse an upgrade on a copy of production, which stays as it is
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// The production database: a service, a URI or a conninfo string [short: -pp]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_prod: Option<String>,

    /// The test database, made anew; without it a throw-away server serves [short: -pt]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_test: Option<String>,

    /// The database with which the upgraded test database is compared [short: -pc]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_comp: Option<String>,

    #[command(flatten)]
    pub(crate) deltas: Deltas,

    /// Write the backup of production into this file, and keep it
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,

    /// Go on after errors of pg_restore
    #[arg(short = 'x', long)]
    pub(crate) ignore_restore_errors: bool,

    #[command(flatten)]
    pub(crate) comparison: Comparison,

    #[command(flatten)]
    pub(crate) scripts: Scripts,

    /// Create production's upgrades table when it is missing, at this version
    #[arg(short, long, value_name = "X.Y.Z")]
    pub(crate) baseline: Option<String>,

    /// Replace the test database even when it is no copy that pum made
    #[arg(long)]
    pub(crate) overwrite_test: bool,

    /// Dump and restore so many tables at once
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,

    #[command(flatten)]
    pub(crate) login: Login,
}

pub(crate) fn run(args: Test, session: &Session) -> Result<Exit> {
    let _ = (args, session);
    Err(pum::Error::new(pum::ErrorKind::Usage, "this command is not there yet"))
}
