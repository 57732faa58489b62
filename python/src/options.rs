//! What Python passes, as the library takes it.

use std::path::PathBuf;
use std::time::Duration;

use pum::{Error, ErrorKind, Result, Target};
use pyo3::prelude::*;

/// A database: a name, URI or conninfo string, or keywords and values.
#[derive(FromPyObject)]
pub(crate) enum Database {
    Text(String),
    Keywords(Vec<(String, String)>),
}

impl Database {
    pub(crate) fn target(&self) -> Result<Target> {
        match self {
            Database::Text(text) => Target::new(text),
            Database::Keywords(words) => Ok(words.iter().fold(Target::default(), |target, (keyword, value)| {
                target.with(keyword, value)
            })),
        }
    }
}

fn seconds(what: &str, value: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        Error::new(ErrorKind::Usage, format!("{what} is {value}, which is no time"))
            .with_hint("give seconds, such as 2.5")
    })
}

fn count<T: TryFrom<i64>>(what: &str, value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| {
        Error::new(ErrorKind::Usage, format!("{what} is {value}, which counts nothing"))
            .with_hint("give a whole number from 0")
    })
}

/// What is compared.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Filter {
    ignore: Vec<String>,
    include: Vec<String>,
    exclude_schemas: Vec<String>,
    exclude: Vec<String>,
    exclude_fields: Vec<String>,
    data: Vec<String>,
    expect: Option<PathBuf>,
    table: Option<String>,
}

impl Filter {
    pub(crate) fn filter(&self) -> Result<pum::Filter> {
        let patterns = |words: &[String]| {
            words
                .iter()
                .map(|word| word.parse())
                .collect::<Result<Vec<pum::Pattern>>>()
        };
        let table = self.table.as_ref().map(|table| table.parse::<pum::TableName>());
        let mut filter = pum::Filter {
            exclude_schemas: self.exclude_schemas.clone(),
            exclude_fields: self.exclude_fields.clone(),
            exclude: patterns(&self.exclude)?,
            data: patterns(&self.data)?,
            upgrades_table: table.transpose()?.map(|table| (table.schema, table.name)),
            ..pum::Filter::default()
        };
        filter.ignore_words(&self.ignore)?;
        filter.include_words(&self.include)?;
        if let Some(file) = &self.expect {
            filter.expected = pum::Expectations::read(file)?;
        }
        Ok(filter)
    }
}

/// How a database is upgraded.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Upgrade {
    table: String,
    directories: Vec<PathBuf>,
    max_version: Option<String>,
    /// Type, name and value.
    variables: Vec<(String, String, String)>,
    single_transaction: bool,
    lock_timeout: f64,
    attempts: i64,
    wait: f64,
    patience: f64,
    allow_near_misses: bool,
    rerun_interrupted: bool,
    python: Option<PathBuf>,
}

impl Upgrade {
    pub(crate) fn options(&self) -> Result<pum::UpgradeOptions> {
        let mut variables = pum::Variables::new();
        for (kind, name, value) in &self.variables {
            variables.insert(kind, name, value)?;
        }
        Ok(pum::UpgradeOptions {
            max_version: self.max_version.as_deref().map(str::parse).transpose()?,
            variables,
            single_transaction: self.single_transaction,
            lock_timeout: seconds("lock_timeout", self.lock_timeout)?,
            attempts: count("attempts", self.attempts)?,
            wait: seconds("wait", self.wait)?,
            patience: seconds("patience", self.patience)?,
            allow_near_misses: self.allow_near_misses,
            rerun_interrupted: self.rerun_interrupted,
            python: self.python.clone(),
            ..pum::UpgradeOptions::new(self.table.parse()?, self.directories.clone())
        })
    }
}

/// A baseline.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Baseline {
    table: String,
    version: String,
    mark_applied: Option<Vec<PathBuf>>,
    wait: f64,
}

impl Baseline {
    pub(crate) fn options(&self) -> Result<pum::BaselineOptions> {
        Ok(pum::BaselineOptions {
            mark_applied: self.mark_applied.clone(),
            wait: seconds("wait", self.wait)?,
            ..pum::BaselineOptions::new(self.table.parse()?, self.version.parse()?)
        })
    }
}

/// A dump.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Dump {
    format: String,
    jobs: i64,
    exclude_schemas: Vec<String>,
    compression: Option<String>,
    lock_timeout: Option<f64>,
    pg_dump: Option<PathBuf>,
}

