//! `pum baseline`

use clap::Args;
use pum::{BaselineOptions, Result};

use crate::Exit;
use crate::command::{Database, Deltas};
use crate::config::Time;
use crate::session::Session;
use crate::terminal::{counted, line};

const EXAMPLES: &str = "\
Examples:
  pum baseline -p water_prod -t water_sys.info -d deltas -b 1.0.0
  pum baseline -p water_new -t water_sys.info -d deltas -b 1.3.0 --mark-applied";

/// Create the upgrades table, and say which version the database has
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Baseline {
    #[command(flatten)]
    database: Database,

    #[command(flatten)]
    deltas: Deltas,

    /// The version that the database has
    #[arg(short, long, value_name = "X.Y.Z")]
    baseline: String,

    /// Record the deltas up to this version as applied; else those of the version itself are still due
    #[arg(long)]
    mark_applied: bool,

    /// Wait so long for another run of pum on the same database, such as 10min; else stop
    #[arg(long, value_name = "TIME")]
    wait: Option<Time>,
}

pub(crate) fn run(args: Baseline, session: &Session) -> Result<Exit> {
    let options = BaselineOptions {
        table: args.deltas.table(&session.config)?,
        version: args.baseline.parse()?,
        mark_applied: args
            .mark_applied
            .then(|| args.deltas.directories(&session.config))
            .transpose()?,
        wait: args.wait.map(|Time(wait)| wait).unwrap_or_default(),
    };
    let target = args.database.target(session)?;
    session.terminal.tell(&session.identity(&target)?);
    let done = pum::baseline(&target, &options, &session.run)?;
    let mut told = String::new();
    if done.schema_created {
        told.push_str(&format!("Created the schema {}.\n", line(&options.table.schema)));
    }
    if done.table_created {
        told.push_str(&format!("Created the table {}.\n", line(&options.table.to_string())));
    }
    let current = pum::history(&target, &options.table, &session.run)?.and_then(|history| history.current_version());
    told.push_str(&match current.filter(|current| *current > options.version) {
        Some(current) => format!(
            "{} stays at version {current}, above the baseline {}.\n",
            line(&target.name()),
            options.version
        ),
        None => format!(
            "{} is at version {}, its baseline.\n",
            line(&target.name()),
            options.version
        ),
    });
    if args.mark_applied {
        told.push_str(&format!("{} recorded as applied.\n", counted(done.marked, "delta")));
    }
    // Deltas of the very version count as due, as in pum 0.10: late ones of the current version are applied so.
    if !args.mark_applied
        && let Ok(directories) = args.deltas.directories(&session.config)
    {
        let deltas = pum::Deltas::read(&directories)?;
        let due = deltas
            .deltas
            .iter()
            .filter(|delta| delta.version == options.version)
            .count();
        if due > 0 {
            told.push_str(&format!(
                "{} of {} itself {} still due; --mark-applied records what the database has already.\n",
                counted(due, "delta"),
                options.version,
                if due == 1 { "is" } else { "are" }
            ));
        }
    }
    session.terminal.print(&told)?;
    Ok(Exit::Done)
}
