//! What every command works with: the configuration, the terminal, the run and the signals that cancel it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use pum::{Catalog, Connection, ErrorKind, Origin, Result, Run, Target};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{Config, Setting};
use crate::terminal::{Terminal, line};

/// One call of the command.
pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) terminal: Arc<Terminal>,
    pub(crate) run: Run,
    /// The words that start the command once more, where it is not the program of this process but its Python.
    pub(crate) itself: Option<Vec<OsString>>,
    signal: Arc<AtomicI32>,
}

impl Session {
    /// A session whose events go to the terminal and which Ctrl-C cancels.
    pub(crate) fn new(config: Config, terminal: Terminal, itself: Option<Vec<OsString>>) -> Session {
        let terminal = Arc::new(terminal);
        let listener = Arc::clone(&terminal);
        let run = Run::new().on_event(move |event| listener.event(&event));
        let signal = Arc::new(AtomicI32::new(0));
        cancel_on_signals(&run, &terminal, &signal);
        Session {
            config,
            terminal,
            run,
            itself,
            signal,
        }
    }

    /// The interpreter for Python deltas: that of this process, where it is Python's.
    pub(crate) fn python(&self) -> Option<PathBuf> {
        self.itself.as_ref()?.first().map(PathBuf::from)
    }

    /// The signal that cancelled the run.
    pub(crate) fn signal(&self) -> Option<u8> {
        u8::try_from(self.signal.load(Ordering::SeqCst))
            .ok()
            .filter(|signal| *signal != 0)
    }

    /// The database that a setting names, with its password asked for when the server wants one.
    ///
    /// # Errors
    /// The name is not valid, or no session can be opened.
    pub(crate) fn target(&self, name: Setting<String>, ask: Ask) -> Result<Target> {
        self.named(name, ask, true)
    }

    /// The same for a database that the command may create: that it cannot be opened is no error yet.
    ///
    /// # Errors
    /// The name is not valid.
    pub(crate) fn target_to_create(&self, name: Setting<String>, ask: Ask) -> Result<Target> {
        self.named(name, ask, false)
    }

    /// A side of a comparison: a database, or a snapshot file when the name ends with `.json`.
    ///
    /// # Errors
    /// As [`Session::target`], and what [`Catalog::load`] says about the file.
    pub(crate) fn compared(&self, name: Setting<String>, ask: Ask) -> Result<Compared> {
        match self.config.snapshot_file(&name) {
            Some(file) => Ok(Compared::Snapshot(name.map(|_| Catalog::load(&file))?.value)),
            None => self.target(name, ask).map(Compared::Database),
        }
    }

    /// Which database a name leads to, in a sentence, told before it is written to: two services are easily mistaken
    /// for each other.
    ///
    /// # Errors
    /// No session can be opened.
    pub(crate) fn identity(&self, target: &Target) -> Result<String> {
        let mut connection = Connection::open(target, &self.run)?;
        let found = connection.query(
            "select current_database()::text, current_user::text, pg_size_pretty(pg_database_size(current_database()))",
            &[],
        )?;
        let fact = |column| line(found.value(0, column).unwrap_or_default()).into_owned();
        let named = |keyword| line(&connection.parameter(keyword).unwrap_or_default()).into_owned();
        Ok(format!(
            "{} is the database {} ({}) on {}, port {}, PostgreSQL {}, as {}.",
            line(&target.name()),
            fact(0),
            fact(2),
            named("host"),
            named("port"),
            connection.server_version(),
            fact(1)
        ))
    }

    fn named(&self, name: Setting<String>, ask: Ask, must_open: bool) -> Result<Target> {
        let target = name.map(|name| Target::new(&name))?.value;
        let with_password = |target: Target| -> Result<Target> {
            let password = self.terminal.password(&target.name())?;
            Ok(target.with("password", &password))
        };
        let (target, asked) = match ask {
            Ask::Always => (with_password(target)?, true),
            // Without a terminal nobody can answer, and the command itself finds out what the server says.
            Ask::WhenNeeded if !self.terminal.can_ask_password() => return Ok(target),
            Ask::WhenNeeded => (target, false),
        };
        match Connection::open(&target, &self.run) {
            Err(error) if error.kind() == ErrorKind::PasswordNeeded && !asked => {
                let target = with_password(target)?;
                // A wrong password is told now, before the next one is asked for.
                let opened = Connection::open(&target, &self.run);
                if must_open { opened.map(|_| target) } else { Ok(target) }
            }
            Err(error) if must_open || error.kind() == ErrorKind::Cancelled => Err(error),
            _ => Ok(target),
        }
    }
}

/// A side of a comparison.
pub(crate) enum Compared {
    Database(Target),
    Snapshot(Catalog),
}

impl<'a> From<&'a Compared> for Origin<'a> {
    fn from(compared: &'a Compared) -> Origin<'a> {
        match compared {
            Compared::Database(target) => target.into(),
            Compared::Snapshot(catalog) => catalog.into(),
        }
    }
}

/// When a password is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// When the server wants one and none is known.
    WhenNeeded,
    /// Always, `-W`.
    Always,
}

/// Cancels the run at the first Ctrl-C, termination or hang-up. Later ones change nothing: a clean end is on its way.
fn cancel_on_signals(run: &Run, terminal: &Arc<Terminal>, signal: &Arc<AtomicI32>) {
    let ignored = ignored_signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|number| ignored >> (number - 1) & 1 == 0);
    let Ok(mut signals) = Signals::new(wanted) else {
        terminal.warn("signals cannot be caught; do not interrupt this run");
        return;
    };
    let (run, terminal, signal) = (run.clone(), Arc::clone(terminal), Arc::clone(signal));
    std::thread::spawn(move || {
        for number in signals.forever() {
            let first = signal
                .compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
            run.cancel().cancel();
            terminal.tell(if first {
                "Cancelling: what is under way is ended; what is not committed is rolled back."
            } else {
                "Still cancelling; what was begun is being cleaned up."
            });
        }
    });
}

/// The signals that whoever started us wants ignored, as `nohup` and background jobs do, one bit each
/// (Linux, proc(5), "SigIgn"). Elsewhere none is known.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
