//! What was measured, for a person in a terminal: what hurts most first.

use std::fmt::Write;

use super::contract::Contract;
use super::crash::CrashPoint;
use super::evidence::{Evidence, HeldLock, KeepsOut, Place, Prediction, TableChange, Wait, Waiter};
use crate::hazard::Effect;
use crate::report::escape::escape;
use crate::report::page::thousands;

/// How many of a kind are told.
const TOLD: usize = 10;

impl Contract {
    /// What the upgrade did to the copy: time, locks, waits, rewrites, data. Texts from databases and files are escaped.
    pub fn to_text(&self) -> String {
        let evidence = &self.evidence;
        let mut text = String::new();
        if evidence.steps.is_empty() {
            return text;
        }
        let _ = writeln!(
            text,
            "On the copy the upgrade took {}, wrote {} of write-ahead log{}, and changed its size from {} to {}.",
            duration(evidence.milliseconds()),
            bytes(evidence.wal_bytes()),
            match evidence.temporary_bytes {
                0 => String::new(),
                written => format!(" and {} of temporary files", bytes(written)),
            },
            bytes(evidence.size[0]),
            bytes(evidence.size[1])
        );
        if let Some(crashes) = &self.crashes {
            let points = crashes.points.iter();
            let bad = points.clone().filter_map(|point| crashed(evidence, point));
            list(&mut text, "NOT SAFE", bad);
            let good = points.filter(|point| point.problem.is_none()).count();
            let told = format!(
                "in {good} {}, and run again: it came to the same",
                if good == 1 { "step" } else { "steps" }
            );
            list(
                &mut text,
                "killed",
                (good > 0)
                    .then_some(told)
                    .into_iter()
                    .chain(crashes.not_tried.iter().map(|what| escape(what))),
            );
        }
        list(
            &mut text,
            "DATA LOST",
            evidence.data.iter().filter(|change| change.loses).map(change),
        );
        locks(&mut text, evidence);
        waits(&mut text, evidence);
        list(
            &mut text,
            "written anew",
            largest(&evidence.rewrites, |rewrite| rewrite.bytes)
                .into_iter()
                .map(|rewrite| {
                    // A copy without rows has nothing to write.
                    let size = match rewrite.bytes {
                        0 => String::new(),
                        size => format!("{}, ", bytes(size)),
                    };
                    format!("{}, {size}by {}", escape(&rewrite.relation), evidence.told(&rewrite.by))
                }),
        );
        list(
            &mut text,
            "read whole",
            largest(&evidence.scans, |scan| scan.bytes).into_iter().map(|scan| {
                format!(
                    "{}, {}, by {}",
                    escape(&scan.table),
                    bytes(scan.bytes),
                    evidence.told(&scan.by)
                )
            }),
        );
        list(
            &mut text,
            "data changed",
            evidence.data.iter().filter(|change| !change.loses).map(change),
        );
        list(
            &mut text,
            "sequences moved",
            evidence.sequences.iter().map(|moved| {
                let place = |place: &Option<String>| place.clone().unwrap_or_else(|| "unused".to_owned());
                format!(
                    "{}: {} → {}",
                    escape(&moved.sequence),
                    place(&moved.before),
                    place(&moved.after)
                )
            }),
        );
        predictions(&mut text, evidence);
        list(
            &mut text,
            "not measured",
            evidence.not_measured.iter().map(|what| escape(what)),
        );
        text
    }
}

/// What is otherwise after an upgrade that was killed, in a sentence; escaped. None when it came to the same.
pub(super) fn crashed(evidence: &Evidence, point: &CrashPoint) -> Option<String> {
    let problem = point.problem.as_deref()?;
    let step = evidence.steps.get(point.step).map_or("?", |step| &step.step);
    Some(format!(
        "killed in {} after statement {}, and run again: {}",
        escape(step),
        point.statement,
        escape(problem)
    ))
}

/// The longest locks of each relation that keep writers out, the longest first. An index whose table is among them is not
/// told.
pub(super) fn blocks(evidence: &Evidence) -> Vec<&HeldLock> {
    let locks = evidence.longest_locks(KeepsOut::Writers);
    let is_listed = |table: &String| locks.iter().any(|lock| lock.relation == *table);
    let told = |lock: &&HeldLock| !lock.table.as_ref().is_some_and(is_listed);
    locks.iter().copied().filter(told).collect()
}

fn locks(text: &mut String, evidence: &Evidence) {
    let locks = blocks(evidence);
    let lock = |lock: &&HeldLock| {
        format!(
            "{}, {}: {} wait, since {}",
            escape(&lock.relation),
            lasted(lock.milliseconds),
            match lock.keeps_out {
                KeepsOut::Readers => "readers and writers",
                _ => "writers",
            },
            evidence.told(&lock.taken_by)
        )
    };
    list(text, "locked", locks.iter().map(lock));
}

fn waits(text: &mut String, evidence: &Evidence) {
    let mut waits: Vec<_> = evidence.waits.iter().filter(|wait| wait.milliseconds > 0).collect();
    waits.sort_by_key(|wait| std::cmp::Reverse(wait.milliseconds));
    // Readers and writers mostly wait for the same.
    let mut same: Vec<Vec<&Wait>> = Vec::new();
    for wait in waits {
        let place = |other: &Wait| (&other.table, &other.during) == (&wait.table, &wait.during);
        match same.iter_mut().find(|waits| waits.iter().any(|other| place(other))) {
            Some(waits) => waits.push(wait),
            None => same.push(vec![wait]),
        }
    }
    let waits = same.iter().filter_map(|waits| {
        let first = waits.first()?;
        let who = waits.iter().map(|wait| {
            let who = match wait.waiter {
                Waiter::Reader => "reader",
                Waiter::Writer => "writer",
            };
            format!("a {who} {}", duration(wait.milliseconds))
        });
        let who: Vec<String> = who.collect();
        let during = evidence.told(&first.during);
        Some(format!("{}: {}, during {during}", escape(&first.table), who.join(", ")))
    });
    list(text, "waited", waits);
}

