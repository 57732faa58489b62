//! `pum upgrade`

use std::path::{Path, PathBuf};

use clap::Args;
use pum::{
    Applied, CarriedOut, Concern, Contract, ErrorKind, Event, Hazards, MissingRows, Plan, Preflight, PreflightOptions,
    Result, Run, Severity, Step, Target, Terms, TextOptions, UpgradeOptions, Version,
};
use serde_json::{Value, json};

use crate::Exit;
use crate::command::test::rehearsal_of;
use crate::command::test_and_upgrade::{carried_out, few_rows};
use crate::command::{Budget, Deltas, Format, Scripts, hazards, preflight};
use crate::config::Time;
use crate::fleet::{Canaries, Databases, Fleet, Member, Named, Report, Task, refused};
use crate::session::Session;
use crate::terminal::{self, counted, line, table};

const EXAMPLES: &str = "\
Examples:
  pum upgrade -p water_prod -t water_sys.info -d deltas --dry-run
  pum upgrade -p water_prod -t water_sys.info -d deltas /srv/own_deltas -v int SRID 2056
  pum upgrade -p water_prod -t water_sys.info -d deltas -u 1.2.0 --single-transaction
  pum upgrade -p water_prod -t water_sys.info -d deltas --rehearsal water.rehearsal.json --dry-run
  pum upgrade -p water_prod -t water_sys.info -d deltas --rehearsal water.rehearsal.json
Many databases, eight at once, one of them before the others:
  pum upgrade -p 'water_*' -t water_sys.info -d deltas --jobs 8 --canary water_small
  pum upgrade -p host=db1 --databases 'town_*' -t water_sys.info -d deltas --format json
Each held to its own rehearsal, which pum test --save DIR wrote:
  pum upgrade -p 'water_*' -t water_sys.info -d deltas --rehearsal proofs --canary water_small";

/// Apply the deltas that are due, to one database or to many
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Upgrade {
    #[command(flatten)]
    databases: Databases,

    #[command(flatten)]
    canaries: Canaries,

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

    /// Upgrade only what is as it was at this rehearsal: the file that `pum test --save` wrote, or with many databases the
    /// directory
    #[arg(long, value_name = "FILE", conflicts_with = "max_version")]
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
    let mut options = args.scripts.options(&args.deltas, session)?;
    options.single_transaction = args.single_transaction;
    options.allow_near_misses = args.allow_near_misses;
    let proof = match args.rehearsal {
        Some(file) => {
            let mut terms = args.budget.terms(&session.config)?;
            if let Some(max_age) = session.config.max_age(args.max_age)? {
                terms.max_age = max_age.value.0;
            }
            Some(Proof { file, terms })
        }
        None => None,
    };
    let way = Way {
        options,
        dry_run: args.dry_run,
        proof,
    };
    let target = match args.databases.named(session)? {
        Named::One(_) if !args.canaries.is_empty() => {
            return Err(refused(
                "--canary needs many databases",
                "name them with -p, a pattern, --databases or --fleet",
            ));
        }
        Named::One(target) => target,
        Named::Many(fleet) => return many(fleet, args.canaries, &way, args.format, session),
    };
    let name = target.name();
    let tell = |concern: &Concern| session.terminal.tell(preflight::told(concern).trim_end());
    let file = way.proof.as_ref().map(|proof| proof.file.clone());
    let outcome = way.take(&target, file.as_deref(), &session.run, &tell)?;
    outcome.print(&name, args.format, session).map_err(|error| {
        // Whoever reads of a failure must not take it for one of the upgrade.
        match outcome.dry_run {
            true => error,
            false => error.with_state(stays(&outcome.as_text(&name))),
        }
    })
}

/// What is the state when an upgrade is done and only the word of it failed.
pub(crate) fn stays(done: &str) -> String {
    format!("the upgrade itself is done and committed: {}", done.trim_end())
}

/// How a database, or each of many, is upgraded.
struct Way {
    options: UpgradeOptions,
    dry_run: bool,
    proof: Option<Proof>,
}

