//! `pum test-and-upgrade`

use clap::Args;
use pum::{Connection, Error, ErrorKind, MissingRows, Report, Result, Target, TextOptions};

use crate::Exit;
use crate::command::Budget;
use crate::command::test::{self, Baseline, Rehearsing};
use crate::command::upgrade::{stays, upgraded};
use crate::command::{Format, preflight};
use crate::config::Role;
use crate::session::Session;
use crate::terminal::line;

const EXAMPLES: &str = "\
Examples:
  pum test-and-upgrade -pp water_prod -t water_sys.info -d deltas -f water.backup
  pum test-and-upgrade -pp water_prod -pt water_test -pc water_new -t water_sys.info -d deltas -f water.backup --yes";

/// Rehearse an upgrade on a copy of production, and upgrade production when it is proved
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestAndUpgrade {
    /// The production database: a service, a URI or a conninfo string [short: -pp]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_prod: Option<String>,

    #[command(flatten)]
    pub(crate) rehearsal: Rehearsing,

    /// Answer the questions with yes
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    budget: Budget,
}

/// A rehearsal only reads, which a standby can do; found out after it, it would have been for nothing.
fn refuse_standby(production: &Target, session: &Session) -> Result<()> {
    let mut connection = Connection::open(production, &session.run)?;
    let rows = connection.query("select pg_is_in_recovery()::text", &[])?;
    if rows.value(0, 0) != Some("true") {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        format!("{production} is a standby server, which takes no changes"),
    )
    .with_hint("name the primary server, or only rehearse: pum test")
    .with_state("nothing was changed"))
}

pub(crate) fn run(args: TestAndUpgrade, session: &Session) -> Result<Exit> {
    let terminal = &session.terminal;
    let terms = args.budget.terms(&session.config)?;
    let name = session
        .config
        .needed_database(Role::Production, args.pg_service_prod.clone())?;
    let production = session.target(name, args.rehearsal.login.ask())?;
    let name = production.name();
    refuse_standby(&production, session)?;
    let left_alone = |why: &str| terminal.print(&format!("{why}; {} was left as it was.\n", line(&name)));
    let agreed = |question: &str| -> Result<bool> { Ok(args.yes || terminal.confirm(question, &session.run)?) };

    let table = args.rehearsal.deltas.table(&session.config)?;
    let baseline = Baseline::read(&args.rehearsal, &session.config)?.of(&production, &session.run)?;
    if let Some(version) = baseline {
        let question = format!("{name} has no upgrades table. Create {table} with the baseline {version}? [n]|y: ");
        if !agreed(&question)? {
            left_alone("Nothing was done")?;
            return Ok(Exit::Done);
        }
    }
    let rehearsal = test::rehearse(args.rehearsal, &production, baseline, Format::Text, session)?;
    if !rehearsal.is_clean() {
        left_alone(rehearsal.verdict())?;
        return Ok(Exit::Different);
    }
    if rehearsal.plan().steps.is_empty() && rehearsal.baselines().is_none() {
        left_alone("The rehearsal is clean, and nothing is due")?;
        return Ok(Exit::Done);
    }
    let found = rehearsal.preflight(&session.run)?;
    terminal.print(&format!("{}\n", preflight::text(&name, &found)))?;
    if let Some(refusal) = found.refusal() {
        return Err(refusal);
    }
    if !agreed(&format!("Apply deltas to {name}? [n]|y: "))? {
        left_alone("The answer is no")?;
        return Ok(Exit::Done);
    }
    let done = rehearsal.carry_out(&terms, &session.run)?;
    terminal.settle();
    let told = upgraded(&name, &done.applied);
    terminal
        .print(&told)
        .and_then(|()| carried_out(&name, &done.report, &done.missing_rows, session))
        .map_err(|error| error.with_state(stays(&told)))
}

/// What is told of a table that has lost rows.
pub(crate) fn few_rows(name: &str, missing: &MissingRows) -> String {
    format!(
        "{} of {name} has {} rows, and {} on the upgraded copy",
        missing.table, missing.rows, missing.rehearsed
    )
}

/// Prints whether production is what was rehearsed.
pub(crate) fn carried_out(
    name: &str,
    report: &Report,
    missing_rows: &[MissingRows],
    session: &Session,
) -> Result<Exit> {
    let terminal = &session.terminal;
    for missing in missing_rows {
        terminal.warn(&few_rows(name, missing));
    }
    if report.behaves_the_same() && !missing_rows.is_empty() {
        terminal.print(&format!(
            "{} has the structure that was rehearsed; find out where those rows are.\n",
            line(name)
        ))?;
        return Ok(Exit::Different);
    }
    if report.behaves_the_same() {
        terminal.print(&format!("{} is now what was rehearsed.\n", line(name)))?;
        return Ok(Exit::Done);
    }
    let text = report.to_text(&TextOptions {
        width: terminal.width(),
        color: terminal.coloured(),
        ..TextOptions::default()
    });
    terminal.print(&text)?;
    terminal.warn(&format!("{name} is upgraded, and differs from the upgraded copy"));
    Ok(Exit::Different)
}
