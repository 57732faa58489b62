//! The `pum` command: reads its words, runs a command of the library, shows what comes of it.

mod arguments;
mod command;
mod config;
mod fleet;
mod session;
mod terminal;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::Parser;
use pum::{Error, ErrorKind, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use command::{Command, Pum};
use config::Config;
use session::Session;
use terminal::Terminal;

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Done,
    /// Two databases differ.
    Different,
    /// One of many databases failed, and was told.
    Failed,
    /// One of many databases could not be compared, and was told.
    Unknown,
}

/// Differences, or a failure.
const FAILURE: u8 = 1;
/// Wrong usage, and a `check` that could not tell.
const USAGE: u8 = 2;
/// A safety check of pum said no; nothing was changed.
const REFUSED: u8 = 3;
/// Another run holds the lock.
const LOCKED: u8 = 5;
/// There is no connection, or it was lost in the middle; what happened is known and told.
const CONNECTION: u8 = 6;
/// The connection was lost in COMMIT, and nobody knows whether it happened.
const OUTCOME_UNKNOWN: u8 = 7;
/// What the number of the signal that ended the run is added to, as shells do.
const SIGNAL: u8 = 128;
const INTERRUPT: u8 = 2;

/// Runs the command. `words` are those of the command line, the first one the program's name.
///
/// The result is what the process has to end with: 0 fine, 1 differences or failure, 2 wrong usage (and `check`
/// could not tell), 3 refused, 5 locked by another run, 6 no connection, 7 the outcome is not known, 128 and the number
/// of the signal that ended the run.
pub fn main(words: impl IntoIterator<Item = OsString>) -> u8 {
    main_as(None, words)
}

/// The same for a process that is not the command but Python's: `itself` are the words that start the command in a process of
/// its own, the first of them Python, which runs Python deltas too.
pub fn main_as(itself: Option<Vec<OsString>>, words: impl IntoIterator<Item = OsString>) -> u8 {
    leave_no_core();
    let pum = match Pum::try_parse_from(arguments::spelled_out(words)) {
        Ok(pum) => pum,
        Err(answer) => return parsing_ended(&answer),
    };
    let terminal = Terminal::new(pum.colour, pum.verbose());
    if pum.version {
        let version = format!("pum version {}\n", env!("CARGO_PKG_VERSION"));
        return ended(&terminal, terminal.print(&version).map(|()| Exit::Done));
    }
    match pum.command {
        None => ended(&terminal, terminal.print(&command::help()).map(|()| Exit::Done)),
        Some(Command::Completions(args)) => ended(&terminal, command::completions::run(&args, &terminal)),
        Some(Command::Man(args)) => ended(&terminal, command::man::run(&args, &terminal)),
        Some(command) => match Config::read(pum.config_file.as_deref()) {
            Ok(config) => in_session(command, Session::new(config, terminal, itself)),
            Err(error) => ended(&terminal, Err(error)),
        },
    }
}

/// A core file holds the memory, and with it passwords. What pum starts inherits the limit; whoever looks for a fault can
/// raise it again with `prlimit`.
fn leave_no_core() {
    let limit = getrlimit(Resource::Core);
    // The system refuses no lower one.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            ..limit
        },
    );
}

/// What `pum config` shows of a file, as text and as JSON, with the variables read as for a delta: for those who try what
/// configuration files do; no part of the interface.
///
/// # Errors
/// As the command.
#[doc(hidden)]
pub fn configuration(file: &Path) -> Result<[String; 2]> {
    let config = Config::read(Some(file))?;
    config.script_variables(&[])?;
    let shown = |format: &str| {
        let words = ["pum", "config", "--format", format];
        match Pum::try_parse_from(words).map(|pum| pum.command) {
            Ok(Some(Command::Config(args))) => command::config::text(args, &config),
            _ => Err(Error::new(ErrorKind::Usage, "there is no command config")),
        }
    };
    Ok([shown("text")?, shown("json")?])
}

fn in_session(command: Command, session: Session) -> u8 {
    let checks = matches!(command, Command::Check(_));
    let outcome = command.run(&session);
    session.terminal.settle();
    match (outcome, session.signal()) {
        (Err(error), Some(signal)) if error.kind() != ErrorKind::OutcomeUnknown => {
            session.terminal.fail(&error);
            SIGNAL + signal
        }
        (Err(error), None) if checks && error.kind() != ErrorKind::Cancelled => {
            session.terminal.fail(&error);
            USAGE
        }
        (outcome, _) => ended(&session.terminal, outcome),
    }
}

/// Shows an error, and gives the exit code.
fn ended(terminal: &Terminal, outcome: Result<Exit>) -> u8 {
    match outcome {
        Ok(Exit::Done) => 0,
        Ok(Exit::Different | Exit::Failed) => FAILURE,
        Ok(Exit::Unknown) => USAGE,
        Err(error) => {
            terminal.fail(&error);
            failure(&error)
        }
    }
}

fn failure(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Usage => USAGE,
        ErrorKind::Refused => REFUSED,
        ErrorKind::Locked => LOCKED,
        ErrorKind::Connection | ErrorKind::PasswordNeeded | ErrorKind::ConnectionLost => CONNECTION,
        ErrorKind::OutcomeUnknown => OUTCOME_UNKNOWN,
        ErrorKind::Cancelled => SIGNAL + INTERRUPT,
        _ => FAILURE,
    }
}

/// The parser ended: help was asked for, or the usage is wrong.
fn parsing_ended(answer: &clap::Error) -> u8 {
    match answer.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => FAILURE,
        _ => u8::try_from(answer.exit_code()).unwrap_or(USAGE),
    }
}
