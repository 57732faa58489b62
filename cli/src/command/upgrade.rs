//! `pum upgrade`

use std::path::PathBuf;

use clap::Args;
use pum::{
    Applied, Contract, ErrorKind, Hazards, Plan, Preflight, PreflightOptions, Result, Severity, Step, Target,
    UpgradeOptions, Version,
};
use serde_json::{Value, json};

use crate::Exit;
use crate::command::test_and_upgrade::carried_out;
use crate::command::{Budget, Database, Deltas, Format, Scripts, hazards, preflight};
use crate::config::Time;
use crate::session::Session;
use crate::terminal::{self, counted, line, table};

const EXAMPLES: &str = "\
Examples:
  pum upgrade -p water_prod -t water_sys.info -d deltas --dry-run
  pum upgrade -p water_prod -t water_sys.info -d deltas /srv/own_deltas -v int SRID 2056
  pum upgrade -p water_prod -t water_sys.info -d deltas -u 1.2.0 --single-transaction
  pum upgrade -p water_prod -t water_sys.info -d deltas --rehearsal water.rehearsal.json";

/// Apply the deltas that are due
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Upgrade {
    #[command(flatten)]
    database: Database,

    #[command(flatten)]
    deltas: Deltas,

    #[command(flatten)]
    pub(crate) scripts: Scripts,

    /// Apply all deltas in one transaction: all or nothing
    #[arg(long)]
    single_transaction: bool,

    /// Go on when files that look like deltas do not have a delta's name
    #[arg(long)]
    allow_near_misses: bool,

    /// Upgrade only what is as it was at this rehearsal: the file that `pum test --save` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "max_version", "format"])]
    rehearsal: Option<PathBuf>,

    /// How old the rehearsal may be [default: 7d]
    #[arg(long, value_name = "TIME", requires = "rehearsal")]
    max_age: Option<Time>,

    #[command(flatten)]
    budget: Budget,

    /// Show what would be done and which statements are a hazard, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// The form of the answer
    #[arg(long, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: Upgrade, session: &Session) -> Result<Exit> {
    let mut options = args.scripts.options(&args.deltas, &session.config)?;
    options.single_transaction = args.single_transaction;
    options.allow_near_misses = args.allow_near_misses;
    let target = args.database.target(session)?;
    let name = target.name();
    if let Some(file) = &args.rehearsal {
        let contract = Contract::load(file)?;
        options.max_version = contract.max_version.as_deref().map(str::parse).transpose()?;
        // The question about files that nearly are deltas was answered at the rehearsal.
        options.allow_near_misses = true;
        let mut terms = args.budget.terms();
        if let Some(Time(max_age)) = args.max_age {
            terms.max_age = max_age;
        }
        before(&target, &options, session)?;
        let done = pum::upgrade_rehearsed(&target, &options, &contract, &terms, &session.run)?;
        return carried_out(&name, &done, session);
    }
    let outcome = if args.dry_run {
        let plan = pum::plan(&target, &options, &session.run)?;
        let hazards = pum::hazards(&plan, &options)?;
        let preflight = look(&target, &plan, &options, session)?;
        Outcome::planned(plan, hazards, preflight)
    } else {
        let preflight = before(&target, &options, session)?;
        let applied = pum::upgrade(&target, &options, None, &session.run)?;
        Outcome::applied(applied, preflight)
    };
    let text = match args.format {
        Format::Text => outcome.as_text(&name),
        Format::Json => terminal::json(&outcome.as_json(&name)),
    };
    session.terminal.print(&text)?;
    Ok(Exit::Done)
}

/// The pre-flight of a plan that has something to do.
fn look(target: &Target, plan: &Plan, options: &UpgradeOptions, session: &Session) -> Result<Option<Preflight>> {
    if plan.steps.is_empty() {
        return Ok(None);
    }
    let options = PreflightOptions::new(options.clone());
    pum::preflight(target, plan, &options, &session.run).map(Some)
}

