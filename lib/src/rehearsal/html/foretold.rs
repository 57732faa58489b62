//! What may come in production: what the text of the deltas says, and what was in the way there.

use super::{Listed, Where};
use crate::hazard::Effect;
use crate::preflight::{Concern, NotSeen, Preflight, Severity};
use crate::rehearsal::evidence::{Evidence, Prediction};
use crate::rehearsal::text::lasted;
use crate::report::escape::escape;

/// What the static reading of the deltas says, held against what was seen.
pub(super) struct Foretold {
    pub(super) open: Listed<Hazard>,
    pub(super) unforeseen: Listed<Unforeseen>,
    pub(super) allowed: Listed<Hazard>,
}

pub(super) struct Hazard {
    pub(super) rule: String,
    pub(super) message: String,
    pub(super) effects: String,
    pub(super) advice: String,
    /// The reason why it is allowed.
    pub(super) reason: String,
    pub(super) class: &'static str,
    pub(super) seen: &'static str,
    /// How long it was seen.
    pub(super) cost: String,
    pub(super) by: Where,
}

pub(super) struct Unforeseen {
    pub(super) relation: String,
    pub(super) effect: String,
    pub(super) cost: String,
    pub(super) by: Where,
}

/// What would disturb the upgrade of production.
pub(super) struct Preflown {
    pub(super) concerns: Vec<Told>,
    pub(super) not_seen: Vec<[String; 3]>,
}

pub(super) struct Told {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) what: String,
    pub(super) effect: String,
    pub(super) advice: String,
}

impl Foretold {
    /// What was seen first.
    pub(super) fn of(evidence: &Evidence) -> Foretold {
        let allowed = evidence.predictions.iter();
        let allowed = allowed.filter(|prediction| prediction.allowed.is_some());
        Foretold {
            open: Listed::of(evidence.open_predictions(), |(prediction, cost)| {
                Hazard::of(evidence, prediction, cost)
            }),
            unforeseen: Listed::of(&evidence.unforeseen, |seen| Unforeseen {
                relation: escape(&seen.relation),
                effect: seen.effect.to_string(),
                cost: evidence.cost(&seen.by).map(lasted).unwrap_or_default(),
                by: Where::of(evidence, &seen.by),
            }),
            allowed: Listed::of(allowed, |prediction| {
                Hazard::of(evidence, prediction, evidence.cost(&prediction.by))
            }),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.rows.is_empty() && self.unforeseen.rows.is_empty() && self.allowed.rows.is_empty()
    }
}

impl Hazard {
    fn of(evidence: &Evidence, prediction: &Prediction, cost: Option<u64>) -> Hazard {
        let effects: Vec<String> = prediction.effects.iter().map(Effect::to_string).collect();
        let (class, seen) = match prediction.seen {
            Some(true) => ("readers", "seen on the copy"),
            Some(false) => ("changes", "not seen on the copy"),
            None => ("writers", "not measured on the copy"),
        };
        Hazard {
            rule: escape(&prediction.rule),
            message: escape(&prediction.message),
            effects: effects.join(", "),
            advice: prediction.advice.as_deref().map(escape).unwrap_or_default(),
            reason: prediction.allowed.as_deref().map(escape).unwrap_or_default(),
            class,
            seen,
            cost: match prediction.seen {
                Some(true) => cost.map(lasted).unwrap_or_default(),
                _ => String::new(),
            },
            by: Where::of(evidence, &prediction.by),
        }
    }
}

impl Preflown {
    pub(super) fn of(found: &Preflight) -> Preflown {
        let concern = |concern: &Concern| {
            let (class, word) = match concern.severity {
                Severity::Blocks => ("readers", "blocks"),
                Severity::Delays => ("writers", "delays"),
                Severity::Know => ("changes", "to know"),
            };
            Told {
                class,
                word,
                what: escape(&concern.what),
                effect: escape(&concern.effect),
                advice: escape(&concern.advice),
            }
        };
        let hidden = |hidden: &NotSeen| {
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
