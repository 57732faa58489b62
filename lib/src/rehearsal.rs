//! The rehearsal: upgrade a copy of production, compare it with what it must be, and only then upgrade production,
//! provided that it still is what was rehearsed.

mod contract;
mod copy;
mod crash;
pub(crate) mod evidence;
mod expected;
mod html;
mod missing_rows;
#[cfg(test)]
mod schema;
mod since;
mod text;

use std::path::PathBuf;
use std::time::Duration;

pub use contract::{Contract, ContractStep, NotCompared, ServerFacts, Terms, upgrade_rehearsed};
use contract::{Moment, history_digest, identity, structure_filter};
pub use copy::{Copied, CopyMethod, Sample, Sampled};
use crash::CrashRehearsal;
pub use crash::{CrashPoint, Crashes};
use evidence::{Data, Evidence, Recorder};
pub use expected::Expected;
pub use missing_rows::MissingRows;

use crate::catalog::{Catalog, Filter};
use crate::check::{Origin, check};
use crate::connection::Connection;
use crate::delta::{Deltas, Version};
use crate::dump::Restored;
use crate::error::{Error, ErrorKind, Result};
use crate::hazard::hazards;
use crate::history::History;
use crate::preflight::{Preflight, PreflightOptions, preflight};
use crate::report::Report;
use crate::rows::no_rows;
use crate::run::{Event, Run};
use crate::script::file_digests;
use crate::server::{Server, ServerOptions};
use crate::target::Target;
use crate::upgrade::{
    Agreed, Applied, AppliedStep, BaselineOptions, Lock, Plan, Step, UpgradeOptions, baseline_under, prepare,
    same_database, upgrade_seen, upgrade_under,
};

/// How to rehearse.
#[derive(Debug, Clone)]
pub struct RehearsalOptions {
    /// How the copy, and later production, is upgraded.
    pub upgrade: UpgradeOptions,
    /// The database for the copy: created when missing, used when empty, made anew when it is pum's own copy of an
    /// earlier time. Without it, a throw-away server holds it.
    pub test: Option<Target>,
    /// The database to compare with; where `expected` says how to build one, it is built there.
    pub comparison: Option<Target>,
    /// How the expected database is built; without it `comparison` is taken as it stands.
    pub expected: Option<Expected>,
    /// The version of a production database that has no upgrades table: it is baselined at it.
    pub baseline: Option<Version>,
    /// Where a backup of production is kept; without it there is none.
    pub backup: Option<PathBuf>,
    /// How production is copied.
    pub copy: CopyMethod,
    /// The copy has no rows save those of the upgrades table.
    pub schema_only: bool,
    /// The copy has so much of the rows of large tables, and with them the rows that foreign keys need; all tables are whole
    /// that are small. Of a copy by dump and restore only.
    pub sample: Option<Sample>,
    /// How long `pg_dump` waits in production for a table that another session has locked for itself.
    pub lock_wait: Duration,
    /// Schemas that are neither restored nor compared. The backup holds them all the same, and so does a copy that is not
    /// restored.
    pub exclude_schemas: Vec<String>,
    /// What is compared.
    pub filter: Filter,
    /// Goes on when the restore had errors.
    pub ignore_restore_errors: bool,
    /// Kills the upgrade in each step on clones of the copy, and runs it again: it must come to the same.
    pub crash: bool,
    /// Drops what the test database holds, even when it is not pum's own.
    pub overwrite: bool,
    /// How many tables are dumped and restored at once; 0 is one for each processor, four at most. A backup is one file,
    /// which is written by one.
    pub jobs: usize,
    /// `pg_dump`, when not the one that pum finds.
    pub pg_dump: Option<PathBuf>,
    /// `pg_restore`, when not the one that pum finds.
    pub pg_restore: Option<PathBuf>,
    /// The throw-away server; its major version is always production's.
    pub server: ServerOptions,
}

