//! The picture of the locks: a row for each relation, from left to right the time of the upgrade. The taller and the
//! warmer a bar, the more are kept out.

use std::collections::{BTreeMap, HashSet};

use super::{ROWS, Where, class, percent, waiter, whom};
use crate::rehearsal::evidence::{Evidence, HeldLock, KeepsOut, Waiter};
use crate::rehearsal::text::duration;
use crate::report::escape::escape;

/// How many relations are drawn, those that others are kept out of longest: as many as a sheet of paper has room for.
const DRAWN: usize = 25;
/// Heights in pixels: of a row, of the lines above the rows (numbers of steps) and below (times).
pub(super) const ROW: usize = 30;
pub(super) const HEAD: usize = 24;
const FOOT: usize = 24;
/// Where in a row the bars stand, and where the waits are marked.
const GROUND: usize = 18;
/// How much of the width lies between two numbers of steps, and between two times, in hundredths.
const APART: [u64; 2] = [3, 12];

pub(super) struct Timeline {
    pub(super) rows: Vec<Row>,
    /// Relations that are not drawn.
    pub(super) more: usize,
    pub(super) steps: Vec<Tick>,
    pub(super) times: Vec<Tick>,
    pub(super) height: usize,
    /// Where the rows end.
    pub(super) ground: usize,
    pub(super) description: String,
    pub(super) waits: bool,
    pub(super) locks: Vec<Line>,
    pub(super) more_locks: usize,
}

pub(super) struct Row {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) width: String,
    pub(super) y: usize,
    pub(super) height: usize,
    pub(super) title: String,
}

pub(super) struct Tick {
    pub(super) x: String,
    /// Empty where there is no room.
    pub(super) label: String,
    pub(super) anchor: &'static str,
}

/// A lock in words.
pub(super) struct Line {
    pub(super) relation: String,
    pub(super) class: &'static str,
    pub(super) whom: &'static str,
    pub(super) mode: String,
    pub(super) begin: String,
    pub(super) duration: String,
    pub(super) by: Where,
}

impl Timeline {
    /// None where nothing was locked and nobody waited.
    pub(super) fn of(evidence: &Evidence) -> Option<Timeline> {
        let mut relations: BTreeMap<&str, Relation<'_>> = BTreeMap::new();
        let tables: HashSet<&str> = evidence.locks.iter().map(|lock| &*lock.relation).collect();
        for lock in &evidence.locks {
            // What is kept out of an index is kept out of its table.
            let table = lock.table.as_deref().filter(|table| tables.contains(table));
            relations.entry(table.unwrap_or(&lock.relation)).or_default().add(lock);
        }
        for wait in &evidence.waits {
            let relation = relations.entry(&wait.table).or_default();
            relation.longest = relation.longest.max((true, wait.milliseconds));
            relation.begin = relation.begin.min(wait.begin);
        }
        if relations.is_empty() {
            return None;
        }
        let ends = evidence.steps.iter().map(|step| step.begin + step.milliseconds);
        let ends = ends.chain(evidence.locks.iter().map(|lock| lock.begin + lock.milliseconds));
        let ends = ends.chain(evidence.waits.iter().map(|wait| wait.begin + wait.milliseconds));
        let whole = ends.max().unwrap_or(0).max(1);
        let number = relations.len();
        let mut drawn: Vec<_> = relations.into_iter().collect();
        drawn.sort_by_key(|(_, relation)| std::cmp::Reverse(relation.longest));
        drawn.truncate(DRAWN);
        drawn.sort_by_key(|(name, relation)| (relation.begin, *name));
        let row = |(place, (name, relation)): (usize, &(&str, Relation<'_>))| Row {
            name: escape(name),
            bars: bars(evidence, name, &relation.locks, HEAD + place * ROW, whole),
        };
        let rows: Vec<Row> = drawn.iter().enumerate().map(row).collect();
        let ground = HEAD + rows.len() * ROW;
        Some(Timeline {
            more: number - rows.len(),
            steps: steps(evidence, whole),
            times: times(whole),
            height: ground + FOOT,
            ground,
            description: description(evidence, number, whole),
            waits: !evidence.waits.is_empty(),
            locks: evidence
                .locks
                .iter()
                .take(ROWS)
                .map(|lock| Line::of(evidence, lock))
                .collect(),
            more_locks: evidence.locks.len().saturating_sub(ROWS),
            rows,
        })
    }
}

struct Relation<'a> {
    locks: Vec<&'a HeldLock>,
    begin: u64,
    /// Whether readers or writers are kept out, and the longest time of a lock.
    longest: (bool, u64),
}

impl Default for Relation<'_> {
    fn default() -> Self {
        Relation {
            locks: Vec::new(),
            begin: u64::MAX,
            longest: (false, 0),
        }
    }
}

impl<'a> Relation<'a> {
    fn add(&mut self, lock: &'a HeldLock) {
        self.locks.push(lock);
        self.begin = self.begin.min(lock.begin);
        let hurts = lock.keeps_out > KeepsOut::SchemaChanges;
        self.longest = self.longest.max((hurts, lock.milliseconds));
    }
}

