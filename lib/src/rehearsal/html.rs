//! The report of a rehearsal as a page of HTML, for the person who decides whether production is upgraded: the verdict
//! first, then what was measured, then what production has to expect. All of it comes from the file alone.
//!
//! Names and texts are escaped, and the page's policy is as strict, as on the page of a comparison.

mod blocked;
mod forecast;
mod foretold;
mod timeline;
mod touched;
mod verdict;

use askama::Template;

use self::blocked::Blocked;
use self::forecast::{Estimate, estimates};
use self::foretold::{Foretold, Preflown};
use self::timeline::Timeline;
use self::touched::LastTouched;
use self::verdict::{Facts, Figure, Verdict, figures};
use super::contract::Contract;
use super::copy::CopyMethod;
use super::crash::Crashes;
use super::evidence::{Evidence, KeepsOut, Place, StatementEvidence, StepEvidence, TableChange, Waiter};
use super::text::{bytes, change, duration, largest};
use crate::report::Report;
use crate::report::escape::escape;
use crate::report::html::HtmlOptions;
use crate::report::html::differences::{self, Notes, places};
use crate::report::page::{SCRIPT, policy, thousands};

const STYLE: &str = concat!(
    include_str!("../../templates/report.css"),
    include_str!("../../templates/rehearsal.css")
);

/// How many statements of a step are told, the slowest.
const SLOWEST: usize = 10;
/// How many rows a table of the page has at most.
const ROWS: usize = 500;

#[derive(Template)]
#[template(path = "rehearsal.html")]
struct Page {
    policy: String,
    style: &'static str,
    script: &'static str,
    version: &'static str,
    verdict: Verdict,
    facts: Facts,
    figures: Vec<Figure>,
    steps: Vec<Step>,
    took: String,
    comparison: Option<Comparison>,
    timeline: Option<Timeline>,
    blocked: Blocked,
    rewrites: Listed<Written>,
    scans: Listed<Written>,
    losses: Listed<String>,
    changes: Listed<Change>,
    sequences: Listed<[String; 3]>,
    crashes: Option<Killed>,
    foretold: Foretold,
    estimates: Vec<Estimate>,
    preflight: Option<Preflown>,
    not_measured: Vec<String>,
    /// Whether the copy is packed, and production perhaps is not.
    packed: bool,
}

/// What came of killing the upgrade in each step.
struct Killed {
    points: usize,
    same: usize,
    not_tried: Vec<String>,
}

/// A step of the plan. Its number is its place, counted from 1.
struct Step {
    name: String,
    file: String,
    duration: String,
    /// How long its bar is, in hundredths of the longest.
    bar: String,
    wal: String,
    count: usize,
    slowest: Vec<Statement>,
}

struct Statement {
    line: usize,
    duration: String,
    rows: String,
    wal: String,
    text: String,
}

struct Comparison {
    total: usize,
    count: String,
    expected: String,
    schemas: Vec<differences::Place>,
    notes: Notes,
}

/// The first of a list, and how many more there are.
struct Listed<T> {
    rows: Vec<T>,
    more: usize,
}

/// Which statement did it.
struct Where {
    /// The step, counted from 1.
    step: usize,
    words: String,
    file: String,
    text: String,
}

struct Written {
    relation: String,
    size: String,
    by: Where,
}

struct Change {
    table: String,
    before: String,
    after: String,
    what: String,
}

impl<T> Listed<T> {
    fn of<I>(items: impl IntoIterator<Item = I>, row: impl Fn(I) -> T) -> Listed<T> {
        let mut items = items.into_iter();
        let rows = items.by_ref().take(ROWS).map(row).collect();
        Listed {
            rows,
            more: items.count(),
        }
    }
}

impl Contract {
    /// The report as a page of HTML in one file, which loads nothing: the verdict, the plan with its times, what differs,
    /// who was kept out of which table and when, what was written anew, what became of the data, a forecast for
    /// production, and what was not measured. Names and texts from databases and files are escaped, and the page's policy
    /// lets no script run but its own.
    pub fn to_html(&self, options: &HtmlOptions) -> String {
        let evidence = &self.evidence;
        let report = Report::of_json(&self.comparison);
        let (losses, changes): (Vec<_>, Vec<_>) = evidence.data.iter().partition(|change| change.loses);
        let page = Page {
            policy: policy(STYLE, SCRIPT),
            style: STYLE,
            script: SCRIPT,
            version: env!("CARGO_PKG_VERSION"),
            verdict: Verdict::of(self, report.as_ref(), &losses),
            facts: Facts::of(self, options.moment),
            figures: figures(evidence),
            steps: self.page_steps(),
            took: duration(evidence.milliseconds()),
            comparison: report.as_ref().map(|report| comparison(report, evidence)),
            timeline: Timeline::of(evidence),
            blocked: Blocked::of(evidence),
            rewrites: Listed::of(largest(&evidence.rewrites, |rewrite| rewrite.bytes), |rewrite| {
                let table = rewrite.table.as_deref().map(escape);
                Written {
                    relation: match table {
                        Some(table) => format!("{}, index of {table}", escape(&rewrite.relation)),
                        None => escape(&rewrite.relation),
                    },
                    size: bytes(rewrite.bytes),
                    by: Where::of(evidence, &rewrite.by),
                }
            }),
            scans: Listed::of(largest(&evidence.scans, |scan| scan.bytes), |scan| Written {
                relation: escape(&scan.table),
                size: bytes(scan.bytes),
                by: Where::of(evidence, &scan.by),
            }),
            losses: Listed::of(losses, change),
            changes: Listed::of(changes, Change::of),
            sequences: Listed::of(&evidence.sequences, |moved| {
                let place = |place: &Option<String>| place.as_deref().map_or_else(|| "unused".to_owned(), escape);
                [escape(&moved.sequence), place(&moved.before), place(&moved.after)]
            }),
            crashes: self.crashes.as_ref().map(killed),
            foretold: Foretold::of(evidence),
            estimates: estimates(self),
            preflight: self.preflight.as_ref().map(Preflown::of),
            not_measured: evidence.not_measured.iter().map(|what| escape(what)).collect(),
            packed: !matches!(self.copy.method, CopyMethod::Template | CopyMethod::Physical),
        };
        // The template only writes into a string: this cannot fail.
        page.render().unwrap_or_default()
    }