impl RehearsalOptions {
    /// The defaults for an upgrade: a throw-away server, whole comparison, nothing kept.
    pub fn new(upgrade: UpgradeOptions) -> RehearsalOptions {
        RehearsalOptions {
            upgrade,
            test: None,
            comparison: None,
            expected: None,
            baseline: None,
            backup: None,
            copy: CopyMethod::default(),
            schema_only: false,
            sample: None,
            lock_wait: Duration::from_secs(60),
            exclude_schemas: Vec::new(),
            filter: Filter::default(),
            ignore_restore_errors: false,
            overwrite: false,
            crash: false,
            jobs: 0,
            pg_dump: None,
            pg_restore: None,
            server: ServerOptions::default(),
        }
    }
}

/// An upgrade that was rehearsed. It can be carried out once, while production and the deltas are what they were.
pub struct Rehearsal {
    production: Target,
    test: Target,
    options: RehearsalOptions,
    plan: Plan,
    contract: Contract,
    applied: Applied,
    restored: Restored,
    copied: Copied,
    report: Report,
    // The copy lives as long as the rehearsal: production is compared with it afterwards. A session on it keeps another
    // rehearsal from dropping it.
    _held: Connection,
    _servers: [Option<Server>; 2],
}

/// Production after its upgrade.
pub struct CarriedOut {
    /// What was applied.
    pub applied: Applied,
    /// Production compared with the upgraded copy.
    pub report: Report,
    /// Tables that have lost rows since the rehearsal, when one knows.
    pub missing_rows: Vec<MissingRows>,
}

fn no_crash_server() -> Error {
    Error::new(
        ErrorKind::Usage,
        "the crash rehearsal clones the copy, for which it needs a server of its own",
    )
    .with_hint("leave the test database out, and --copy template")
}

/// Rehearses the upgrade of `production`: reads and backs it up, and writes nothing to it.
///
/// # Errors
/// Test or expected database being production (whatever the names), a database in the way that is not pum's own,
/// and every error of the parts: dump, restore, upgrade, the building of the expected database, the comparison.
pub fn rehearse(production: &Target, options: &RehearsalOptions, run: &Run) -> Result<Rehearsal> {
    let rehearse = || {
        let method = copy::method(options)?;
        if options.crash && (options.test.is_some() || method == CopyMethod::Template) {
            return Err(no_crash_server());
        }
        let builds = matches!(&options.expected, Some(expected) if !matches!(expected, Expected::Snapshot(_)));
        let flow = Flow {
            production,
            options,
            run,
            phase: 0,
            phases: 3 + copy::phases(method, options) + usize::from(builds) + usize::from(options.crash),
        };
        flow.rehearse(method)
    };
    rehearse().map_err(|error| error.add_state("production was only read"))
}

struct Flow<'a> {
    production: &'a Target,
    options: &'a RehearsalOptions,
    run: &'a Run,
    phase: usize,
    phases: usize,
}

