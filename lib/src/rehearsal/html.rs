//! The report of a rehearsal as a page of HTML, for the person who decides whether production is upgraded: the verdict
//! first, then what was measured, then what production has to expect. All of it comes from the file alone.
//!
//! Names and texts are escaped, and the page's policy is as strict, as on the page of a comparison.

mod forecast;
mod timeline;
mod touched;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use askama::Template;

use self::forecast::{Estimate, estimates};
use self::timeline::{Timeline, mode_in_words};
use self::touched::LastTouched;
use super::contract::{Contract, told};
use super::evidence::{Evidence, HeldLock, KeepsOut, Place, StatementEvidence, StepEvidence, TableChange, Waiter};
use super::text::{blocks, bytes, change, duration};
use crate::preflight::{Preflight, Severity};
use crate::report::Report;
use crate::report::escape::escape;
use crate::report::html::HtmlOptions;
use crate::report::html::differences::{self, Notes, places};
use crate::report::page::{Moment, SCRIPT, moment, policy, thousands};

const STYLE: &str = concat!(
    include_str!("../../templates/report.css"),
    include_str!("../../templates/rehearsal.css")
);

/// How many statements of a step are told, the slowest.
const SLOWEST: usize = 10;
/// How many rows a table of the page has at most.
const ROWS: usize = 500;
/// How many tables are told unfolded that others are kept out of.
const UNFOLDED: usize = 10;
/// How many tables that lose data the verdict names.
const NAMED: usize = 10;

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
    blocks: [Vec<Block>; 2],
    more_blocks: usize,
    rewrites: Listed<Written>,
    scans: Listed<Written>,
    losses: Listed<String>,
    changes: Listed<Change>,
    sequences: Listed<[String; 3]>,
    estimates: Vec<Estimate>,
    preflight: Option<Preflown>,
    not_measured: Vec<String>,
}

struct Verdict {
    clean: bool,
    title: &'static str,
    lead: String,
    /// Tables that lose data, each in a sentence.
    lost: Vec<String>,
    more_lost: usize,
    warnings: Vec<String>,
}

struct Facts {
    production: String,
    server: String,
    from: String,
    to: String,
    copied: Option<Moment>,
    age: String,
    pum: String,
    id: String,
    baseline: String,
}

struct Figure {
    value: String,
    label: String,
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

/// Who is kept out of a relation, and for how long.
struct Block {
    relation: String,
    held: Vec<Held>,
    waits: Vec<String>,
}

struct Held {
    class: &'static str,
    whom: &'static str,
    duration: String,
    mode: String,
    by: Where,
}

struct Written {
    relation: String,
    size: String,
    by: Where,
}

/// What would disturb the upgrade of production.
struct Preflown {
    concerns: Vec<Concern>,
    not_seen: Vec<[String; 3]>,
}

struct Concern {
    class: &'static str,
    word: &'static str,
    what: String,
    effect: String,
    advice: String,
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
        let mut blocked = block_list(evidence);
        let folded = blocked.rows.split_off(UNFOLDED.min(blocked.rows.len()));
        let page = Page {
            policy: policy(STYLE, SCRIPT),
            style: STYLE,
            script: SCRIPT,
            version: env!("CARGO_PKG_VERSION"),
            verdict: self.heading(report.as_ref(), &losses),
            facts: self.facts(options.moment),
            figures: figures(evidence),
            steps: self.page_steps(),
            took: duration(evidence.milliseconds()),
            comparison: report.as_ref().map(|report| comparison(report, evidence)),
            timeline: Timeline::of(evidence),
            more_blocks: blocked.more,
            blocks: [blocked.rows, folded],
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
            estimates: estimates(self),
            preflight: self.preflight.as_ref().map(Preflown::of),
            not_measured: evidence.not_measured.iter().map(|what| escape(what)).collect(),
        };
        // The template only writes into a string: this cannot fail.
        page.render().unwrap_or_default()
    }

    fn heading(&self, report: Option<&Report>, losses: &[&TableChange]) -> Verdict {
        let ways = match report.map(Report::total) {
            None => String::new(),
            Some(1) => " in 1 way".to_owned(),
            Some(total) => format!(" in {} ways", thousands(total)),
        };
        let lead = match (self.clean, report) {
            (true, Some(report)) if report.same() => {
                "It equals the expected database in everything that was compared.".to_owned()
            }
            (true, Some(_)) => format!(
                "It differs from the expected database{ways}, none of which changes how it behaves for its users."
            ),
            (true, None) => String::new(),
            (false, Some(report)) if report.behaves_the_same() => {
                "pum does not upgrade production on this rehearsal.".to_owned()
            }
            (false, _) => format!(
                "It differs from the expected database{ways}. pum does not upgrade production on this rehearsal."
            ),
        };
        let nothing = if self.steps.is_empty() { "Nothing was due. " } else { "" };
        Verdict {
            clean: self.clean,
            title: if self.clean {
                "The upgraded copy is what it must be"
            } else {
                self.verdict()
            },
            lead: format!("{nothing}{lead}"),
            lost: losses.iter().take(NAMED).copied().map(change).collect(),
            more_lost: losses.len().saturating_sub(NAMED),
            warnings: report
                .map(|report| report.warnings().iter().map(|warning| escape(warning)).collect())
                .unwrap_or_default(),
        }
    }

