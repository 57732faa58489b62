//! The work on many databases: some at once, canaries first, none harmed by another.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use pum::{Cancel, Error, ErrorKind, Result, Run};

use super::outcome::{Became, Outcome, Report};
use super::{Fleet, Member};
use crate::Exit;
use crate::command::Format;
use crate::session::Session;
use crate::terminal::{counted, line};

/// How much of what a member has to say besides its result is kept.
const LINES: usize = 200;

/// Who goes first.
#[derive(Debug, Args)]
pub(crate) struct Canaries {
    /// With many databases, do these first, and go on only when all are fine and you say so
    #[arg(long, num_args = 1.., value_name = "NAME")]
    canary: Vec<String>,

    /// Go on after the canaries without a question
    #[arg(long, requires = "canary")]
    yes: bool,
}

impl Canaries {
    /// Whether nobody named one.
    pub(crate) fn is_empty(&self) -> bool {
        self.canary.is_empty()
    }

    /// The same without a question, where nothing is written that could need one.
    pub(crate) fn without_question(self, without: bool) -> Canaries {
        Canaries {
            yes: self.yes || without,
            ..self
        }
    }
}

/// What is to be done with each member.
pub(crate) struct Task<'a> {
    /// The command, as its name is.
    pub(crate) command: &'static str,
    /// The columns that the cells of a [`Report`] fill.
    pub(crate) columns: &'static [&'static str],
    pub(crate) format: Format,
    /// Nothing is printed, and the exit code tells.
    pub(crate) silent: bool,
    pub(crate) canaries: Option<Canaries>,
    /// How the command ends when a member failed.
    pub(crate) failed: Exit,
    /// How to go on after it was cancelled.
    pub(crate) again: &'static str,
    pub(crate) work: &'a (dyn Fn(&Member, &Run) -> Result<Report> + Sync),
}

impl Fleet {
    /// Does the work with all members, and prints what became of each.
    ///
    /// # Errors
    /// A canary is no member; the run was cancelled.
    pub(crate) fn run(self, task: Task<'_>, session: &Session) -> Result<Exit> {
        let (canaries, yes) = task
            .canaries
            .as_ref()
            .map_or((&[][..], false), |canaries| (&canaries.canary[..], canaries.yes));
        let first = self.canaries(canaries)?;
        let mut outcome = Outcome {
            command: task.command,
            columns: task.columns,
            members: self
                .members
                .iter()
                .zip(first)
                .map(|(member, canary)| (member, canary, Became::default()))
                .collect(),
        };
        let begun = Instant::now();
        let mut stopped = None;
        if !canaries.is_empty() {
            work(&mut outcome, true, self.at_once, &task, session);
            stopped = stops(&outcome, yes, session);
        }
        if stopped.is_none() {
            work(&mut outcome, false, self.at_once, &task, session);
        }
        session.terminal.settle();
        if !task.silent {
            session.terminal.print(&match task.format {
                Format::Text => outcome.as_text(begun.elapsed()),
                Format::Json => outcome.as_json(),
            })?;
        }
        if session.run.cancel().is_cancelled() && outcome.is_cut_short() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled")
                .with_state(outcome.counts())
                .with_hint(task.again));
        }
        match stopped {
            Some(Stopped::Unasked(told)) => {
                return Err(Error::new(ErrorKind::Refused, told)
                    .with_state(outcome.counts())
                    .with_hint("run the same command with --yes to go on"));
            }
            Some(Stopped::Told(told)) => session.terminal.tell(&told),
            None => {}
        }
        let failed = outcome.members.iter().any(|(_, _, became)| became.error().is_some());
        Ok(match outcome.is_fine() {
            true => Exit::Done,
            false if failed => task.failed,
            false => Exit::Different,
        })
    }

    /// Which members are canaries.
    fn canaries(&self, names: &[String]) -> Result<Vec<bool>> {
        if let Some(unknown) = names
            .iter()
            .find(|name| self.members.iter().all(|member| member.name != **name))
        {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the canary \"{unknown}\" is none of the {}",
                    counted(self.members.len(), "database")
                ),
            )
            .with_hint("name a canary as `pum info` with the same databases names it")
            .with_state("nothing was done"));
        }
        Ok(self.members.iter().map(|member| names.contains(&member.name)).collect())
    }
}

