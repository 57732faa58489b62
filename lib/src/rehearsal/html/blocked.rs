//! Who is kept out of which relation, and by which statement.

use super::timeline::mode_in_words;
use super::{ROWS, Where, class, waiter, whom};
use crate::rehearsal::evidence::{Evidence, HeldLock};
use crate::rehearsal::text::{blocks, duration, lasted};
use crate::report::escape::escape;

/// How many relations are told unfolded.
const UNFOLDED: usize = 10;

pub(super) struct Blocked {
    pub(super) shown: Vec<Block>,
    pub(super) folded: Vec<Block>,
    pub(super) more: usize,
}

/// Who is kept out of a relation, and for how long.
pub(super) struct Block {
    pub(super) relation: String,
    pub(super) held: Vec<Held>,
    pub(super) waits: Vec<String>,
}

pub(super) struct Held {
    pub(super) class: &'static str,
    pub(super) whom: &'static str,
    pub(super) duration: String,
    pub(super) mode: String,
    pub(super) by: Where,
}

impl Blocked {
    /// The longest first.
    pub(super) fn of(evidence: &Evidence) -> Blocked {
        let mut relations: Vec<(&str, Vec<&HeldLock>)> = Vec::new();
        for lock in blocks(evidence) {
            match relations.iter_mut().find(|(relation, _)| *relation == lock.relation) {
                Some((_, locks)) => locks.push(lock),
                None => relations.push((&lock.relation, vec![lock])),
            }
        }
        let more = relations.len().saturating_sub(ROWS);
        let told = relations.iter().take(ROWS);
        let mut shown: Vec<Block> = told.map(|(name, locks)| block(evidence, name, locks)).collect();
        let folded = shown.split_off(UNFOLDED.min(shown.len()));
        Blocked { shown, folded, more }
    }
}

fn block(evidence: &Evidence, relation: &str, locks: &[&HeldLock]) -> Block {
    let waits = evidence.waits.iter();
    let waits = waits.filter(|wait| wait.table == relation && wait.milliseconds > 0);
    Block {
        relation: escape(relation),
        held: locks.iter().map(|lock| Held::of(evidence, lock)).collect(),
        waits: waits
            .map(|wait| format!("a {} {}", waiter(wait.waiter), duration(wait.milliseconds)))
            .collect(),
    }
}

impl Held {
    fn of(evidence: &Evidence, lock: &HeldLock) -> Held {
        Held {
            class: class(lock.keeps_out),
            whom: whom(lock.keeps_out),
            duration: lasted(lock.milliseconds),
            mode: mode_in_words(lock),
            by: Where::of(evidence, &lock.taken_by),
        }
    }
}