impl Flow<'_> {
    fn phase(&mut self, title: impl Into<String>) -> Result<()> {
        self.phase += 1;
        self.run.emit(Event::Phase {
            number: self.phase,
            of: self.phases,
            title: title.into(),
        });
        self.run.go_on()
    }

    fn rehearse(mut self, method: CopyMethod) -> Result<Rehearsal> {
        let options = self.options;
        if options.expected.is_none() && options.comparison.is_none() {
            return Err(
                Error::new(ErrorKind::Usage, "there is nothing to compare the upgraded copy with")
                    .with_hint("give the database to compare with (-pc), or `expected` in the configuration file"),
            );
        }
        self.phase(format!("read {}", self.production))?;
        if let Some(Expected::Sql(files)) = &options.expected {
            // Better said before everything is copied and upgraded.
            for file in files {
                std::fs::metadata(file)
                    .map_err(|error| Error::io(format_args!("cannot read \"{}\"", file.display()), &error))?;
            }
        }
        let snapshot_file = match &options.expected {
            Some(expected) => expected.snapshot()?,
            None => None,
        };
        if snapshot_file.is_some() && options.filter.compares_rows() {
            return Err(no_rows());
        }
        let deltas = Deltas::read(&options.upgrade.directories)?;
        let mut production = Connection::open(self.production, self.run)?;
        self.refuse_production(&mut production)?;

        let database = identity(&mut production)?;
        // One snapshot for the catalog, the history and the dump.
        production.execute("begin isolation level repeatable read, read only")?;
        let snapshot = production.query("select pg_export_snapshot()", &[])?;
        let snapshot = snapshot.value(0, 0).unwrap_or_default().to_owned();
        let history = History::read(&mut production, &options.upgrade.table)?;
        let Some(planned) = planned(history.as_ref(), options) else {
            return Err(no_history(self.production, &options.upgrade));
        };
        let plan = Plan::new(&deltas, &planned, options.upgrade.max_version)?;
        let digests = digests(&plan)?;
        let filter = structure_filter(&options.upgrade.table);
        let catalog = Catalog::read(&mut production, &filter)?;
        let server_facts = ServerFacts::read(&mut production)?;
        let moment = Moment::read(&mut production)?;
        let mut like = copy::Likeness::read(&mut production)?;
        copy::look(&mut production, method, &like, options, self.run)?;

        // Before anything is copied: a throw-away server of production's version, with what production needs.
        let builds = options.expected.is_some() && snapshot_file.is_none();
        let needs_server =
            method == CopyMethod::Physical || options.test.is_none() || builds && options.comparison.is_none();
        let server = if needs_server {
            Some(copy::start_server(&mut production, &mut like, options, self.run)?)
        } else {
            None
        };
        let in_server = |name: &str| server.as_ref().map(|server| server.target(name));
        let source = copy::Source {
            production,
            snapshot,
            history: history.as_ref(),
            catalog: &catalog,
            like: &like,
        };
        let copy::Copy {
            target: test,
            server: of_copy,
            restored,
            copied,
        } = self.copy(method, source, server.as_ref())?;
        let mut held = Connection::open(&test, self.run)?;
        self.refuse_copy(&mut held)?;
        if let (None, Some(version)) = (&history, options.baseline) {
            let mut lock = Lock::take(&test, &options.upgrade.table, options.upgrade.wait, self.run)?;
            baseline_under(&mut lock, &baseline_options(&options.upgrade, version), self.run)?;
        }

        let crash_server = if options.crash {
            let server = of_copy.as_ref().or(server.as_ref()).ok_or_else(no_crash_server)?;
            drop(held);
            CrashRehearsal::prepare(server, &test, self.run)?;
            held = Connection::open(&test, self.run)?;
            Some(server)
        } else {
            None
        };

        self.phase(format!("upgrade {}", shown(COPY, options.test.as_ref())))?;
        // Names that nearly are deltas are shown with the plan, and the question about production is the answer to them.
        let upgrade_options = UpgradeOptions {
            allow_near_misses: true,
            ..options.upgrade.clone()
        };
        let before = Data::read(&test, &options.upgrade.table, self.jobs(), self.run)?;
        let mut recorder = Recorder::start(&test, self.run)?;
        let agreed = Agreed {
            digests: &digests,
            ..Agreed::from(&plan)
        };
        let applied = upgrade_seen(&test, &upgrade_options, Some(agreed), Some(&mut recorder), self.run)?;
        let mut evidence = recorder.end()?;
        let after = Data::read(&test, &options.upgrade.table, self.jobs(), self.run)?;
        let (data, sequences, not_told) = before.changes(&after);
        evidence.rows = after.rows();
        evidence.data = data;
        evidence.sequences = sequences;
        evidence.not_measured.extend(not_told);
        evidence.foretold(hazards(&plan, &upgrade_options)?);
        evidence.not_measured.extend(copied.lacks());

        let crashes = match crash_server {
            Some(server) => {
                self.phase("kill the upgrade in each step, and run it again")?;
                let rehearsal = CrashRehearsal {
                    server,
                    options: &upgrade_options,
                    plan: &plan,
                    like: &like,
                    jobs: self.jobs(),
                    run: self.run,
                };
                Some(rehearsal.carry_out(&test, &after)?)
            }
            None => None,
        };

        let comparison = match &snapshot_file {
            Some(_) => None,
            None => Some(self.comparison(in_server("pum_expected"), &like, &upgrade_options, plan.reached)?),
        };
        let expected_name = match (&snapshot_file, &options.comparison) {
            (Some(catalog), _) => catalog.target().to_owned(),
            (None, target) => shown(EXPECTED, target.as_ref()),
        };
        self.phase(format!(
            "compare {} with {expected_name}",
            shown(COPY, options.test.as_ref()),
        ))?;
        let right = match (&snapshot_file, &comparison) {
            (Some(catalog), _) => Origin::from(catalog),
            (None, Some(database)) => Origin::from(database),
            (None, None) => return Err(Error::new(ErrorKind::Usage, "there is no database to compare with")),
        };
        let report = check(&test, right, &check_filter(options), self.run)?
            .named(shown("the upgraded copy", options.test.as_ref()), expected_name);
        let upgraded = Catalog::read(&mut Connection::open(&test, self.run)?, &Filter::default())?;
        let preflight = self.preflight(&plan, &mut evidence)?;
        let contract = Contract {
            production: self.production.to_string(),
            database,
            server: server_facts,
            copied: moment.seconds,
            copy: copied.clone(),
            position: moment.position,
            baseline: match &history {
                None => options.baseline.map(|version| version.to_string()),
                Some(_) => None,
            },
            from: plan.current.map(|version| version.to_string()),
            to: plan.reached.map(|version| version.to_string()),
            steps: steps(&applied, digests, &evidence),
            catalog: catalog.fingerprint().to_string(),
            before: parsed(&catalog.to_json()),
            history: history_digest(history.as_ref()),
            clean: report.behaves_the_same() && crashes.as_ref().is_none_or(Crashes::converge),
            crashes,
            comparison: parsed(&report.to_json()),
            evidence,
            upgraded: parsed(&upgraded.to_json()),
            preflight,
            ..Contract::of(options)
        };
        Ok(Rehearsal {
            production: self.production.clone(),
            test,
            options: RehearsalOptions {
                upgrade: upgrade_options,
                ..options.clone()
            },
            plan,
            contract,
            applied,
            restored,
            copied,
            report,
            _held: held,
            _servers: [of_copy, server],
        })
    }

    /// What would disturb the upgrade of production now. Where it cannot be looked at, that is told as not measured.
    fn preflight(&self, plan: &Plan, evidence: &mut Evidence) -> Result<Option<Preflight>> {
        if plan.steps.is_empty() {
            return Ok(None);
        }
        let options = PreflightOptions::new(self.options.upgrade.clone());
        let found = preflight(self.production, plan, &options, self.run);
        self.run.go_on()?;
        if let Err(error) = &found {
            let why = format!("what would disturb the upgrade of production now: {}", error.message());
            evidence.not_measured.push(why);
        }
        Ok(found.ok())
    }

    /// The database to compare with, built where `expected` says how.
    fn comparison(
        &mut self,
        throw_away: Option<Target>,
        like: &copy::Likeness,
        upgrade_options: &UpgradeOptions,
        version: Option<Version>,
    ) -> Result<Target> {
        let options = self.options;
        let Some(comparison) = options.comparison.clone().or(throw_away) else {
            return Err(Error::new(ErrorKind::Usage, "there is no database to compare with"));
        };
        if let Some(expected) = &options.expected {
            self.phase(format!("build {}", shown(EXPECTED, options.comparison.as_ref())))?;
            // Somebody may have named a database to compare with: what pum did not make is never dropped there.
            copy::prepare(&comparison, like, false, self.run).map_err(|error| match error.kind() {
                ErrorKind::Refused => Error::new(error.kind(), error.message()).with_hint(
                    "`expected` in the configuration builds the database to compare with: name an empty one (-pc) or none; or leave `expected` out to compare with this one as it stands",
                ),
                _ => error,
            })?;
            expected.build(&comparison, upgrade_options, version, self.run)?;
        }
        Ok(comparison)
    }

    /// Refuses the copy as what it is compared with, which was not there to be seen before.
    fn refuse_copy(&self, copy: &mut Connection) -> Result<()> {
        let Some(comparison) = &self.options.comparison else {
            return Ok(());
        };
        if let Some(mut comparison) = copy::open_if_there(comparison, self.run)?
            && same_database(copy, &mut comparison)?
        {
            return Err(not_apart("comparison", "the test database"));
        }
        Ok(())
    }

    /// Refuses production by another name as test or comparison, and one database as both.
    fn refuse_production(&self, production: &mut Connection) -> Result<()> {
        let open = |target: &Option<Target>| match target {
            // A database that is not there yet is not production.
            Some(target) => copy::open_if_there(target, self.run),
            None => Ok(None),
        };
        let mut test = open(&self.options.test)?;
        let mut comparison = open(&self.options.comparison)?;
        if let Some(test) = &mut test
            && same_database(production, test)?
        {
            return Err(not_apart("test", "production"));
        }
        if let Some(comparison) = &mut comparison
            && same_database(production, comparison)?
        {
            return Err(not_apart("comparison", "production"));
        }
        if let (Some(test), Some(comparison)) = (&mut test, &mut comparison)
            && same_database(test, comparison)?
        {
            return Err(not_apart("comparison", "the test database"));
        }
        Ok(())
    }
}