    fn page_steps(&self) -> Vec<Step> {
        let measured = |place: usize| self.evidence.steps.get(place);
        let milliseconds = |(place, milliseconds): (usize, u64)| match measured(place) {
            Some(step) => step.milliseconds,
            None => milliseconds,
        };
        let times = self
            .steps
            .iter()
            .map(|step| step.milliseconds)
            .enumerate()
            .map(milliseconds);
        let times: Vec<u64> = times.collect();
        let longest = times.iter().copied().max().unwrap_or(0);
        let steps = self.steps.iter().zip(times).enumerate();
        steps
            .map(|(place, (step, time))| Step {
                name: escape(&step.step),
                file: escape(&step.path.display().to_string()),
                duration: duration(time),
                bar: percent(time, longest),
                wal: measured(place).map(|step| bytes(step.wal_bytes)).unwrap_or_default(),
                count: measured(place).map(|step| step.statement_count).unwrap_or_default(),
                slowest: measured(place).map(slowest).unwrap_or_default(),
            })
            .collect()
    }
}

fn killed(crashes: &Crashes) -> Killed {
    Killed {
        points: crashes.points.len(),
        same: crashes.points.iter().filter(|point| point.problem.is_none()).count(),
        not_tried: crashes.not_tried.iter().map(|what| escape(what)).collect(),
    }
}

fn slowest(step: &StepEvidence) -> Vec<Statement> {
    let told = largest(&step.statements, |statement| statement.milliseconds);
    let statement = |statement: &StatementEvidence| Statement {
        line: statement.line,
        duration: duration(statement.milliseconds),
        rows: thousands(statement.rows),
        wal: bytes(statement.wal_bytes),
        text: escape(&statement.text),
    };
    told.into_iter().take(SLOWEST).map(statement).collect()
}

fn comparison(report: &Report, evidence: &Evidence) -> Comparison {
    let touched = LastTouched::of(evidence);
    let only = ["only in the copy", "only in the expected database"];
    let (schemas, _) = places(report, only, |schema, name| touched.by(schema, name));
    let total = report.total();
    Comparison {
        total,
        count: thousands(total),
        expected: escape(&report.right().target),
        schemas,
        notes: Notes::of(report),
    }
}

impl Where {
    fn of(evidence: &Evidence, place: &Place) -> Where {
        let step = evidence.steps.get(place.step);
        let statement = evidence.statement(place);
        Where {
            step: place.step + 1,
            words: evidence.told(place),
            file: step
                .map(|step| escape(&step.path.display().to_string()))
                .unwrap_or_default(),
            text: statement.map(|statement| escape(&statement.text)).unwrap_or_default(),
        }
    }
}

impl Change {
    fn of(change: &TableChange) -> Change {
        let count = |rows: Option<u64>| rows.map(thousands);
        let what = match change.rows_before {
            None => "new".to_owned(),
            Some(_) if change.columns_changed.is_empty() => String::new(),
            Some(_) => {
                let columns: Vec<String> = change.columns_changed.iter().map(|column| escape(column)).collect();
                format!("other values in {}", columns.join(", "))
            }
        };
        Change {
            table: escape(&change.table),
            before: count(change.rows_before).unwrap_or_default(),
            after: count(change.rows_after).unwrap_or_default(),
            what,
        }
    }
}

fn class(keeps_out: KeepsOut) -> &'static str {
    match keeps_out {
        KeepsOut::Readers => "readers",
        KeepsOut::Writers => "writers",
        KeepsOut::SchemaChanges => "changes",
    }
}

fn whom(keeps_out: KeepsOut) -> &'static str {
    match keeps_out {
        KeepsOut::Readers => "readers and writers",
        KeepsOut::Writers => "writers",
        KeepsOut::SchemaChanges => "schema changes",
    }
}

fn waiter(waiter: Waiter) -> &'static str {
    match waiter {
        Waiter::Reader => "reader",
        Waiter::Writer => "writer",
    }
}

/// A part of a whole, as SVG takes it.
fn percent(part: u64, whole: u64) -> String {
    // Only to be drawn: what is lost beyond 2^53 is less than a pixel.
    format!("{:.3}%", part as f64 * 100.0 / whole.max(1) as f64)
}

#[cfg(test)]
mod tests;