impl Line {
    fn of(evidence: &Evidence, lock: &HeldLock) -> Line {
        Line {
            relation: escape(&lock.relation),
            class: class(lock.keeps_out),
            whom: whom(lock.keeps_out),
            mode: mode_in_words(lock),
            begin: duration(lock.begin),
            duration: duration(lock.milliseconds),
            by: Where::of(evidence, &lock.taken_by),
        }
    }
}

/// Such as `AccessExclusiveLock, until its transaction ended`.
pub(super) fn mode_in_words(lock: &HeldLock) -> String {
    let until = if lock.until_commit {
        "until its transaction ended"
    } else {
        "given back before its transaction ended"
    };
    format!("{}, {until}", escape(&lock.mode))
}

/// The bars of a relation, the strongest in front, and below them the longest waits that were measured.
fn bars(evidence: &Evidence, name: &str, locks: &[&HeldLock], top: usize, whole: u64) -> Vec<Bar> {
    let mut locks = locks.to_vec();
    locks.sort_by_key(|lock| lock.keeps_out);
    let lock = |lock: &HeldLock| {
        let height = match lock.keeps_out {
            KeepsOut::SchemaChanges => 4,
            KeepsOut::Writers => 8,
            KeepsOut::Readers => 13,
        };
        Bar {
            class: class(lock.keeps_out),
            x: percent(lock.begin, whole),
            width: percent(lock.milliseconds, whole),
            y: top + GROUND - height,
            height,
            title: format!(
                "{}: {} kept out for {}, since {}",
                escape(&lock.relation),
                whom(lock.keeps_out),
                duration(lock.milliseconds),
                evidence.told(&lock.taken_by)
            ),
        }
    };
    let mut bars: Vec<Bar> = locks.into_iter().map(lock).collect();
    let waits = evidence.waits.iter();
    for wait in waits.filter(|wait| wait.table == name && wait.milliseconds > 0) {
        let (class, below) = match wait.waiter {
            Waiter::Reader => ("reader", 2),
            Waiter::Writer => ("writer", 6),
        };
        bars.push(Bar {
            class,
            x: percent(wait.begin, whole),
            width: percent(wait.milliseconds, whole),
            y: top + GROUND + below,
            height: 3,
            title: format!(
                "{}: a {} waited {}, during {}",
                escape(name),
                waiter(wait.waiter),
                duration(wait.milliseconds),
                evidence.told(&wait.during)
            ),
        });
    }
    bars
}

/// Where each step begins, with its number where there is room.
fn steps(evidence: &Evidence, whole: u64) -> Vec<Tick> {
    let mut free = 0;
    let tick = |(place, begin): (usize, u64)| {
        let fits = begin * 100 >= free;
        if fits {
            free = begin * 100 + APART[0] * whole;
        }
        Tick {
            x: percent(begin, whole),
            label: if fits { (place + 1).to_string() } else { String::new() },
            anchor: "start",
        }
    };
    let begins = evidence.steps.iter().map(|step| step.begin);
    begins.enumerate().map(tick).collect()
}

/// Round times, such that their words have room.
fn times(whole: u64) -> Vec<Tick> {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    let small = [1, 2, 5, 10, 20, 50, 100, 200, 500];
    let seconds = [1, 2, 5, 10, 15, 30].map(|seconds| seconds * SECOND);
    let minutes = [1, 2, 5, 10, 15, 30].map(|minutes| minutes * MINUTE);
    let hours = [1, 2, 3, 6, 12, 24, 48, 96].map(|hours| hours * HOUR);
    let mut known = small.into_iter().chain(seconds).chain(minutes).chain(hours);
    let step = known.find(|step| step * 100 >= APART[1] * whole).unwrap_or(whole);
    let tick = |time: u64| Tick {
        x: percent(time, whole),
        label: duration(time),
        anchor: match time * 100 / whole {
            0 => "start",
            95.. => "end",
            _ => "middle",
        },
    };
    (0..=whole / step).map(|place| tick(place * step)).collect()
}

fn description(evidence: &Evidence, relations: usize, whole: u64) -> String {
    let count = match relations {
        1 => "1 relation was".to_owned(),
        _ => format!("{relations} relations were"),
    };
    let longest = match evidence.longest_locks(KeepsOut::Writers).first() {
        Some(lock) => format!(
            "The longest time that {} are kept out is {}, of {}.",
            whom(lock.keeps_out),
            duration(lock.milliseconds),
            escape(&lock.relation)
        ),
        None => "Neither readers nor writers are kept out.".to_owned(),
    };
    format!(
        "{count} locked or waited for in the {} of the upgrade. {longest} The table below tells the same in words.",
        duration(whole)
    )
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn times_on_the_axis_are_round_and_have_room() {
        let labels = |whole| times(whole).into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(235), ["0 ms", "50 ms", "100 ms", "150 ms", "200 ms"]);
        assert_eq!(labels(1), ["0 ms", "1 ms"]);
        assert_eq!(labels(60_000).len(), 7);
        for whole in [1, 7, 99, 1_234, 59_999, 3_600_000, 86_400_000, 9_999_999_999] {
            assert!((2..=9).contains(&labels(whole).len()), "{whole}: {:?}", labels(whole));
        }
    }
}