fn not_apart(what: &str, other: &str) -> Error {
    let hint = match what {
        "test" => "name another database; pum would overwrite this one",
        _ => "name another database: one compared with itself never differs, and that would prove nothing",
    };
    Error::new(
        ErrorKind::Refused,
        format!("the {what} database is {other}, under another name or the same"),
    )
    .with_hint(hint)
}

fn baseline_options(upgrade: &UpgradeOptions, version: Version) -> BaselineOptions {
    BaselineOptions {
        wait: upgrade.wait,
        ..BaselineOptions::new(upgrade.table.clone(), version)
    }
}

fn check_filter(options: &RehearsalOptions) -> Filter {
    let table = &options.upgrade.table;
    let mut filter = options.filter.clone();
    filter.exclude_schemas.extend(options.exclude_schemas.iter().cloned());
    filter.upgrades_table = Some((table.schema.clone(), table.name.clone()));
    filter
}

/// The history that production's plan is made with: its own, or that of the baseline that it will have.
fn planned(history: Option<&History>, options: &RehearsalOptions) -> Option<History> {
    history.cloned().or_else(|| {
        let version = options.baseline?;
        Some(History::baselined(options.upgrade.table.clone(), version))
    })
}

fn no_history(production: &Target, options: &UpgradeOptions) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("the database {production} has no upgrades table {}", options.table),
    )
    .with_hint("give the version that it is at with -b X.Y.Z, or `version_query` in the configuration file")
}

