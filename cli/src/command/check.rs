//! `pum check`

use std::path::PathBuf;

use clap::Args;
use pum::Result;

use crate::Exit;
use crate::command::{Comparison, Format, Login};
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  pum check -p1 water_prod -p2 water_new
  pum check -p1 water_prod -p2 water_new -i views triggers -N topology -P '%_import'
  pum check -p1 'postgresql://ann@db1/water' -p2 'host=db2 dbname=water' --format json -o report.json

Exit code: 0 same, 1 different, 2 could not tell.";

/// Compare the structure of two databases
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// The left database: a service, a URI or a conninfo string [short: -p1]
    #[arg(long, value_name = "DB")]
    pg_service1: String,

    /// The right database [short: -p2]
    #[arg(long, value_name = "DB")]
    pg_service2: String,

    #[command(flatten)]
    comparison: Comparison,

    /// Say more or less: 0 a summary, 1 the differences, 2 whole definitions too
    #[arg(short, long, value_name = "LEVEL", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    verbose_level: u8,

    /// Write the report into a file
    #[arg(short, long, value_name = "FILE")]
    output_file: Option<PathBuf>,

    /// Print nothing; the exit code tells
    #[arg(short, long)]
    silent: bool,

    /// The form of the report
    #[arg(long, default_value = "text")]
    format: Format,

    #[command(flatten)]
    login: Login,
}

pub(crate) fn run(args: Check, session: &Session) -> Result<Exit> {
    let _ = (args, session);
    Err(pum::Error::new(pum::ErrorKind::Usage, "this command is not there yet"))
}
