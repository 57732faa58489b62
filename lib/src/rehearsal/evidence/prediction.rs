//! What the static reading of the deltas says, beside what was measured.

use serde::{Deserialize, Serialize};

use super::{Evidence, KeepsOut, Place};
use crate::hazard::{Effect, Hazards};

/// From how long on a lock that nothing foresaw is told, in milliseconds.
const LONG: u64 = 50;

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
                .any(|effect| self.saw(*effect, &by, hazard.relation.as_deref()));
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

    fn saw(&self, effect: Effect, by: &Place, relation: Option<&str>) -> bool {
        let here = |place: &Place| place.step == by.step && place.statement == by.statement;
        let locks = |keeps_out: KeepsOut| {
            self.locks
                .iter()
                .any(|lock| here(&lock.taken_by) && lock.keeps_out >= keeps_out)
        };
        match effect {
            Effect::BlocksReaders => locks(KeepsOut::Readers),
            Effect::BlocksWriters => locks(KeepsOut::Writers),
            Effect::Rewrites => self.rewrites.iter().any(|rewrite| here(&rewrite.by)),
            Effect::Scans => self.scans.iter().any(|scan| here(&scan.by)),
            Effect::LosesData => self
                .data
                .iter()
                .any(|change| change.loses && relation.is_none_or(|relation| bare(relation) == bare(&change.table))),
        }
    }

    /// Rewrites, and locks that are not short.
    fn unforeseen(&self) -> Vec<Unforeseen> {
        let foretold = |by: &Place, effect: Effect| {
            self.predictions.iter().any(|prediction| {
                prediction.by.step == by.step
                    && prediction.by.statement == by.statement
                    && (prediction.effects.contains(&effect) || prediction.effects.is_empty())
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
