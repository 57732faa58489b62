//! What became of each of many databases: as a line, as a table, as JSON.

use std::time::Duration;

use pum::{Error, ErrorKind};
use serde_json::{Value, json};

use super::Member;
use crate::terminal::{self, counted, duration, table_of};

/// What a command did with one database.
pub(crate) struct Report {
    /// In one word or two, for counting: `upgraded`, `up to date`.
    pub(crate) verdict: &'static str,
    /// Whether all is well.
    pub(crate) fine: bool,
    /// The cells of its line in the table.
    pub(crate) cells: Vec<String>,
    /// As part of a sentence; made safe.
    pub(crate) sentence: String,
    /// The JSON that the command has for one database.
    pub(crate) json: Value,
}

/// What became of a member.
#[derive(Default)]
pub(super) enum Became {
    #[default]
    NotBegun,
    Done(Report, Duration),
    Failed(Error, Duration),
}

impl Became {
    pub(super) fn new(result: pum::Result<Report>, took: Duration) -> Became {
        match result {
            Ok(report) => Became::Done(report, took),
            Err(error) => Became::Failed(error, took),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        !matches!(self, Became::NotBegun)
    }

    pub(super) fn is_fine(&self) -> bool {
        matches!(self, Became::Done(report, _) if report.fine)
    }

    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Became::Failed(error, _) => Some(error),
            _ => None,
        }
    }

    fn verdict(&self) -> &'static str {
        match self {
            Became::NotBegun => "not begun",
            Became::Done(report, _) => report.verdict,
            Became::Failed(error, _) => match error.kind() {
                ErrorKind::Cancelled => "cancelled",
                ErrorKind::OutcomeUnknown => "outcome unknown",
                _ => "failed",
            },
        }
    }

    fn milliseconds(&self) -> Option<u64> {
        match self {
            Became::NotBegun => None,
            Became::Done(_, took) | Became::Failed(_, took) => Some(milliseconds(*took)),
        }
    }

    /// In a line.
    pub(super) fn sentence(&self) -> String {
        let what = match self {
            Became::Done(report, _) => &report.sentence,
            _ => self.verdict(),
        };
        let took = self.milliseconds().map(duration);
        format!("{what}{}", took.map(|took| format!(", {took}")).unwrap_or_default())
    }

    /// The cells of its line, of which there are `columns`.
    fn cells(&self, columns: usize) -> Vec<String> {
        let mut cells = match self {
            Became::Done(report, _) => report.cells.clone(),
            _ => Vec::new(),
        };
        cells.resize(columns, String::new());
        if let (None, Some(last)) = (self.report(), cells.last_mut()) {
            *last = match self.error() {
                Some(error) => format!("{}: {}", self.verdict(), short(error.message())),
                None => self.verdict().to_owned(),
            };
        }
        cells
    }

    fn report(&self) -> Option<&Report> {
        match self {
            Became::Done(report, _) => Some(report),
            _ => None,
        }
    }
}

/// What became of all of them.
pub(super) struct Outcome<'a> {
    pub(super) command: &'static str,
    pub(super) columns: &'static [&'static str],
    /// Each member, whether it is a canary, and what became of it.
    pub(super) members: Vec<(&'a Member, bool, Became)>,
}

impl Outcome<'_> {
    /// Whether nothing failed. What was not begun did not fail.
    pub(super) fn is_fine(&self) -> bool {
        self.members
            .iter()
            .all(|(_, _, became)| became.is_fine() || !became.is_over())
    }

    /// Whether a member was cancelled or not begun.
    pub(super) fn is_cut_short(&self) -> bool {
        let cut = |became: &Became| matches!(became.verdict(), "cancelled" | "not begun");
        self.members.iter().any(|(_, _, became)| cut(became))
    }

    /// How many of each verdict there are: `98 upgraded, 1 failed, 1 not begun`.
    pub(super) fn counts(&self) -> String {
        let counts = self.counted();
        let words: Vec<String> = counts
            .iter()
            .map(|(verdict, count)| format!("{count} {verdict}"))
            .collect();
        words.join(", ")
    }

    /// The verdicts in the order in which they are found, those of trouble last.
    fn counted(&self) -> Vec<(&'static str, u64)> {
        let mut counts: Vec<(&'static str, u64)> = Vec::new();
        let (fine, not): (Vec<_>, Vec<_>) = self.members.iter().partition(|(_, _, became)| became.is_fine());
        let (over, not_begun): (Vec<_>, Vec<_>) = not.into_iter().partition(|(_, _, became)| became.is_over());
        for (_, _, became) in fine.into_iter().chain(over).chain(not_begun) {
            match counts.iter_mut().find(|(verdict, _)| *verdict == became.verdict()) {
                Some((_, count)) => *count += 1,
                None => counts.push((became.verdict(), 1)),
            }
        }
        counts
    }

    pub(super) fn as_text(&self, took: Duration) -> String {
        let head: Vec<&str> = ["member"]
            .into_iter()
            .chain(self.columns.iter().copied())
            .chain(["took"])
            .collect();
        let rows = self.members.iter().map(|(member, _, became)| {
            let took = became.milliseconds().map(duration).unwrap_or_default();
            let cells = became.cells(self.columns.len());
            [member.name.clone()].into_iter().chain(cells).chain([took])
        });
        format!(
            "{}\n{}: {}; {}.\n",
            table_of(&head, rows),
            counted(self.members.len(), "database"),
            self.counts(),
            duration(milliseconds(took))
        )
    }

    pub(super) fn as_json(&self) -> String {
        let members: Vec<Value> = self
            .members
            .iter()
            .map(|(member, canary, became)| {
                json!({
                    "member": member.name,
                    "target": member.target.name(),
                    "canary": canary,
                    "status": became.verdict(),
                    "fine": became.is_fine(),
                    "milliseconds": became.milliseconds(),
                    "result": became.report().map(|report| &report.json),
                    "error": became.error().map(error_json),
                })
            })
            .collect();
        let counts: serde_json::Map<String, Value> = self
            .counted()
            .into_iter()
            .map(|(verdict, count)| (verdict.to_owned(), count.into()))
            .collect();
        let value = json!({
            "schema": "pum/fleet/1",
            "command": self.command,
            "fine": self.is_fine(),
            "complete": !self.is_cut_short(),
            "counts": counts,
            "members": members,
        });
        terminal::json(&format!("{value:#}\n"))
    }
}

/// All that an error has to say.
fn error_json(error: &Error) -> Value {
    let server = error.server();
    json!({
        "message": error.message(),
        "sqlstate": error.sqlstate().filter(|sqlstate| !sqlstate.is_empty()),
        "detail": server.and_then(|server| server.detail.as_deref()),
        "server_hint": server.and_then(|server| server.hint.as_deref()),
        "context": server.and_then(|server| server.context.as_deref()),
        "hint": error.hint(),
        "state": error.state(),
        "location": error.location().map(|place| json!({
            "path": place.path.to_string_lossy(),
            "line": place.line,
            "column": place.column,
        })),
    })
}

/// A message that fits into a table; the whole was told when it came.
fn short(message: &str) -> String {
    const MOST: usize = 80;
    if message.chars().count() <= MOST {
        return message.to_owned();
    }
    let cut: String = message.chars().take(MOST - 1).collect();
    format!("{cut}…")
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