/// Tells what would stop or delay the upgrade that begins now.
fn before(target: &Target, options: &UpgradeOptions, session: &Session) -> Result<Option<Preflight>> {
    let plan = match pum::plan(target, options, &session.run.quietly()) {
        Ok(plan) => plan,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Connection | ErrorKind::PasswordNeeded | ErrorKind::Cancelled
            ) =>
        {
            return Err(error);
        }
        // The upgrade itself says what is wrong, with its warnings.
        Err(_) => return Ok(None),
    };
    let Some(found) = look(target, &plan, options, session)? else {
        return Ok(None);
    };
    // What refuses it is told by the error.
    let told = |severity| found.of(severity).filter(|concern| !concern.refuses);
    for concern in told(Severity::Blocks).chain(told(Severity::Delays)) {
        session.terminal.tell(preflight::told(concern).trim_end());
    }
    found.refusal().map_or(Ok(Some(found)), Err)
}

/// What was done, or would be.
struct Outcome {
    dry_run: bool,
    from: Option<Version>,
    to: Option<Version>,
    /// Each step and how long it took.
    steps: Vec<(Step, Option<u64>)>,
    /// What the text of the steps tells, in a dry run.
    hazards: Option<Hazards>,
    preflight: Option<Preflight>,
}

impl Outcome {
    fn planned(plan: Plan, hazards: Hazards, preflight: Option<Preflight>) -> Outcome {
        Outcome {
            dry_run: true,
            from: plan.current,
            to: plan.reached,
            steps: plan.steps.into_iter().map(|step| (step, None)).collect(),
            hazards: Some(hazards),
            preflight,
        }
    }

    fn applied(applied: Applied, preflight: Option<Preflight>) -> Outcome {
        Outcome {
            dry_run: false,
            from: applied.from,
            to: applied.to,
            steps: applied
                .steps
                .into_iter()
                .map(|applied| (applied.step, Some(applied.milliseconds)))
                .collect(),
            hazards: None,
            preflight,
        }
    }

    fn as_text(&self, name: &str) -> String {
        let database = line(name);
        let deltas = self.steps.iter().filter(|(step, _)| step.delta().is_some()).count();
        let from = version(self.from);
        let to = version(self.to);
        if self.dry_run {
            let due = match deltas {
                0 => "nothing is due".to_owned(),
                _ => format!("{} due, to {to}", counted(deltas, "delta")),
            };
            let rows = self
                .steps
                .iter()
                .map(|(step, _)| [step.to_string(), step.path().display().to_string()]);
            let steps = if self.steps.is_empty() {
                String::new()
            } else {
                format!("\n{}", table(["step", "file"], rows))
            };
            let hazards = match &self.hazards {
                Some(hazards) if !self.steps.is_empty() => format!("\n{}", hazards::as_text(hazards)),
                _ => String::new(),
            };
            let preflight = self.preflight.as_ref();
            let preflight = preflight.map_or_else(String::new, |found| format!("\n{}", preflight::text(name, found)));
            format!("{database} is at {from}; {due}.\n{steps}{hazards}{preflight}\nNothing was written.\n")
        } else {
            done(&database, deltas, &from, &to)
        }
    }

    fn as_json(&self, database: &str) -> String {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|(step, milliseconds)| {
                let delta = step.delta();
                json!({
                    "version": delta.map(|delta| delta.version.to_string()),
                    "name": delta.map(|delta| delta.name.clone()),
                    "type": delta.map_or_else(|| step.to_string(), |delta| delta.kind().to_owned()),
                    "path": step.path().to_string_lossy(),
                    "execution_time_ms": milliseconds,
                })
            })
            .collect();
        let mut value = json!({
            "schema": "pum/upgrade/1",
            "target": database,
            "dry_run": self.dry_run,
            "from": self.from.map(|version| version.to_string()),
            "to": self.to.map(|version| version.to_string()),
            "steps": steps,
            "preflight": self.preflight,
        });
        if let Some(hazards) = &self.hazards {
            value["hazards"] = hazards::as_json(hazards);
            value["more_hazards"] = json!(hazards.more);
        }
        format!("{value:#}\n")
    }
}

/// What an upgrade did, in a line.
pub(crate) fn upgraded(database: &str, applied: &Applied) -> String {
    let deltas = applied.steps.iter().filter(|step| step.step.delta().is_some()).count();
    done(&line(database), deltas, &version(applied.from), &version(applied.to))
}

fn done(database: &str, deltas: usize, from: &str, to: &str) -> String {
    match deltas {
        0 => format!("{database} is at {to}; nothing was due.\n"),
        _ => format!(
            "{database} is at {to}; {} applied, from {from}.\n",
            counted(deltas, "delta")
        ),
    }
}

fn version(version: Option<Version>) -> String {
    version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"))
}
