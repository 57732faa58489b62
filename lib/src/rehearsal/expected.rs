//! How the expected database is built: the one that an upgraded database must be equal to.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::catalog::Catalog;
use crate::connection::Connection;
use crate::delta::{Deltas, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{History, create_table};
use crate::run::Run;
use crate::script::{Script, Variables};
use crate::supervise::supervise;
use crate::target::Target;
use crate::upgrade::{Lock, UpgradeOptions, run_script, upgrade_under};

/// How the newest version is built from nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A program and its arguments; the `PG*` variables of its environment lead to the empty database.
    Command {
        /// The program and its arguments.
        words: Vec<String>,
        /// The directory to run it in; without it the current one.
        directory: Option<PathBuf>,
    },
    /// SQL files, in order.
    Sql(Vec<PathBuf>),
    /// All deltas, from the first.
    Deltas,
    /// Nothing is built: a snapshot file says what must come out.
    Snapshot(PathBuf),
}

impl Expected {
    /// What is there without building a database.
    pub(super) fn snapshot(&self) -> Result<Option<Catalog>> {
        match self {
            Expected::Snapshot(file) => Catalog::load(file).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn build(
        &self,
        target: &Target,
        options: &UpgradeOptions,
        version: Option<Version>,
        run: &Run,
    ) -> Result<()> {
        let outcome = match self {
            Expected::Command { words, directory } => run_command(words, directory.as_deref(), target, run),
            Expected::Sql(files) => files.iter().try_for_each(|file| {
                let script = Script::open(file, &Variables::new())?;
                let mut connection = Connection::open_for_scripts(target, run)?;
                // Those of production's user came along, and are not meant for building a database.
                let timeouts = connection.timeouts("set");
                connection.execute(&timeouts)?;
                run_script(&mut connection, &script)
            }),
            Expected::Deltas => all_deltas(target, options, version, run),
            Expected::Snapshot(_) => Ok(()),
        };
        outcome.map_err(|error| error.within("the expected database could not be built"))
    }
}

fn all_deltas(target: &Target, options: &UpgradeOptions, version: Option<Version>, run: &Run) -> Result<()> {
    let mut lock = Lock::take(target, &options.table, options.wait, run)?;
    if History::read(lock.connection(), &options.table)?.is_none() {
        create_table(lock.connection(), &options.table)?;
    }
    let deltas = Deltas::read(&options.directories)?;
    let options = UpgradeOptions {
        max_version: version.or(options.max_version),
        ..options.clone()
    };
    upgrade_under(&mut lock, target, &deltas, &options, None, None, run).map(drop)
}

fn run_command(words: &[String], directory: Option<&Path>, target: &Target, run: &Run) -> Result<()> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::new(ErrorKind::Usage, "the command is empty"));
    };
    let connection = Connection::open(target, run)?;
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    for (name, value) in connection.environment() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    drop(connection);
    let status = supervise(command, program, b"", run)?;
    if status.success() {
        Ok(())
    } else {
        Err(
            Error::new(ErrorKind::Program, format!("\"{program}\" ended with {status}"))
                .with_hint("its output is above; run it by hand on an empty database, with the PG* variables set"),
        )
    }
}
