//! The locks that the upgrade holds, from the look that saw each first to the one that misses it.

use std::collections::HashMap;
use std::time::Instant;

use super::locks::{Look, Oid, Relation, keeps_out};
use super::probe::{Probes, milliseconds};
use super::{HeldLock, KeepsOut, Place};

/// Which locks are held now, which were, and by which statements.
pub(super) struct State {
    pub(super) begun: Instant,
    pub(super) place: Place,
    pub(super) open: HashMap<(Oid, String), Open>,
    pub(super) closed: Vec<HeldLock>,
    pub(super) probes: Option<Probes>,
}

/// A lock that is held.
pub(super) struct Open {
    pub(super) relation: Relation,
    pub(super) since: Instant,
    pub(super) by: Place,
    /// Seen when its statement had ended: it is held until the transaction ends.
    pub(super) stays: bool,
}

impl State {
    /// Takes in what is held now: what was not before began, and what is no more ended.
    pub(super) fn seen(&mut self, look: &Look, found: Vec<(Oid, Option<Relation>)>, at_end: bool) {
        let now = Instant::now();
        let known: HashMap<Oid, Option<Relation>> = found.into_iter().collect();
        for (oid, mode) in &look.held {
            let Some(Some(relation)) = known.get(oid) else { continue };
            if let Some(open) = self.open.get_mut(&(*oid, mode.clone())) {
                open.stays |= at_end;
                continue;
            }
            if let (true, Some(probes)) = (
                relation.is_table && keeps_out(mode) > KeepsOut::SchemaChanges,
                &mut self.probes,
            ) {
                probes.locked(&relation.name, &self.place);
            }
            self.open.insert(
                (*oid, mode.clone()),
                Open {
                    relation: relation.clone(),
                    since: now,
                    by: self.place.clone(),
                    stays: at_end,
                },
            );
        }
        let gone: Vec<(Oid, String)> = self
            .open
            .keys()
            .filter(|(oid, mode)| !look.held.iter().any(|(held, other)| held == oid && other == mode))
            .cloned()
            .collect();
        for key in gone {
            self.close(&key, now);
        }
    }

    pub(super) fn close_all(&mut self) {
        let now = Instant::now();
        let keys: Vec<(Oid, String)> = self.open.keys().cloned().collect();
        for key in keys {
            self.close(&key, now);
        }
    }

    fn close(&mut self, key: &(Oid, String), now: Instant) {
        let Some(open) = self.open.remove(key) else { return };
        let strength = keeps_out(&key.1);
        if let (true, Some(probes)) = (
            open.relation.is_table && strength > KeepsOut::SchemaChanges,
            &self.probes,
        ) {
            probes.released(&open.relation.name);
        }
        self.closed.push(HeldLock {
            relation: open.relation.name,
            table: open.relation.table,
            mode: key.1.clone(),
            keeps_out: strength,
            taken_by: open.by,
            begin: milliseconds(open.since - self.begun),
            milliseconds: milliseconds(now - open.since),
            until_commit: open.stays,
        });
    }
}