/// The rehearsal that production is held to.
struct Proof {
    /// Its file; of many databases the directory of the files.
    file: PathBuf,
    terms: Terms,
}

impl Way {
    /// Upgrades a database, held to the rehearsal in a file where there is one; or finds out what would be done.
    fn take(&self, target: &Target, file: Option<&Path>, run: &Run, tell: &dyn Fn(&Concern)) -> Result<Outcome> {
        match (&self.proof, file) {
            (Some(proof), Some(file)) => {
                Outcome::proved(target, &self.options, self.dry_run, file, &proof.terms, run, tell)
            }
            _ => Outcome::of(target, &self.options, self.dry_run, run, tell),
        }
    }
}

/// The pre-flight of a plan that has something to do.
fn look(target: &Target, plan: &Plan, options: &UpgradeOptions, run: &Run) -> Result<Option<Preflight>> {
    if plan.steps.is_empty() {
        return Ok(None);
    }
    let options = PreflightOptions::new(options.clone());
    pum::preflight(target, plan, &options, run).map(Some)
}

/// Tells what would stop or delay the upgrade that begins now.
fn before(target: &Target, options: &UpgradeOptions, run: &Run, tell: &dyn Fn(&Concern)) -> Result<Option<Preflight>> {
    let plan = match pum::plan(target, options, &run.quietly()) {
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
    before_plan(target, &plan, options, run, tell)
}

/// The same, of a plan.
fn before_plan(
    target: &Target,
    plan: &Plan,
    options: &UpgradeOptions,
    run: &Run,
    tell: &dyn Fn(&Concern),
) -> Result<Option<Preflight>> {
    let Some(found) = look(target, plan, options, run)? else {
        return Ok(None);
    };
    // What refuses it is told by the error.
    let told = |severity| found.of(severity).filter(|concern| !concern.refuses);
    for concern in told(Severity::Blocks).chain(told(Severity::Delays)) {
        tell(concern);
    }
    found.refusal().map_or(Ok(Some(found)), Err)
}

fn many(fleet: Fleet, canaries: Canaries, way: &Way, format: Format, session: &Session) -> Result<Exit> {
    // What is wrong with the deltas is said once.
    pum::Deltas::read(&way.options.directories)?;
    if let Some(proof) = &way.proof
        && !proof.file.is_dir()
    {
        return Err(refused(
            format!("there is no directory \"{}\"", proof.file.display()),
            "with many databases --rehearsal names the directory into which `pum test --save` wrote a file for each",
        ));
    }
    let work = |member: &Member, run: &Run| {
        let tell = |concern: &Concern| run.emit(Event::Message(preflight::told(concern).trim_end().to_owned()));
        let file = match &way.proof {
            Some(proof) => Some(rehearsal_of(member, &proof.file)?),
            None => None,
        };
        let outcome = way.take(&member.target, file.as_deref(), run, &tell)?;
        if way.dry_run
            && let Some(found) = &outcome.preflight
        {
            found
                .of(Severity::Blocks)
                .chain(found.of(Severity::Delays))
                .for_each(tell);
        }
        if let Some(proved) = outcome.proved.as_ref().filter(|_| !outcome.is_fine()) {
            let differences = proved.report.to_text(&TextOptions::default());
            run.emit(Event::Message(differences.trim_end().to_owned()));
            for missing in &proved.missing_rows {
                run.emit(Event::Warning(few_rows(&member.name, missing)));
            }
        }
        Ok(outcome.report(&member.target.name()))
    };
    let task = Task {
        command: "upgrade",
        columns: &["from", "to", "what"],
        format,
        silent: false,
        canaries: Some(canaries.without_question(way.dry_run)),
        failed: Exit::Failed,
        again: "run the same command again: what is done stays done, and the others follow",
        work: &work,
    };
    fleet.run(task, session)
}

/// What was done, or would be.
struct Outcome {
    dry_run: bool,
    from: Option<Version>,
    to: Option<Version>,
    steps: Vec<Done>,
    /// What the text of the steps tells, in a dry run.
    hazards: Option<Hazards>,
    preflight: Option<Preflight>,
    /// The rehearsal that still holds, in a dry run.
    holds: Option<String>,
    /// What it was held to, and what came of it.
    proved: Option<Proved>,
}

/// A step that ran, or would run.
struct Done {
    step: Step,
    /// Of one that ran.
    milliseconds: Option<u64>,
    left_behind: Vec<String>,
}

/// An upgrade that was held to its rehearsal.
struct Proved {
    /// By what the rehearsal is known.
    id: String,
    /// Production compared with the upgraded copy.
    report: pum::Report,
    missing_rows: Vec<MissingRows>,
}

impl Outcome {
    /// Prints what there is to say of one database.
    fn print(&self, name: &str, format: Format, session: &Session) -> Result<Exit> {
        match (format, &self.proved) {
            (Format::Text, Some(proved)) => {
                session.terminal.print(&self.as_text(name))?;
                carried_out(name, &proved.report, &proved.missing_rows, session)
            }
            (format, _) => {
                session.terminal.print(&match format {
                    Format::Text => self.as_text(name),
                    Format::Json => terminal::json(&format!("{:#}\n", self.as_json(name))),
                })?;
                Ok(match self.is_fine() {
                    true => Exit::Done,
                    false => Exit::Different,
                })
            }
        }
    }

    /// Upgrades a database, or finds out what would be done.
    fn of(
        target: &Target,
        options: &UpgradeOptions,
        dry_run: bool,
        run: &Run,
        tell: &dyn Fn(&Concern),
    ) -> Result<Outcome> {
        if dry_run {
            Outcome::foreseen(target, pum::plan(target, options, run)?, options, run)
        } else {
            let preflight = before(target, options, run, tell)?;
            let applied = pum::upgrade(target, options, None, run)?;
            Ok(Outcome::applied(applied, preflight))
        }
    }

    /// What a plan would do.
    fn foreseen(target: &Target, plan: Plan, options: &UpgradeOptions, run: &Run) -> Result<Outcome> {
        let hazards = pum::hazards(&plan, options)?;
        let preflight = look(target, &plan, options, run)?;
        Ok(Outcome::planned(plan, hazards, preflight))
    }

    /// Upgrades a database as it was rehearsed, or finds out what would be done. Where that is done already, it is
    /// compared once more.
    fn proved(
        target: &Target,
        options: &UpgradeOptions,
        dry_run: bool,
        file: &Path,
        terms: &Terms,
        run: &Run,
        tell: &dyn Fn(&Concern),
    ) -> Result<Outcome> {
        let contract = Contract::load(file)?;
        let options = UpgradeOptions {
            max_version: contract.max_version.as_deref().map(str::parse).transpose()?,
            // The question about files that nearly are deltas was answered at the rehearsal.
            allow_near_misses: true,
            ..options.clone()
        };
        let (preflight, done) = match contract.carried_out(target, &options, run)? {
            Some(report) => {
                let to = contract.to.as_deref().map(str::parse).transpose()?;
                let applied = Applied {
                    from: to,
                    to,
                    steps: Vec::new(),
                };
                let done = CarriedOut {
                    applied,
                    report,
                    // Production lives on, and nobody asks its rows to stay.
                    missing_rows: Vec::new(),
                };
                (None, done)
            }
            None if dry_run => {
                let plan = contract.plan(target, &options, terms, run)?;
                return Ok(Outcome {
                    holds: Some(contract.id()),
                    ..Outcome::foreseen(target, plan, &options, run)?
                });
            }
            None => {
                let plan = contract.plan(target, &options, terms, run)?;
                let preflight = before_plan(target, &plan, &options, run, tell)?;
                let done = pum::upgrade_rehearsed(target, &options, &contract, terms, run)?;
                (preflight, done)
            }
        };
        Ok(Outcome {
            dry_run,
            proved: Some(Proved {
                id: contract.id(),
                report: done.report,
                missing_rows: done.missing_rows,
            }),
            ..Outcome::applied(done.applied, preflight)
        })
    }

    /// Whether it came to what was rehearsed, where it was.
    fn is_fine(&self) -> bool {
        self.proved
            .as_ref()
            .is_none_or(|proved| proved.report.behaves_the_same() && proved.missing_rows.is_empty())
    }

    /// What is to be said of one of many.
    fn report(&self, database: &str) -> Report {
        let deltas = counted(self.deltas(), "delta");
        let (verdict, what) = match (self.deltas(), self.dry_run) {
            (0, _) => ("up to date", "up to date".to_owned()),
            (_, true) => ("to upgrade", format!("{deltas} due")),
            (_, false) => ("upgraded", format!("{deltas} applied")),
        };
        let (verdict, what) = match (&self.proved, self.is_fine()) {
            (None, _) => (verdict, what),
            (Some(_), true) => (verdict, format!("{what}, as rehearsed")),
            (Some(_), false) => ("not as rehearsed", format!("{what}, NOT AS REHEARSED")),
        };
        let cell = |version: Option<Version>| version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        Report {
            verdict,
            fine: self.is_fine(),
            sentence: match self.deltas() {
                0 => format!("{what}, {}", version(self.to)),
                _ => format!("{what}, from {} to {}", version(self.from), version(self.to)),
            },
            cells: vec![cell(self.from), cell(self.to), what],
            json: self.as_json(database),
        }
    }

    fn deltas(&self) -> usize {
        self.steps.iter().filter(|done| done.step.delta().is_some()).count()
    }

    fn planned(plan: Plan, hazards: Hazards, preflight: Option<Preflight>) -> Outcome {
        Outcome {
            dry_run: true,
            from: plan.current,
            to: plan.reached,
            steps: plan
                .steps
                .into_iter()
                .map(|step| Done {
                    step,
                    milliseconds: None,
                    left_behind: Vec::new(),
                })
                .collect(),
            hazards: Some(hazards),
            preflight,
            holds: None,
            proved: None,
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
                .map(|applied| Done {
                    step: applied.step,
                    milliseconds: Some(applied.milliseconds),
                    left_behind: applied.left_behind,
                })
                .collect(),
            hazards: None,
            preflight,
            holds: None,
            proved: None,
        }
    }

    fn as_text(&self, name: &str) -> String {
        let database = line(name);
        let deltas = self.deltas();
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
                .map(|Done { step, .. }| [step.to_string(), step.path().display().to_string()]);
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
            let holds = self.holds.as_ref().map_or_else(String::new, |id| {
                format!("The database and the deltas are what they were at the rehearsal {id}.\n")
            });
            format!("{database} is at {from}; {due}.\n{steps}{hazards}{preflight}\n{holds}Nothing was written.\n")
        } else {
            done(&database, deltas, &from, &to)
        }
    }

    fn as_json(&self, database: &str) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|done| {
                let step = &done.step;
                let delta = step.delta();
                json!({
                    "version": delta.map(|delta| delta.version.to_string()),
                    "name": delta.map(|delta| delta.name.clone()),
                    "type": delta.map_or_else(|| step.to_string(), |delta| delta.kind().to_owned()),
                    "path": step.path().to_string_lossy(),
                    "execution_time_ms": done.milliseconds,
                    "left_behind": done.left_behind,
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
        if let Some(id) = &self.holds {
            value["rehearsal"] = json!({ "id": id, "holds": true });
        }
        if let Some(proved) = &self.proved {
            let comparison: Value = serde_json::from_str(&proved.report.to_json()).unwrap_or_default();
            let missing_rows = proved
                .missing_rows
                .iter()
                .map(|missing| json!({ "table": missing.table, "rows": missing.rows, "rehearsed": missing.rehearsed }));
            value["rehearsal"] = json!({
                "id": proved.id,
                "as_rehearsed": self.is_fine(),
                "comparison": comparison,
                "missing_rows": missing_rows.collect::<Vec<_>>(),
            });
        }
        if let Some(hazards) = &self.hazards {
            value["hazards"] = hazards::as_json(hazards);
            value["more_hazards"] = json!(hazards.more);
        }
        value
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
