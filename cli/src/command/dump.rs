//! `pum dump`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pum::{DumpOptions, Format, Result};

use crate::Exit;
use crate::command::Database;
use crate::config::{Program, Time};
use crate::session::Session;
use crate::terminal::{bytes, duration, line};

const EXAMPLES: &str = "\
Examples:
  pum dump -p water_prod water.backup
  pum dump -p water_prod -N topology -N import -F directory -j 4 water.dir";

/// Write a backup of a database with pg_dump
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Dump {
    #[command(flatten)]
    database: Database,

    /// Leave out a schema; may be repeated
    #[arg(short = 'N', long, value_name = "SCHEMA")]
    exclude_schema: Vec<String>,

    /// The form of the backup
    #[arg(short = 'F', long, default_value = "custom")]
    format: Form,

    /// Write so many tables at once, into a directory
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,

    /// Give up when a table stays locked for so long, such as 30s; without it pg_dump waits as long as it takes
    #[arg(long, value_name = "TIME")]
    lock_timeout: Option<Time>,

    /// The file or directory to write; one that is there is replaced when the backup is complete
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// The forms of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One compressed file
    #[value(alias = "c")]
    Custom,
    /// A directory, which several jobs write at once
    #[value(alias = "d")]
    Directory,
    /// A script of SQL
    #[value(alias = "p")]
    Plain,
}

impl From<Form> for Format {
    fn from(form: Form) -> Format {
        match form {
            Form::Custom => Format::Custom,
            Form::Directory => Format::Directory,
            Form::Plain => Format::Plain,
        }
    }
}

pub(crate) fn run(args: Dump, session: &Session) -> Result<Exit> {
    let config = &session.config;
    let program = |program| config.program(program).map(|setting| setting.value);
    let options = DumpOptions {
        format: args.format.into(),
        jobs: args.jobs.into(),
        exclude_schemas: config.exclude_schemas(args.exclude_schema).value,
        lock_timeout: args.lock_timeout.map(|Time(timeout)| timeout),
        pg_dump: program(Program::PgDump),
        pg_restore: program(Program::PgRestore),
        ..DumpOptions::default()
    };
    let source = args.database.target(session)?;
    let dumped = pum::dump(&source, &args.file, &options, &session.run)?;
    session.terminal.print(&format!(
        "Dumped {} into {}: {} in {}.\n",
        line(&source.name()),
        line(&dumped.path.to_string_lossy()),
        bytes(dumped.bytes),
        duration(dumped.milliseconds)
    ))?;
    Ok(Exit::Done)
}