/// What the static reading says, first what was seen.
fn predictions(text: &mut String, evidence: &Evidence) {
    let told = |(prediction, cost): (&Prediction, Option<u64>)| {
        let seen = match (prediction.seen, cost) {
            // What is lost is lost however long it took.
            (Some(true), _) if prediction.effects == [Effect::LosesData] => "seen on the copy".to_owned(),
            (Some(true), Some(cost)) => format!("seen on the copy for {}", lasted(cost)),
            (Some(true), None) => "seen on the copy".to_owned(),
            (Some(false), _) => "not seen on the copy".to_owned(),
            (None, _) => "not measured on the copy".to_owned(),
        };
        format!(
            "{}: {}, {seen}:\n  {:13}   {}",
            evidence.told(&prediction.by),
            escape(&prediction.rule),
            "",
            escape(&prediction.message),
        )
    };
    list(text, "hazards", evidence.open_predictions().into_iter().map(told));
    list(
        text,
        "unforeseen",
        evidence.unforeseen.iter().map(|seen| {
            let cost = evidence.cost(&seen.by);
            format!(
                "{}: {} of {}{}",
                evidence.told(&seen.by),
                seen.effect,
                escape(&seen.relation),
                cost.map(|cost| format!(" for {}", lasted(cost))).unwrap_or_default()
            )
        }),
    );
    let allowed = evidence.predictions.iter().filter_map(|prediction| {
        let reason = prediction.allowed.as_deref()?;
        Some(format!(
            "{}: {}: {}",
            evidence.told(&prediction.by),
            prediction.rule,
            escape(reason)
        ))
    });
    list(text, "allowed", allowed);
}

/// What became of the rows of a table, in a sentence; escaped.
pub(super) fn change(change: &TableChange) -> String {
    let mut text = escape(&change.table);
    let _ = match (change.rows_before, change.rows_after) {
        (Some(before), None) => write!(text, " is gone with its {}", rows(before)),
        (None, after) => write!(text, " is new, with {}", rows(after.unwrap_or(0))),
        (Some(before), Some(after)) if before == after => write!(text, ": {}", rows(after)),
        (Some(before), Some(after)) => {
            let _ = write!(text, ": {} → {}", thousands(before), rows(after));
            match before.checked_sub(after) {
                Some(fewer) => write!(text, ", {} fewer", thousands(fewer)),
                None => Ok(()),
            }
        }
    };
    for (column, values) in &change.columns_dropped {
        let _ = write!(
            text,
            ", column {} is gone with {} values",
            escape(column),
            thousands(values)
        );
    }
    if !change.columns_changed.is_empty() {
        let columns: Vec<String> = change.columns_changed.iter().map(|column| escape(column)).collect();
        let _ = write!(text, ", other values in {}", columns.join(", "));
    }
    text
}

fn rows(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        _ => format!("{} rows", thousands(count)),
    }
}

/// The largest first.
pub(super) fn largest<T>(items: &[T], size: impl Fn(&T) -> u64) -> Vec<&T> {
    let mut items: Vec<&T> = items.iter().collect();
    items.sort_by_key(|item| std::cmp::Reverse(size(item)));
    items
}

/// Lines under a heading; nothing where there are none.
fn list(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    for (number, line) in lines.iter().take(TOLD).enumerate() {
        let heading = if number == 0 { heading } else { "" };
        let _ = writeln!(text, "  {heading:13} {line}");
    }
    if lines.len() > TOLD {
        let _ = writeln!(text, "  {:13} ... and {} more", "", lines.len() - TOLD);
    }
}

impl Evidence {
    /// A place in words, such as `1.2.0 add_meters, line 7`.
    pub(super) fn told(&self, place: &Place) -> String {
        let step = self.steps.get(place.step).map_or("?", |step| &step.step);
        match place.line {
            Some(line) => format!("{}, line {line}", escape(step)),
            None => escape(step),
        }
    }
}

/// How long something lasted that was seen, even when no millisecond passed.
pub(super) fn lasted(milliseconds: u64) -> String {
    match milliseconds {
        0 => "under 1 ms".to_owned(),
        _ => duration(milliseconds),
    }
}

/// Such as `12 ms`, `3.4 s`, `5 min 6 s`, `7 h 8 min`.
pub(super) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds / 100 % 10),
        3_600_000.. => format!("{} h {} min", milliseconds / 3_600_000, milliseconds / 60_000 % 60),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds / 1_000 % 60),
    }
}

/// Such as `512 B`, `3.4 MB` (powers of 1000).
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), "B");
    for next in UNITS {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1_000;
        unit = next;
    }
    if unit == "B" || tenths >= 1_000 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_told_in_their_unit() {
        assert_eq!(
            [bytes(0), bytes(999), bytes(1_000), bytes(123_456), bytes(2_345_678)],
            ["0 B", "999 B", "1.0 kB", "123 kB", "2.3 MB"]
        );
        assert_eq!(
            [duration(5), duration(1_234), duration(61_000), duration(7_320_000)],
            ["5 ms", "1.2 s", "1 min 1 s", "2 h 2 min"]
        );
    }
}
