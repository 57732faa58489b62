//! The bar at the bottom of a terminal; in a pipe there is none.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pum::Event;

use super::text::line;

const TICK: Duration = Duration::from_millis(120);

/// What goes on at this moment.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bar: Option<ProgressBar>,
    /// The rows of many things at once, and the bar below them that counts.
    many: Option<(MultiProgress, ProgressBar)>,
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
        let state = self.state();
        match (&state.many, &state.bar) {
            (Some((rows, _)), _) => rows.suspend(write),
            (None, Some(bar)) => bar.suspend(write),
            (None, None) => write(),
        }
    }

    /// Many things are worked on at once.
    pub(super) fn begin_many(&self, done: usize, total: usize) {
        let mut state = self.state();
        state.clear();
        if self.terminal {
            let rows = MultiProgress::new();
            let all = rows.add(ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)));
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}") {
                all.set_style(style);
            }
            all.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            all.enable_steady_tick(TICK);
            state.many = Some((rows, all));
        }
    }

    /// A row for one of them.
    pub(super) fn row(&self, name: &str) -> Row {
        let bar = self.state().many.as_ref().map(|(rows, all)| {
            let bar = rows.insert_before(all, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        });
        Row(bar)
    }

    /// One of them is done.
    pub(super) fn one_done(&self, failed: usize) {
        if let Some((_, all)) = &self.state().many {
            all.inc(1);
            if failed > 0 {
                all.set_message(format!("{failed} failed"));
            }
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
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some((rows, all)) = self.many.take() {
            all.finish_and_clear();
            let _ = rows.clear();
        }
    }
}

/// The row of one of many things; in a pipe there is none.
#[derive(Debug)]
pub(crate) struct Row(Option<ProgressBar>);

impl Row {
    /// What goes on in it.
    pub(crate) fn event(&self, event: &Event) {
        let Some(bar) = &self.0 else { return };
        match event {
            Event::StepStarted { number, of, step } => bar.set_message(format!("{}, {number} of {of}", line(step))),
            Event::Phase { number, of, title } => bar.set_message(format!("{}, {number} of {of}", line(title))),
            Event::Waiting(reason) => bar.set_message(line(reason).into_owned()),
            _ => {}
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
