//! What a rehearsal measures: how long each step and statement took, what was locked and for how long, who waited, what
//! was rewritten, which data changed.

mod data;
mod held;
mod locks;
mod prediction;
mod probe;
mod recorder;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use data::Data;
pub use prediction::{Prediction, Unforeseen};
pub(crate) use recorder::{Recorder, first_word};

/// What was measured while the copy was upgraded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Each step, in order.
    pub steps: Vec<StepEvidence>,
    /// The locks that keep others out, on relations that were there before, by the time at which they were taken.
    pub locks: Vec<HeldLock>,
    /// How long others had to wait, measured by light readers and writers; the longest of each table.
    pub waits: Vec<Wait>,
    /// Tables and indexes that were written anew as a whole.
    pub rewrites: Vec<Rewrite>,
    /// Tables that were read as a whole by a statement that changes the structure.
    pub scans: Vec<Scan>,
    /// Tables whose rows changed, or that came or went.
    pub data: Vec<TableChange>,
    /// How many rows each table of the upgraded copy had, also those that nothing touched.
    pub rows: BTreeMap<String, u64>,
    /// Sequences whose position changed.
    pub sequences: Vec<SequenceChange>,
    /// What the static reading of the deltas says, and whether it was seen.
    pub predictions: Vec<Prediction>,
    /// Rewrites and locks that were seen, and that the static reading does not foresee.
    pub unforeseen: Vec<Unforeseen>,
    /// Bytes of temporary files.
    pub temporary_bytes: u64,
    /// Size of the copy in bytes before and after.
    pub size: [u64; 2],
    /// What was not measured, and why.
    pub not_measured: Vec<String>,
}

/// A step of the upgrade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepEvidence {
    /// The step in words, such as `1.2.0 add_meters`.
    pub step: String,
    /// Its file.
    pub path: PathBuf,
    /// When it began, in milliseconds since the upgrade did.
    pub begin: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Bytes of write-ahead log.
    pub wal_bytes: u64,
    /// The statements that took longest, or did what is listed below, in the order of the file.
    pub statements: Vec<StatementEvidence>,
    /// How many statements there are in all.
    pub statement_count: usize,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatementEvidence {
    /// Its number in the file, counted from 1.
    pub number: usize,
    /// The line of the file in which it begins.
    pub line: usize,
    /// Its beginning, in one line.
    pub text: String,
    /// When it began, in milliseconds since the upgrade did.
    pub begin: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Rows returned or affected.
    pub rows: u64,
    /// Bytes of write-ahead log.
    pub wal_bytes: u64,
}

/// Which statement of which step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The step's place in [`Evidence::steps`].
    pub step: usize,
    /// The statement's number in its file; none of a step that is not SQL.
    pub statement: Option<usize>,
    /// The line in which it begins.
    pub line: Option<usize>,
}

/// Whom a lock keeps out, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeepsOut {
    /// Other changes of the structure, and VACUUM.
    SchemaChanges,
    /// Those, and INSERT, UPDATE, DELETE.
    Writers,
    /// Everybody.
    Readers,
}

/// A lock on a relation that was there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeldLock {
    /// The relation, `schema.name` quoted as SQL has it.
    pub relation: String,
    /// The table, when the relation is its index.
    pub table: Option<String>,
    /// PostgreSQL's name of the mode, such as `AccessExclusiveLock`.
    pub mode: String,
    /// Whom it keeps out.
    pub keeps_out: KeepsOut,
    /// By what it was taken.
    pub taken_by: Place,
    /// When it was first seen, in milliseconds since the upgrade began.
    pub begin: u64,
    /// For how long it was held, in milliseconds.
    pub milliseconds: u64,
    /// Whether it was held until its transaction ended; else it was given back before.
    pub until_commit: bool,
}

/// Who waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Waiter {
    /// `SELECT ... LIMIT 1`.
    Reader,
    /// What an UPDATE of one row locks: the table, and the row.
    Writer,
}

/// The longest wait of a reader or a writer of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The table, `schema.name` quoted as SQL has it.
    pub table: String,
    /// Who waited.
    pub waiter: Waiter,
    /// What ran when the wait began.
    pub during: Place,
    /// When it began, in milliseconds since the upgrade did.
    pub begin: u64,
    /// How long it was, in milliseconds.
    pub milliseconds: u64,
}

/// A table or index that was written anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The relation, `schema.name` quoted as SQL has it.
    pub relation: String,
    /// The table, when the relation is its index.
    pub table: Option<String>,
    /// By what.
    pub by: Place,
    /// Size in bytes before.
    pub bytes: u64,
}

/// A table that was read as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// The table, `schema.name` quoted as SQL has it.
    pub table: String,
    /// By what.
    pub by: Place,
    /// Size in bytes before.
    pub bytes: u64,
}

/// What became of the rows of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TableChange {
    /// The table, `schema.name` quoted as SQL has it.
    pub table: String,
    /// Rows before; none when the table was not there.
    pub rows_before: Option<u64>,
    /// Rows after; none when the table is gone.
    pub rows_after: Option<u64>,
    /// Columns on both sides whose values are not the same, where there are as many rows as before.
    pub columns_changed: Vec<String>,
    /// Columns that are gone, with how many rows had a value in them.
    pub columns_dropped: Vec<(String, u64)>,
    /// Whether data are gone: rows, or values of a dropped column.
    pub loses: bool,
}

/// A sequence whose position changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SequenceChange {
    /// The sequence, `schema.name` quoted as SQL has it.
    pub sequence: String,
    /// The last number that it gave before; none when it gave none.
    pub before: Option<String>,
    /// The same after.
    pub after: Option<String>,
}

impl Evidence {
    /// The longest lock of each relation for each whom it keeps out, from these on, the longest first; without those that
    /// one on the same relation makes superfluous, because it keeps out more and lasts about as long.
    pub fn longest_locks(&self, keeps_out: KeepsOut) -> Vec<&HeldLock> {
        let mut longest: BTreeMap<(&str, KeepsOut), &HeldLock> = BTreeMap::new();
        for lock in self.locks.iter().filter(|lock| lock.keeps_out >= keeps_out) {
            let known = longest.entry((&lock.relation, lock.keeps_out)).or_insert(lock);
            if known.milliseconds < lock.milliseconds {
                *known = lock;
            }
        }
        let is_superfluous = |lock: &HeldLock| {
            let stronger = longest.range((&*lock.relation, lock.keeps_out)..=(&*lock.relation, KeepsOut::Readers));
            stronger
                .skip(1)
                .any(|(_, other)| other.milliseconds >= lock.milliseconds * 9 / 10)
        };
        let mut longest: Vec<&HeldLock> = longest.values().copied().filter(|lock| !is_superfluous(lock)).collect();
        longest.sort_by_key(|lock| (std::cmp::Reverse(lock.milliseconds), lock.table.is_some()));
        longest
    }

    /// How long the upgrade took, in milliseconds.
    pub fn milliseconds(&self) -> u64 {
        self.steps.iter().map(|step| step.milliseconds).sum()
    }

    /// Bytes of write-ahead log in all.
    pub fn wal_bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.wal_bytes).sum()
    }
}
