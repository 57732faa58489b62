//! The bar at the bottom of a terminal; in a pipe there is none.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What goes on at this moment.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bar: Option<ProgressBar>,
    /// The step of an upgrade that began last.
    step: Option<String>,
    /// What we wait for, said once.
    waiting: Option<String>,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress {
            terminal: io::stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    /// Writes something while the bar is out of the way.
    pub(super) fn quiet<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.state().bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Something without steps begins, which may take a while.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.clear();
        if self.terminal {
            state.spin(String::new());
        }
    }

    /// A step begins.
    pub(super) fn step(&self, number: usize, of: usize, step: &str) {
        let mut state = self.state();
        state.clear();
        state.step = Some(step.to_owned());
        if self.terminal {
            state.spin(format!("{step}, {number} of {of}"));
        }
    }

    /// The step is done; what it was.
    pub(super) fn step_done(&self) -> Option<String> {
        let mut state = self.state();
        state.clear();
        state.step.take()
    }

    /// How far the work has come.
    pub(super) fn position(&self, done: u64, total: Option<u64>, unit: &str) {
        if !self.terminal {
            return;
        }
        let mut state = self.state();
        if state.bar.is_none() {
            state.spin(String::new());
        }
        let Some(bar) = &state.bar else { return };
        if let Some(total) = total {
            bar.set_length(total);
        }
        let template = match (unit, total) {
            ("bytes", Some(_)) => "{spinner} {msg} {bar:24} {bytes}/{total_bytes} {eta}",
            ("bytes", None) => "{spinner} {msg} {bytes} {elapsed}",
            (_, Some(_)) => "{spinner} {msg} {bar:24} {pos}/{len} {prefix} {elapsed}",
            (_, None) => "{spinner} {msg} {pos} {prefix} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(unit.to_owned());
        bar.set_position(done);
    }

    /// We wait. Whether that has to be told in a line, because no bar shows it.
    pub(super) fn waiting(&self, reason: &str) -> bool {
        let mut state = self.state();
        if self.terminal {
            match &state.bar {
                Some(bar) => bar.set_message(reason.to_owned()),
                None => state.spin(reason.to_owned()),
            }
            return false;
        }
        let news = state.waiting.as_deref() != Some(reason);
        state.waiting = Some(reason.to_owned());
        news
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        self.state().clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is a picture on the screen: what a panicking thread left of it is good enough.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn spin(&mut self, message: String) {
        let bar = ProgressBar::new_spinner().with_message(message);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bar = Some(bar);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