const COPY: &str = "the copy";
const EXPECTED: &str = "the expected database";

/// A database as the user named it, else what it is.
fn shown(what: &str, target: Option<&Target>) -> String {
    target.map_or_else(|| what.to_owned(), Target::to_string)
}

fn digests(plan: &Plan) -> Result<Vec<(PathBuf, String)>> {
    let digest = |step: &Step| Ok((step.path().to_owned(), file_digests(step.path())?.1));
    plan.steps.iter().map(digest).collect()
}

fn steps(applied: &Applied, digests: Vec<(PathBuf, String)>, evidence: &Evidence) -> Vec<ContractStep> {
    // Without the time that it took to look on.
    let times = evidence.steps.iter().map(|step| step.milliseconds);
    let step = |((applied, (path, digest)), milliseconds): ((&AppliedStep, (PathBuf, String)), u64)| ContractStep {
        step: applied.step.to_string(),
        path,
        digest,
        milliseconds,
    };
    applied.steps.iter().zip(digests).zip(times).map(step).collect()
}

/// What pum wrote as JSON, as a value.
fn parsed(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_default()
}

impl Rehearsal {
    /// The upgraded copy compared with the expected database.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether the upgraded copy is what it must be: differences that change nothing for users do not count.
    pub fn is_clean(&self) -> bool {
        self.contract.clean
    }