/// Why nothing goes on after the canaries.
fn stops(outcome: &Outcome<'_>, yes: bool, session: &Session) -> Option<Stopped> {
    let others = outcome.members.iter().filter(|(_, canary, _)| !canary).count();
    let rest = counted(others, "other database");
    let fine = |(_, canary, became): &(&Member, bool, Became)| !canary || became.is_fine();
    let question = format!("The canaries are fine. Go on with {rest}? [n]|y: ");
    if !outcome.members.iter().all(fine) {
        Some(Stopped::Told(format!("A canary is not fine; {rest} not begun.")))
    } else if yes || others == 0 {
        None
    } else if !session.terminal.somebody_there() {
        Some(Stopped::Unasked(format!(
            "the canaries are fine, and nobody is there to be asked: {rest} not begun"
        )))
    } else if session.terminal.confirm(&question, &session.run).unwrap_or(false) {
        None
    } else {
        Some(Stopped::Told(format!("Stopped after the canaries; {rest} not begun.")))
    }
}

/// Why it went no further than the canaries.
enum Stopped {
    /// A canary is not fine, or a person answered no.
    Told(String),
    /// Nobody could answer. A script that saw no failure would take the others for done.
    Unasked(String),
}

/// Works on the members that are canaries, or on the others.
fn work(outcome: &mut Outcome<'_>, canaries: bool, at_once: usize, task: &Task<'_>, session: &Session) {
    let total = outcome.members.len();
    let stop = AtomicBool::new(session.run.cancel().is_cancelled());
    let before = outcome.members.iter().filter(|(_, _, became)| became.is_over()).count();
    let chosen: Vec<(usize, &Member)> = outcome
        .members
        .iter()
        .enumerate()
        .filter(|(_, (_, canary, _))| *canary == canaries)
        .map(|(number, (member, ..))| (number, *member))
        .collect();
    session.terminal.begin_many(before, total);
    let at_work: Mutex<HashMap<usize, Cancel>> = Mutex::default();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let (chosen, stop, at_work) = (&chosen, &stop, &at_work);
        scope.spawn(move || {
            several(chosen, at_once, |_, (number, member)| {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let begun = Instant::now();
                let (result, told) = one(member, task, session, |cancel| {
                    locked(at_work).insert(*number, cancel.clone());
                    // Whoever stops us does so before it cancels those at work.
                    if stop.load(Ordering::SeqCst) {
                        cancel.cancel();
                    }
                });
                locked(at_work).remove(number);
                let _ = sender.send((*number, Became::new(result, begun.elapsed()), told));
            });
            drop(sender);
        });
        let (mut over, mut failed) = (before, 0);
        loop {
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok((number, became, told)) => {
                    over += 1;
                    failed += usize::from(became.error().is_some());
                    if let Some((member, _, known)) = outcome.members.get_mut(number) {
                        let said = said(member, &became, &told, session);
                        if !task.silent || became.error().is_some() {
                            session.terminal.one_done(over, total, failed, &said);
                        }
                        *known = became;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if session.run.cancel().is_cancelled() && !stop.swap(true, Ordering::SeqCst) {
                locked(at_work).values().for_each(Cancel::cancel);
            }
        }
    });
}

/// Works on one member, in a run of its own. What it has to say is collected.
fn one(
    member: &Member,
    task: &Task<'_>,
    session: &Session,
    begins: impl FnOnce(&Cancel),
) -> (Result<Report>, Vec<String>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let row = session.terminal.row(&member.name);
    let (listener, terminal) = (Arc::clone(&told), Arc::clone(&session.terminal));
    let run = Run::new().on_event(move |event| {
        row.event(&event);
        if let Some(text) = terminal.told(&event) {
            let mut told = locked(&listener);
            if told.len() < LINES {
                told.push(text);
            } else if told.len() == LINES {
                told.push("... and more, which is not shown".to_owned());
            }
        }
    });
    begins(run.cancel());
    let result = catch_unwind(AssertUnwindSafe(|| (task.work)(member, &run))).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Program,
            "pum failed in a way that it should not; a message above says where",
        )
        .with_hint("`pum info` tells what is applied; the same command goes on from there"))
    });
    drop(run);
    let told = std::mem::take(&mut *locked(&told));
    (result, told)
}

/// What became of a member and what it had to say, as lines.
fn said(member: &Member, became: &Became, told: &[String], session: &Session) -> String {
    let mut text = format!("{}: {}", line(&member.name), became.sentence());
    let error = became.error().map(|error| session.terminal.failure(error));
    for told in told.iter().map(String::as_str).chain(error.as_deref()) {
        text.push_str("\n  ");
        text.push_str(&told.replace('\n', "\n  "));
    }
    text
}

/// Calls a function for each of many things, some at once, in their order.
pub(super) fn several<T: Sync>(things: &[T], at_once: usize, each: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(things.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(thing) = things.get(number) else { break };
                    each(number, thing);
                }
            });
        }
    });
}

/// What a thread that panicked left behind is still what it was.
pub(super) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
