//! What comes first: the verdict, what was rehearsed, and what a reader in a hurry must know.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::rehearsal::contract::{Contract, told};
use crate::rehearsal::copy::CopyMethod;
use crate::rehearsal::crash::Crashes;
use crate::rehearsal::evidence::{Evidence, HeldLock, KeepsOut, TableChange};
use crate::rehearsal::text::{bytes, change, crashed, duration};
use crate::report::Report;
use crate::report::escape::escape;
use crate::report::page::{Moment, moment, thousands};

/// How many of a kind the verdict names.
const NAMED: usize = 10;

pub(super) struct Verdict {
    pub(super) clean: bool,
    pub(super) title: &'static str,
    pub(super) lead: String,
    /// Tables that lose data, each in a sentence.
    pub(super) of_a_part: bool,
    pub(super) lost: Vec<String>,
    pub(super) more_lost: usize,
    /// What came of killing the upgrade and running it again, where it is otherwise.
    pub(super) crashed: Vec<String>,
    pub(super) more_crashed: usize,
    pub(super) warnings: Vec<String>,
}

pub(super) struct Facts {
    pub(super) production: String,
    pub(super) server: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) copied: Option<Moment>,
    pub(super) age: String,
    /// How it was copied.
    pub(super) way: &'static str,
    pub(super) pum: String,
    pub(super) id: String,
    pub(super) baseline: String,
}

pub(super) struct Figure {
    pub(super) value: String,
    pub(super) label: String,
}

impl Verdict {
    pub(super) fn of(contract: &Contract, report: Option<&Report>, losses: &[&TableChange]) -> Verdict {
        let converges = contract.crashes.as_ref().is_none_or(Crashes::converge);
        let equal = report.map_or(contract.clean || !converges, Report::behaves_the_same);
        let ways = match report.map(Report::total) {
            None => String::new(),
            Some(1) => " in 1 way".to_owned(),
            Some(total) => format!(" in {} ways", thousands(total)),
        };
        let mut lead = match (equal, report) {
            (true, None) => String::new(),
            (true, Some(report)) if report.same() => {
                "It equals the expected database in everything that was compared.".to_owned()
            }
            (true, Some(_)) => format!(
                "It differs from the expected database{ways}, none of which changes how it behaves for its users."
            ),
            (false, _) => format!("It differs from the expected database{ways}."),
        };
        if !contract.clean {
            lead.push_str(" pum does not upgrade production on this rehearsal.");
        }
        let title = match (contract.clean, equal) {
            (true, _) => "The upgraded copy is what it must be",
            (false, true) => "An upgrade that is killed and run again does not come to the same",
            (false, false) => "The upgraded copy is not what it must be",
        };
        if equal && !contract.clean {
            lead = format!("Nobody disturbed the upgrade of the copy. {lead}");
        }
        let nothing = if contract.steps.is_empty() {
            "Nothing was due. "
        } else {
            ""
        };
        let points = contract.crashes.iter().flat_map(|crashes| &crashes.points);
        let crashed: Vec<String> = points.filter_map(|point| crashed(&contract.evidence, point)).collect();
        let rows = contract.copy.lacks().map(|lacks| escape(&format!("{lacks}.")));
        let told = report.iter().flat_map(|report| report.warnings());
        Verdict {
            clean: contract.clean,
            title,
            lead: format!("{nothing}{}", lead.trim_start()),
            of_a_part: contract.copy.lacks().is_some(),
            lost: losses.iter().take(NAMED).copied().map(change).collect(),
            more_lost: losses.len().saturating_sub(NAMED),
            more_crashed: crashed.len().saturating_sub(NAMED),
            crashed: crashed.into_iter().take(NAMED).collect(),
            warnings: rows.into_iter().chain(told.map(|warning| escape(warning))).collect(),
        }
    }
}

impl Facts {
    pub(super) fn of(contract: &Contract, now: Option<SystemTime>) -> Facts {
        let version = |version: &Option<String>| version.as_deref().map_or_else(|| "none".to_owned(), escape);
        let seconds = u64::try_from(contract.copied).ok().filter(|seconds| *seconds > 0);
        let copied = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let age = copied.and_then(|copied| now?.duration_since(copied).ok());
        Facts {
            production: escape(&contract.production),
            server: escape(&contract.server.version),
            from: version(&contract.from),
            to: version(&contract.to),
            copied: copied.and_then(moment),
            age: age.map(told).unwrap_or_default(),
            way: match (contract.copy.method, contract.copy.schema_only) {
                (CopyMethod::Auto, _) => "",
                (CopyMethod::Restore, true) => "dumped and restored without rows",
                (CopyMethod::Restore, false) if contract.copy.sampled.is_some() => {
                    "dumped and restored with a sample of the rows of large tables"
                }
                (CopyMethod::Restore, false) => "dumped and restored",
                (CopyMethod::Template, _) => "as a template, in its own server",
                (CopyMethod::Physical, _) => "with pg_basebackup",
            },
            pum: escape(&contract.pum),
            id: contract.id(),
            baseline: contract.baseline.as_deref().map(escape).unwrap_or_default(),
        }
    }
}

/// Nothing, when nothing was measured.
pub(super) fn figures(evidence: &Evidence) -> Vec<Figure> {
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
            // Who uses a table uses its indexes.
            let relation = escape(lock.table.as_ref().unwrap_or(&lock.relation));
            figure(longest, &format!("is the longest that {who} are kept out: {relation}"))
        }
        None => figure("0 ms".to_owned(), &format!("is how long {who} are kept out")),
    };
    let [readers, writers] =
        [KeepsOut::Readers, KeepsOut::Writers].map(|keeps_out| evidence.longest_locks(keeps_out).first().copied());
    let mut figures = vec![figure(
        duration(evidence.milliseconds()),
        "is what the upgrade took on the copy",
    )];
    if readers == writers {
        figures.push(kept(readers, "readers and writers"));
    } else {
        figures.extend([kept(readers, "readers"), kept(writers, "writers")]);
    }
    figures.push(figure(bytes(evidence.wal_bytes()), "of write-ahead log are written"));
    figures
}
