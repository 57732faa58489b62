//! `pum restore`

use std::path::PathBuf;

use clap::Args;
use pum::{PassedOver, RestoreOptions, Result};

use crate::Exit;
use crate::command::Database;
use crate::config::{Program, Role};
use crate::session::Session;
use crate::terminal::{counted, duration, line, table};

const EXAMPLES: &str = "\
Examples:
  pum restore -p water_copy --create water.backup
  pum restore -p water_copy -x -N public -N topology -- ./water.backup";

/// Restore a backup into a database; everything in it belongs to who restores
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Restore {
    #[command(flatten)]
    database: Database,

    /// Go on after errors of pg_restore, and list them at the end
    #[arg(short = 'x', long)]
    ignore_restore_errors: bool,

    /// Leave out a schema; may be repeated
    #[arg(short = 'N', long, value_name = "SCHEMA")]
    exclude_schema: Vec<String>,

    /// Drop what the backup holds first; what only the database holds stays
    #[arg(long, conflicts_with = "into_existing")]
    clean: bool,

    /// Restore into a database that already holds objects, beside them
    #[arg(long)]
    into_existing: bool,

    /// Create the database
    #[arg(long)]
    create: bool,

    /// Create the roles that the backup names and the server does not have; they cannot log in
    #[arg(long)]
    create_roles: bool,

    /// Restore so many tables at once
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,

    /// The backup: a file or a directory that dump or pg_dump wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(args: Restore, session: &Session) -> Result<Exit> {
    let config = &session.config;
    let options = RestoreOptions {
        exclude_schemas: config.exclude_schemas(args.exclude_schema).value,
        ignore_errors: args.ignore_restore_errors,
        jobs: args.jobs.into(),
        clean: args.clean,
        into_existing: args.into_existing,
        create: args.create,
        create_roles: args.create_roles,
        pg_restore: config.program(Program::PgRestore).map(|setting| setting.value),
    };
    let name = config.needed_database(Role::Only, args.database.pg_service)?;
    let target = if args.create {
        session.target_to_create(name, args.database.login.ask())?
    } else {
        session.target(name, args.database.login.ask())?
    };
    if !args.create {
        session.terminal.tell(&session.identity(&target)?);
    }
    let restored = pum::restore(&args.file, &target, &options, &session.run)?;
    session.terminal.print(&format!(
        "Restored {} into {} in {}.\n{}",
        line(&args.file.to_string_lossy()),
        line(&target.name()),
        duration(restored.milliseconds),
        passed_over(&restored.passed_over)
    ))?;
    if args.clean {
        session
            .terminal
            .tell("What the database held and the backup does not is still there.");
    }
    session
        .terminal
        .tell("Run ANALYZE in it: a restored database has no statistics for the planner.");
    Ok(Exit::Done)
}

/// The errors that were passed over, by class.
pub(crate) fn passed_over(errors: &[PassedOver]) -> String {
    let all: u64 = errors.iter().map(|class| class.count).sum();
    if all == 0 {
        return String::new();
    }
    let rows = errors.iter().map(|class| {
        let weight = if class.harmless { "harmless" } else { "" };
        [
            class.count.to_string(),
            class.class.to_owned(),
            weight.to_owned(),
            class.first.clone(),
        ]
    });
    format!(
        "{} passed over:\n{}",
        counted(all, "error"),
        table(["count", "class", "", "the first"], rows)
    )
}