    fn facts(&self, now: Option<SystemTime>) -> Facts {
        let version = |version: &Option<String>| version.as_deref().map_or_else(|| "none".to_owned(), escape);
        let seconds = u64::try_from(self.copied).ok().filter(|seconds| *seconds > 0);
        let copied = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let age = copied.and_then(|copied| now?.duration_since(copied).ok());
        Facts {
            production: escape(&self.production),
            server: escape(&self.server.version),
            from: version(&self.from),
            to: version(&self.to),
            copied: copied.and_then(moment),
            age: age.map(told).unwrap_or_default(),
            pum: escape(&self.pum),
            id: self.id(),
            baseline: self.baseline.as_deref().map(escape).unwrap_or_default(),
        }
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

/// What a reader in a hurry must know.
fn figures(evidence: &Evidence) -> Vec<Figure> {
    if evidence.steps.is_empty() {
        return Vec::new();
    }
    let figure = |value: String, label: &str| Figure {
        value,
        label: label.to_owned(),
    };
    let kept = |lock: Option<&HeldLock>, who: &str| match lock {
        Some(lock) => {
            let longest = duration(lock.milliseconds);
            let relation = escape(&lock.relation);
            figure(longest, &format!("is the longest that {who} are kept out: {relation}"))
        }
        None => figure("0 ms".to_owned(), &format!("is how long {who} are kept out")),
    };
    let [readers, writers] =
        [KeepsOut::Readers, KeepsOut::Writers].map(|keeps_out| evidence.longest_locks(keeps_out).first().copied());
    let mut figures = vec![figure(duration(evidence.milliseconds()), "is what the upgrade takes")];
    if readers == writers {
        figures.push(kept(readers, "readers and writers"));
    } else {
        figures.extend([kept(readers, "readers"), kept(writers, "writers")]);
    }
    figures.push(figure(bytes(evidence.wal_bytes()), "of write-ahead log are written"));
    figures
}

fn block_list(evidence: &Evidence) -> Listed<Block> {
    let readers = evidence.longest_locks(KeepsOut::Readers);
    Listed::of(blocks(evidence), |writers: &HeldLock| {
        let reader = readers.iter().copied().find(|lock| lock.relation == writers.relation);
        let mut held: Vec<Held> = reader.map(|lock| Held::of(evidence, lock)).into_iter().collect();
        if reader.is_none_or(|lock| lock.milliseconds < writers.milliseconds) {
            held.push(Held::of(evidence, writers));
        }
        let waits = evidence.waits.iter();
        let waits = waits.filter(|wait| wait.table == writers.relation && wait.milliseconds > 0);
        Block {
            relation: escape(&writers.relation),
            held,
            waits: waits
                .map(|wait| format!("a {} {}", waiter(wait.waiter), duration(wait.milliseconds)))
                .collect(),
        }
    })
}

impl Held {
    fn of(evidence: &Evidence, lock: &HeldLock) -> Held {
        Held {
            class: class(lock.keeps_out),
            whom: whom(lock.keeps_out),
            duration: duration(lock.milliseconds),
            mode: mode_in_words(lock),
            by: Where::of(evidence, &lock.taken_by),
        }
    }
}

impl Where {
    fn of(evidence: &Evidence, place: &Place) -> Where {
        let step = evidence.steps.get(place.step);
        let statement = step.and_then(|step| {
            let mut statements = step.statements.iter();
            statements.find(|statement| Some(statement.number) == place.statement)
        });
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

impl Preflown {
    fn of(found: &Preflight) -> Preflown {
        let concern = |concern: &crate::Concern| {
            let (class, word) = match concern.severity {
                Severity::Blocks => ("readers", "blocks"),
                Severity::Delays => ("writers", "delays"),
                Severity::Know => ("changes", "to know"),
            };
            Concern {
                class,
                word,
                what: escape(&concern.what),
                effect: escape(&concern.effect),
                advice: escape(&concern.advice),
            }
        };
        let hidden = |hidden: &crate::NotSeen| {
            [
                escape(&hidden.what),
                escape(&hidden.because),
                hidden.advice.as_deref().map(escape).unwrap_or_default(),
            ]
        };
        Preflown {
            concerns: found.concerns.iter().map(concern).collect(),
            not_seen: found.not_seen.iter().map(hidden).collect(),
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

/// The largest first.
fn largest<T>(items: &[T], size: impl Fn(&T) -> u64) -> Vec<&T> {
    let mut items: Vec<&T> = items.iter().collect();
    items.sort_by_key(|item| std::cmp::Reverse(size(item)));
    items
}

/// A part of a whole, as SVG takes it.
fn percent(part: u64, whole: u64) -> String {
    // Only to be drawn: what is lost beyond 2^53 is less than a pixel.
    format!("{:.3}%", part as f64 * 100.0 / whole.max(1) as f64)
}

#[cfg(test)]
mod tests;