impl Dump {
    pub(crate) fn options(&self) -> Result<pum::DumpOptions> {
        Ok(pum::DumpOptions {
            format: match self.format.as_str() {
                "custom" => pum::Format::Custom,
                "directory" => pum::Format::Directory,
                "plain" => pum::Format::Plain,
                other => {
                    return Err(Error::new(ErrorKind::Usage, format!("{other:?} is no form of a dump"))
                        .with_hint("the forms are custom, directory, plain"));
                }
            },
            jobs: count("jobs", self.jobs)?,
            exclude_schemas: self.exclude_schemas.clone(),
            compression: self.compression.clone(),
            lock_timeout: self
                .lock_timeout
                .map(|time| seconds("lock_timeout", time))
                .transpose()?,
            pg_dump: self.pg_dump.clone(),
            ..pum::DumpOptions::default()
        })
    }
}

/// A restore.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Restore {
    exclude_schemas: Vec<String>,
    ignore_errors: bool,
    jobs: i64,
    clean: bool,
    into_existing: bool,
    create: bool,
    create_roles: bool,
    pg_restore: Option<PathBuf>,
}

impl Restore {
    pub(crate) fn options(&self) -> Result<pum::RestoreOptions> {
        Ok(pum::RestoreOptions {
            exclude_schemas: self.exclude_schemas.clone(),
            ignore_errors: self.ignore_errors,
            jobs: count("jobs", self.jobs)?,
            clean: self.clean,
            into_existing: self.into_existing,
            create: self.create,
            create_roles: self.create_roles,
            pg_restore: self.pg_restore.clone(),
        })
    }
}

/// A throw-away server.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Server {
    major: Option<i64>,
    settings: Vec<(String, String)>,
    programs: Option<PathBuf>,
}

impl Server {
    pub(crate) fn options(&self) -> Result<pum::ServerOptions> {
        Ok(pum::ServerOptions {
            major: self.major.map(|major| count("major", major)).transpose()?,
            settings: self.settings.clone(),
            programs: self.programs.clone(),
        })
    }
}

/// How the expected database is built.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Expected {
    way: String,
    words: Vec<PathBuf>,
    directory: Option<PathBuf>,
}

impl Expected {
    fn expected(&self) -> Result<pum::Expected> {
        let text = |word: &PathBuf| word.to_string_lossy().into_owned();
        match (self.way.as_str(), self.words.as_slice()) {
            ("command", words) => Ok(pum::Expected::Command {
                words: words.iter().map(text).collect(),
                directory: self.directory.clone(),
            }),
            ("sql", files) => Ok(pum::Expected::Sql(files.to_vec())),
            ("snapshot", [file]) => Ok(pum::Expected::Snapshot(file.clone())),
            ("deltas", _) => Ok(pum::Expected::Deltas),
            _ => Err(Error::new(ErrorKind::Usage, "the expected database cannot be built so")),
        }
    }
}

/// A rehearsal.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Rehearsal {
    upgrade: Upgrade,
    test: Option<Database>,
    comparison: Option<Database>,
    expected: Option<Expected>,
    baseline: Option<String>,
    backup: Option<PathBuf>,
    copy: String,
    schema_only: bool,
    sample: Option<String>,
    lock_wait: f64,
    exclude_schemas: Vec<String>,
    filter: Filter,
    ignore_restore_errors: bool,
    crash: bool,
    overwrite: bool,
    jobs: i64,
    pg_dump: Option<PathBuf>,
    pg_restore: Option<PathBuf>,
    server: Server,
}

impl Rehearsal {
    pub(crate) fn options(&self) -> Result<pum::RehearsalOptions> {
        let target = |database: &Option<Database>| database.as_ref().map(Database::target).transpose();
        Ok(pum::RehearsalOptions {
            test: target(&self.test)?,
            comparison: target(&self.comparison)?,
            expected: self.expected.as_ref().map(Expected::expected).transpose()?,
            baseline: self.baseline.as_deref().map(str::parse).transpose()?,
            backup: self.backup.clone(),
            copy: self.copy.parse()?,
            schema_only: self.schema_only,
            sample: self.sample.as_deref().map(str::parse).transpose()?,
            lock_wait: seconds("lock_wait", self.lock_wait)?,
            exclude_schemas: self.exclude_schemas.clone(),
            filter: self.filter.filter()?,
            ignore_restore_errors: self.ignore_restore_errors,
            crash: self.crash,
            overwrite: self.overwrite,
            jobs: count("jobs", self.jobs)?,
            pg_dump: self.pg_dump.clone(),
            pg_restore: self.pg_restore.clone(),
            server: self.server.options()?,
            ..pum::RehearsalOptions::new(self.upgrade.options()?)
        })
    }
}

/// How production is held to its rehearsal.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Terms {
    max_age: f64,
    factor: f64,
    least: f64,
}

impl Terms {
    pub(crate) fn terms(&self) -> Result<pum::Terms> {
        Ok(pum::Terms {
            max_age: seconds("max_age", self.max_age)?,
            factor: self.factor,
            least: seconds("least", self.least)?,
        })
    }
}