    /// The verdict in a sentence without its full stop.
    pub fn verdict(&self) -> &'static str {
        self.contract.verdict()
    }

    /// What was done to the copy, and would be done to production.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was applied to the copy, with the times it took.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// What was rehearsed and measured, to be kept in a file.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// What was measured while the copy was upgraded.
    pub fn evidence(&self) -> &Evidence {
        &self.contract.evidence
    }

    /// What the restore passed over.
    pub fn restored(&self) -> &Restored {
        &self.restored
    }

    /// The upgraded copy. A throw-away one is there as long as the rehearsal is.
    pub fn copy(&self) -> &Target {
        &self.test
    }

    /// How the copy was made.
    pub fn copied(&self) -> &Copied {
        &self.copied
    }

    /// Whether production is baselined first, because it has no upgrades table.
    pub fn baselines(&self) -> Option<Version> {
        self.contract.baseline.as_ref().and(self.options.baseline)
    }

    /// What would disturb the upgrade of production if it began now.
    ///
    /// # Errors
    /// As [`preflight`].
    pub fn preflight(&self, run: &Run) -> Result<Preflight> {
        let options = PreflightOptions::new(self.options.upgrade.clone());
        preflight(&self.production, &self.plan, &options, run)
    }

    /// Upgrades production, when it and the deltas still are what was rehearsed, and compares it with the copy.
    ///
    /// # Errors
    /// Production or a delta has changed since, the rehearsal was not clean, a step takes longer than the terms allow;
    /// and those of an upgrade.
    pub fn carry_out(self, terms: &Terms, run: &Run) -> Result<CarriedOut> {
        let options = &self.options.upgrade;
        let filter = check_filter(&self.options);
        let copy = (&self.test).into();
        let done = carry_out(&self.production, options, &self.contract, terms, copy, &filter, run)?;
        let copy = shown("the upgraded copy", self.options.test.as_ref());
        Ok(CarriedOut {
            report: done.report.named(self.production.to_string(), copy),
            ..done
        })
    }
}

/// Upgrades production as it was rehearsed, and compares it with what the rehearsal left.
fn carry_out(
    production: &Target,
    options: &UpgradeOptions,
    contract: &Contract,
    terms: &Terms,
    copy: Origin<'_>,
    filter: &Filter,
    run: &Run,
) -> Result<CarriedOut> {
    let untouched = "production was left as it was";
    // Names that nearly are deltas were told by the rehearsal.
    let options = &UpgradeOptions {
        allow_near_misses: true,
        ..options.clone()
    };
    run.emit(Event::Phase {
        number: 1,
        of: 2,
        title: format!("upgrade {production}"),
    });
    let mut lock = Lock::take(production, &options.table, options.wait, run)?;
    let held = contract
        .hold(lock.connection(), options, terms, run)
        .map_err(|error| error.with_state(untouched))?;
    let mut recorded = String::new();
    if let Some(version) = held.baseline {
        // What is wrong with the steps is better found while nothing is recorded.
        let planned = History::baselined(options.table.clone(), version);
        prepare(&held.plan, &held.deltas, &planned, options, &run.quietly())
            .map_err(|error| error.with_state(untouched))?;
        baseline_under(&mut lock, &baseline_options(options, version), run)
            .map_err(|error| error.with_state(untouched))?;
        recorded = format!("the baseline {version} is recorded");
    }
    let agreed = Agreed {
        plan: &held.plan,
        rehearsal: Some(&contract.id()),
        digests: &contract.digests(),
        budgets: &contract.budgets(terms),
    };
    let applied = upgrade_under(&mut lock, production, &held.deltas, options, Some(agreed), None, run);
    let applied = applied.map_err(|error| match recorded.is_empty() {
        true => error,
        false => error.add_state(&recorded),
    })?;
    run.emit(Event::Phase {
        number: 2,
        of: 2,
        title: format!("compare {production} with the rehearsed copy"),
    });
    let report = check(production, copy, filter, run)
        .map_err(|error| error.with_state("production is upgraded; only its comparison with the copy failed"))?;
    drop(lock);
    let missing_rows = MissingRows::of(production, contract, run);
    Ok(CarriedOut {
        applied,
        report,
        missing_rows,
    })
}
