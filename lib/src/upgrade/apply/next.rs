//! What a person is told of an upgrade that failed: what is applied, what is not, and what to do next.

use super::super::plan::Plan;
use super::{Application, Prepared, when_done};
use crate::error::{Error, ErrorKind};
use crate::history::TableName;

impl Application<'_> {
    /// Which command goes on, and with what.
    pub(super) fn how_to_go_on(&self, steps: &[Prepared]) -> String {
        let Some(next) = steps.get(self.done.len()) else {
            return "run the same command again".to_owned();
        };
        format!(
            "{}: it goes on with {}{}",
            self.run_again(next),
            next.step,
            self.or_rehearse(next)
        )
    }

    /// The command that goes on with a step. A rehearsal holds no longer once something is recorded.
    pub(super) fn run_again(&self, next: &Prepared) -> &'static str {
        if self.outdates_the_rehearsal(next) {
            "run `pum upgrade` without --rehearsal"
        } else {
            "run the same command again"
        }
    }

    pub(super) fn or_rehearse(&self, next: &Prepared) -> &'static str {
        if self.outdates_the_rehearsal(next) {
            "; or rehearse again"
        } else {
            ""
        }
    }

    fn outdates_the_rehearsal(&self, next: &Prepared) -> bool {
        let recorded = self.done.iter().any(|done| done.step.delta().is_some())
            || (self.begun && next.step.delta().is_some() && next.needs_no_transaction());
        next.rehearsal.is_some() && recorded
    }

    /// What to do about a statement that the server refused.
    pub(super) fn after_a_refusal(&self, plan: &Plan, steps: &[Prepared], error: &Error) -> String {
        let failed = steps.get(self.done.len()).and_then(|prepared| prepared.step.delta());
        match error.sqlstate() {
            Some("25001") => {
                return "put the line `-- pum: no-transaction` at the head of the file, best in a delta of its own"
                    .to_owned();
            }
            Some("55P04") => {
                return "use the new value in a later delta: its own transaction must be committed before".to_owned();
            }
            Some(CANCELLED_BY_ANOTHER) => return format!("{BY_ANOTHER}: {}", self.how_to_go_on(steps)),
            _ => {}
        }
        // Duplicate database, schema, table, column, object, function.
        let exists = matches!(
            error.sqlstate(),
            Some("42P04" | "42P06" | "42P07" | "42701" | "42710" | "42723")
        );
        match (failed, self.floor) {
            // Where more than one directory is under way, that would record what never ran.
            (Some(delta), Some(current)) if exists && delta.version <= current && plan.current == self.floor => {
                format!(
                    "the database was at {current} before, and may hold this delta since it was made: then \
                 `pum baseline -b {current} --mark-applied` records it; else correct the delta and run pum again"
                )
            }
            _ => CORRECT.to_owned(),
        }
    }

    /// What is applied and what is not, for the person who reads the error.
    pub(super) fn state(&self, steps: &[Prepared], error: &Error) -> String {
        let names = |list: &[String]| match list {
            [] => "nothing".to_owned(),
            list if list.len() > 4 => format!("{}, ... and {} more", list[..3].join(", "), list.len() - 3),
            list => list.join(", "),
        };
        let applied: Vec<String> = self.done.iter().map(|done| done.step.to_string()).collect();
        let left: Vec<String> = steps
            .iter()
            .skip(self.done.len())
            .map(|prepared| prepared.step.to_string())
            .collect();
        let unknown = match error.kind() {
            ErrorKind::OutcomeUnknown if self.options.single_transaction => left.len(),
            ErrorKind::OutcomeUnknown => left.len().min(1),
            _ => 0,
        };
        let (unknown, left) = left.split_at(unknown);
        let failed = steps.get(self.done.len());
        let rolled_back = match failed {
            Some(_) if !unknown.is_empty() => format!("{} is not known", names(unknown)),
            Some(_) if !self.begun && self.options.single_transaction => "nothing was begun".to_owned(),
            Some(prepared) if !self.begun => format!("{} was not begun", prepared.step),
            // It left its transaction.
            Some(prepared) if error.kind() == ErrorKind::Stopped => {
                format!("what {} committed itself stays", prepared.step)
            }
            Some(_) if self.options.single_transaction => "everything was rolled back".to_owned(),
            Some(prepared) if !prepared.needs_no_transaction() => format!("{} was rolled back", prepared.step),
            Some(prepared) => format!("what {} committed stays", prepared.step),
            None => "everything was done".to_owned(),
        };
        format!(
            "applied by this run: {}; {rolled_back}; not applied: {}",
            names(&applied),
            names(left)
        )
    }
}

/// How to have a Python delta that was interrupted taken for applied, whatever pum knows of it.
pub(crate) fn recorded_by_hand(table: &TableName, goes_back: bool, row: i64) -> String {
    format!(
        "UPDATE {} SET success = true, state = '{}' WHERE id = {row}",
        table.quoted(),
        when_done(goes_back)
    )
}

/// Says first of what the server said as it ended the session that the connection is lost: it is no fault of the statement.
pub(super) fn as_a_loss(error: Error) -> Error {
    let said = error.server().is_some_and(|server| server.message == error.message());
    if said && error.kind() == ErrorKind::ConnectionLost {
        error.within("the connection to the server was lost")
    } else {
        error
    }
}

/// The SQLSTATE of a statement that was cancelled, which in a run that was not is somebody else's doing.
pub(super) const CANCELLED_BY_ANOTHER: &str = "57014";
pub(super) const BY_ANOTHER: &str = "somebody cancelled the statement, or a timeout did";

pub(super) const CORRECT: &str = "correct the cause and run pum again: it goes on from there";
