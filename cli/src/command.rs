//! The commands, and the options that several of them share.

mod baseline;
mod check;
pub(crate) mod completions;
pub(crate) mod config;
mod demo;
mod dump;
mod hazards;
mod info;
pub(crate) mod man;
mod preflight;
mod restore;
mod snapshot;
mod test;
mod test_and_upgrade;
mod upgrade;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use pum::{Class, Error, Expectations, Filter, KINDS, Pattern, Result, TableName, Target, Terms, UpgradeOptions};

use crate::Exit;
use crate::config::{BUDGET_FACTORS, Config, Role, Setting, Time, needed};
use crate::session::{Ask, Session};
use crate::terminal::Colour;

const EXAMPLES: &str = "\
Examples:
  Compare two databases
    pum check -p1 water_prod -p2 water_new
  See what an upgrade would do, then do it
    pum upgrade -p water_prod -t water_sys.info -d deltas --dry-run
    pum upgrade -p water_prod -t water_sys.info -d deltas
  Rehearse the upgrade on a copy, and upgrade production when it is proved
    pum test-and-upgrade -pp water_prod -t water_sys.info -d deltas -f water.backup

A database is named by a service of pg_service.conf, a URI or a conninfo string, as for psql.

Exit codes:
  0    done, or you said no
  1    differences, or a failure
  2    wrong usage; check could not tell
  3    refused, nothing was changed; with --canary those may be upgraded
  5    another run is at work on the same upgrades table
  6    no connection, or it was lost; run the same command again
  7    nobody knows whether the last step was committed
  128  and the signal's number: a signal ended it";

/// Upgrade PostgreSQL databases by delta files, and prove the upgrade before production is touched
#[derive(Debug, Parser)]
#[command(name = "pum", infer_long_args = true, disable_version_flag = true, after_help = EXAMPLES)]
pub(crate) struct Pum {
    /// Read this configuration; else db_manager_config.yaml or pum.yaml in the current directory, if there
    #[arg(short, long, global = true, value_name = "FILE", display_order = 990)]
    pub(crate) config_file: Option<PathBuf>,

    /// Colour the output
    #[arg(
        long = "color",
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        display_order = 991
    )]
    pub(crate) colour: Colour,

    /// Print the version
    #[arg(short, long)]
    pub(crate) version: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Pum {
    /// Whether the notices of the server are shown.
    pub(crate) fn verbose(&self) -> bool {
        match &self.command {
            Some(Command::Upgrade(args)) => args.scripts.verbose,
            Some(Command::Test(args)) => args.rehearsal.scripts.verbose,
            Some(Command::TestAndUpgrade(args)) => args.rehearsal.scripts.verbose,
            _ => false,
        }
    }
}

/// The help of the whole.
pub(crate) fn help() -> String {
    Pum::command().render_long_help().ansi().to_string()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Snapshot(snapshot::Snapshot),
    Dump(dump::Dump),
    Restore(restore::Restore),
    Baseline(baseline::Baseline),
    Info(info::Info),
    Upgrade(upgrade::Upgrade),
    Test(test::Test),
    TestAndUpgrade(test_and_upgrade::TestAndUpgrade),
    Demo(demo::Demo),
    Config(config::ShowConfig),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, session: &Session) -> Result<Exit> {
        match self {
            Command::Check(args) => check::run(args, session),
            Command::Snapshot(args) => snapshot::run(args, session),
            Command::Dump(args) => dump::run(args, session),
            Command::Restore(args) => restore::run(args, session),
            Command::Baseline(args) => baseline::run(args, session),
            Command::Info(args) => info::run(args, session),
            Command::Upgrade(args) => upgrade::run(args, session),
            Command::Test(args) => test::run(args, session),
            Command::TestAndUpgrade(args) => test_and_upgrade::run(args, session),
            Command::Demo(args) => demo::run(args, session),
            Command::Config(args) => config::run(args, session),
            Command::Completions(args) => completions::run(&args, &session.terminal),
            Command::Man(args) => man::run(&args, &session.terminal),
        }
    }
}

/// The database of a command that needs one only.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The database: a service, a URI or a conninfo string
    #[arg(short = 'p', long = "pg-service", value_name = "DB")]
    pub(crate) pg_service: Option<String>,

    #[command(flatten)]
    pub(crate) login: Login,
}

impl Database {
    /// The database, opened once when a password may have to be asked for.
    pub(crate) fn target(self, session: &Session) -> Result<Target> {
        let name = session.config.needed_database(Role::Only, self.pg_service)?;
        session.target(name, self.login.ask())
    }
}

/// How to log in.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Ask for the password even when the server may not want one
    #[arg(short = 'W', long)]
    password: bool,
}

impl Login {
    pub(crate) fn ask(&self) -> Ask {
        if self.password { Ask::Always } else { Ask::WhenNeeded }
    }
}

/// Where the deltas are, and the table that records them.
#[derive(Debug, Args)]
pub(crate) struct Deltas {
    /// The table that records what is applied: schema.table
    #[arg(short, long)]
    pub(crate) table: Option<String>,

    /// The directories that hold the deltas, in the order in which they are applied
    #[arg(short, long, num_args = 1.., value_name = "DIR")]
    pub(crate) dir: Vec<PathBuf>,
}

impl Deltas {
    /// The upgrades table.
    pub(crate) fn table(&self, config: &Config) -> Result<TableName> {
        let name = needed(config.upgrades_table(self.table.clone()), "-t", "upgrades_table")?;
        Ok(name.map(|name| name.parse())?.value)
    }

    /// The delta directories.
    pub(crate) fn directories(&self, config: &Config) -> Result<Vec<PathBuf>> {
        Ok(needed(config.delta_dirs(self.dir.clone()), "-d", "delta_dirs")?.value)
    }
}

