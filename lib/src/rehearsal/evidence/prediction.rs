//! What the static reading of the deltas says, beside what was measured.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{Evidence, HeldLock, KeepsOut, Place, StatementEvidence};
use crate::hazard::{Effect, Hazards};

/// From how long on a lock that nothing foresaw is told, in milliseconds.
const LONG: u64 = 50;

/// The rule whose statements lose values, not rows or columns.
const OVERWRITES: &str = "update-without-where";

/// What the static reading says of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The rule.
    pub rule: String,
    /// Of which statement.
    pub by: Place,
    /// The relation or the like, as the statement names it.
    pub relation: Option<String>,
    /// What will happen.
    pub message: String,
    /// What to do instead.
    pub advice: Option<String>,
    /// Who is blocked and what happens to the data.
    pub effects: Vec<Effect>,
    /// The reason that `-- pum: allow` gives.
    pub allowed: Option<String>,
    /// Whether one of the effects was seen on the copy; none where there is nothing to see.
    pub seen: Option<bool>,
}

/// What was seen on the copy, and the static reading did not foresee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unforeseen {
    /// The relation, `schema.name` quoted as SQL has it.
    pub relation: String,
    /// By what.
    pub by: Place,
    /// What it did.
    pub effect: Effect,
}

impl Evidence {
    /// Takes in what the static reading says, and holds it against what was measured.
    pub(crate) fn foretold(&mut self, hazards: Hazards) {
        let steps: Vec<&str> = self.steps.iter().map(|step| &*step.step).collect();
        let mut predictions = Vec::new();
        for hazard in hazards.told {
            let Some(step) = steps.iter().position(|step| *step == hazard.step) else {
                continue;
            };
            let by = Place {
                step,
                statement: hazard.statement,
                line: Some(hazard.location.line),
            };
            let seen = hazard
                .effects
                .iter()
                .any(|effect| self.saw(*effect, &by, hazard.relation.as_deref(), hazard.rule));
            predictions.push(Prediction {
                rule: hazard.rule.to_owned(),
                relation: hazard.relation,
                message: hazard.message,
                advice: hazard.advice.map(str::to_owned),
                effects: hazard.effects.to_vec(),
                allowed: hazard.allowed,
                seen: (!hazard.effects.is_empty()).then_some(seen),
                by,
            });
        }
        if hazards.more > 0 {
            self.not_measured
                .push(format!("{} more hazards of the static reading", hazards.more));
        }
        self.predictions = predictions;
        self.unforeseen = self.unforeseen();
    }

    fn saw(&self, effect: Effect, by: &Place, relation: Option<&str>, rule: &str) -> bool {
        let here = |place: &Place| place.step == by.step && place.statement == by.statement;
        let locks = |keeps_out: KeepsOut| {
            self.locks
                .iter()
                .any(|lock| here(&lock.taken_by) && lock.keeps_out >= keeps_out)
        };
        // What an earlier statement of the transaction has locked need not be locked again. For writers this would tell
        // nothing: a DELETE keeps them out by the locks of its rows.
        let begin = self.statement(by).map(|statement| statement.begin);
        let held = |lock: &HeldLock| {
            lock.taken_by.step == by.step
                && lock.keeps_out == KeepsOut::Readers
                && begin.is_some_and(|begin| lock.begin <= begin && begin < lock.begin + lock.milliseconds)
                && relation.is_some_and(|relation| bare(relation) == bare(&lock.relation))
        };
        match effect {
            Effect::BlocksReaders => locks(KeepsOut::Readers) || self.locks.iter().any(held),
            Effect::BlocksWriters => locks(KeepsOut::Writers),
            Effect::Rewrites => self.rewrites.iter().any(|rewrite| here(&rewrite.by)),
            Effect::Scans => self.scans.iter().any(|scan| here(&scan.by)),
            Effect::LosesData => self.data.iter().any(|change| {
                let overwritten = rule == OVERWRITES && !change.columns_changed.is_empty();
                (change.loses || overwritten) && relation.is_none_or(|relation| bare(relation) == bare(&change.table))
            }),
        }
    }

    /// What is not allowed of what the static reading says, each with its [cost](Self::cost): what was seen first, and
    /// of that what took longest.
    pub(crate) fn open_predictions(&self) -> Vec<(&Prediction, Option<u64>)> {
        let open = self.predictions.iter().filter(|told| told.allowed.is_none());
        let mut open: Vec<_> = open.map(|told| (told, self.cost(&told.by))).collect();
        open.sort_by_key(|(told, cost)| match told.seen {
            Some(true) => (0, Reverse(*cost)),
            None => (1, Reverse(*cost)),
            Some(false) => (2, Reverse(*cost)),
        });
        open
    }

    /// How long a statement kept readers or writers out by a lock that it took, or else how long it ran, in milliseconds.
    /// None where that was not measured.
    pub(crate) fn cost(&self, by: &Place) -> Option<u64> {
        let locks = self.locks.iter();
        let locks = locks.filter(|lock| {
            let Place { step, statement, .. } = lock.taken_by;
            (step, statement) == (by.step, by.statement) && lock.keeps_out >= KeepsOut::Writers
        });
        let longest = locks.map(|lock| lock.milliseconds).max();
        longest.or_else(|| self.statement(by).map(|statement| statement.milliseconds))
    }

    /// What was measured of a statement, when it is told.
    pub(crate) fn statement(&self, by: &Place) -> Option<&StatementEvidence> {
        let mut statements = self.steps.get(by.step)?.statements.iter();
        statements.find(|statement| Some(statement.number) == by.statement)
    }

    /// Rewrites, and locks that are not short.
    fn unforeseen(&self) -> Vec<Unforeseen> {
        let foretold = |by: &Place, effect: Effect| {
            self.predictions.iter().any(|prediction| {
                prediction.by.step == by.step
                    && prediction.by.statement == by.statement
                    && prediction.effects.contains(&effect)
            })
        };
        let rewrites = self.rewrites.iter().map(|rewrite| Unforeseen {
            relation: rewrite.relation.clone(),
            by: rewrite.by.clone(),
            effect: Effect::Rewrites,
        });
        let locks = self.longest_locks(KeepsOut::Writers).into_iter();
        let locks = locks.filter(|lock| lock.milliseconds >= LONG && lock.table.is_none());
        let locks = locks.map(|lock| Unforeseen {
            relation: lock.relation.clone(),
            by: lock.taken_by.clone(),
            effect: match lock.keeps_out {
                KeepsOut::Readers => Effect::BlocksReaders,
                _ => Effect::BlocksWriters,
            },
        });
        let mut unforeseen: Vec<Unforeseen> = rewrites.chain(locks).collect();
        unforeseen.retain(|seen| seen.by.statement.is_some() && !foretold(&seen.by, seen.effect));
        unforeseen
    }
}

/// The name without schema and quotes.
fn bare(name: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name);
    name.trim_matches('"').to_lowercase()
}