/// How deltas run.
#[derive(Debug, Args)]
pub(crate) struct Scripts {
    /// Go up to this version, and no further
    #[arg(short = 'u', long, value_name = "X.Y.Z")]
    pub(crate) max_version: Option<String>,

    /// Set a variable of the deltas, written %(NAME)s there; TYPE is int, float or str
    #[arg(short = 'v', long, num_args = 3, value_names = ["TYPE", "NAME", "VALUE"], allow_negative_numbers = true)]
    pub(crate) var: Vec<String>,

    /// Show the notices of the server [short: -vv]
    #[arg(long)]
    pub(crate) verbose: bool,

    /// Roll a delta back when it waits longer for a lock, and try it again [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub(crate) lock_timeout: Option<Time>,

    /// Wait so long for another run of pum on the same database, such as 10min; else stop
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Time>,

    /// Run again a Python delta that an interrupted run began
    #[arg(long)]
    pub(crate) rerun_interrupted: bool,
}

impl Scripts {
    /// How to upgrade with these deltas.
    pub(crate) fn options(&self, deltas: &Deltas, session: &Session) -> Result<UpgradeOptions> {
        let config = &session.config;
        let mut options = UpgradeOptions::new(deltas.table(config)?, deltas.directories(config)?);
        options.max_version = self.max_version.as_deref().map(str::parse).transpose()?;
        options.variables = config.script_variables(&self.var)?;
        if let Some(lock_timeout) = config.lock_timeout(self.lock_timeout)? {
            options.lock_timeout = lock_timeout.value.0;
        }
        if let Some(Time(wait)) = self.wait {
            options.wait = wait;
        }
        options.rerun_interrupted = self.rerun_interrupted;
        options.python = session.python();
        Ok(options)
    }
}

/// How much time production has.
#[derive(Debug, Args)]
pub(crate) struct Budget {
    /// End a step of production that takes so many times as long as on the copy, and longer than 10 s [default: 10]
    #[arg(long, value_name = "N", value_parser = factor)]
    budget_factor: Option<f64>,
}

impl Budget {
    /// # Errors
    /// A value of the configuration is out of range.
    pub(crate) fn terms(&self, config: &Config) -> Result<Terms> {
        let mut terms = Terms::default();
        if let Some(factor) = config.budget_factor(self.budget_factor)? {
            terms.factor = factor.value;
        }
        Ok(terms)
    }
}

fn factor(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(number) if BUDGET_FACTORS.contains(&number) => Ok(number),
        _ => Err(format!("\"{text}\" is no number from 1 to 1000000")),
    }
}

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Comparison {
    #[arg(short, long, num_args = 1.., value_name = "KIND", help = ignore_help())]
    pub(crate) ignore: Vec<String>,

    #[arg(long, num_args = 1.., value_name = "CLASS", help = include_help())]
    pub(crate) include: Vec<String>,

    /// Leave out objects whose name, or schema.name, matches a pattern as in psql, such as 'usr_*'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,

    /// Compare the rows of tables too, whose name, or schema.name, matches a pattern as in psql; may be repeated
    #[arg(long, num_args = 1.., value_name = "PATTERN")]
    pub(crate) data: Vec<String>,

    /// Take the differences of this file for known; see check --write-expected
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,

    /// Leave out a schema; may be repeated
    #[arg(short = 'N', long, value_name = "SCHEMA")]
    pub(crate) exclude_schema: Vec<String>,

    /// Leave out columns whose name matches a pattern of SQL LIKE; may be repeated
    #[arg(short = 'P', long, value_name = "PATTERN")]
    pub(crate) exclude_field_pattern: Vec<String>,
}

fn ignore_help() -> String {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name()).collect();
    let on = Class::ALL.into_iter().filter(|class| class.on_by_default());
    let on: Vec<&str> = on.map(Class::name).collect();
    format!(
        "Leave out kinds of objects: {}; or classes of differences: those of --include, and {}",
        kinds.join(", "),
        on.join(", ")
    )
}

fn include_help() -> String {
    let off = Class::ALL.into_iter().filter(|class| !class.on_by_default());
    let classes: Vec<&str> = off.map(Class::name).collect();
    format!(
        "Count these classes of differences too: {}; or all of them: all",
        classes.join(", ")
    )
}

impl Comparison {
    /// What is compared. Excluded schemas are told apart, because a rehearsal does not restore them either.
    pub(crate) fn filter(mut self, config: &Config) -> Result<(Filter, Vec<String>)> {
        let expect = config.expect(self.expect.take());
        let (mut filter, excluded) = self.filter_without_expected(config)?;
        if let Some(file) = expect {
            filter.expected = file.map(|file| Expectations::read(&file))?.value;
        }
        Ok((filter, excluded))
    }

    /// The same, where nothing is known beforehand.
    pub(crate) fn filter_without_expected(self, config: &Config) -> Result<(Filter, Vec<String>)> {
        let patterns = |setting: Setting<Vec<String>>| {
            let parse = |names: Vec<String>| names.iter().map(|name| name.parse()).collect::<Result<Vec<Pattern>>>();
            Ok::<_, Error>(setting.map(parse)?.value)
        };
        let mut filter = Filter {
            exclude_fields: config.exclude_field_patterns(self.exclude_field_pattern).value,
            exclude: patterns(config.exclude(self.exclude))?,
            data: patterns(config.data(self.data))?,
            ..Filter::default()
        };
        config
            .ignore_elements(self.ignore)
            .map(|names| filter.ignore_words(&names))?;
        config.include(self.include).map(|names| filter.include_words(&names))?;
        Ok((filter, config.exclude_schemas(self.exclude_schema).value))
    }
}

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    #[default]
    Text,
    /// For a program
    Json,
}

#[cfg(test)]
mod tests;
