//! What became of production since it was rehearsed.

use super::RehearsalOptions;
use super::contract::{Contract, Terms};
use crate::check::check;
use crate::connection::Connection;
use crate::delta::Deltas;
use crate::error::{Error, ErrorKind, Result};
use crate::history::History;
use crate::report::Report;
use crate::run::Run;
use crate::target::Target;
use crate::upgrade::{Plan, UpgradeOptions};

impl Contract {
    /// Whether rehearsing again with these options would prove nothing new: production, its server, the deltas and the
    /// options still are what they were, and the rehearsal was clean. Only reads. The expected database is not looked at.
    ///
    /// # Errors
    /// What is otherwise, of kind [`ErrorKind::Refused`]; and those of reading.
    pub fn still_holds(&self, production: &Target, options: &RehearsalOptions, terms: &Terms, run: &Run) -> Result<()> {
        let asked = Contract::of(options);
        let same = self.left_out == asked.left_out
            && self.max_version == asked.max_version
            && self.copy.schema_only == options.schema_only
            && self.copy.sampled.as_ref().map(|sampled| sampled.sample) == options.sample
            && self.crashes.is_some() == options.crash;
        if !same {
            return Err(
                Error::new(ErrorKind::Refused, "the rehearsal was made with other options").with_hint("rehearse again"),
            );
        }
        self.plan(production, &options.upgrade, terms, run).map(|_| ())
    }

    /// Whether production was upgraded by this very rehearsal and nothing is due any more: then it is compared with the
    /// upgraded copy, as it was or would have been at the end of its upgrade. Only reads.
    ///
    /// # Errors
    /// Those of reading production and the deltas, and of comparing.
    pub fn carried_out(&self, production: &Target, options: &UpgradeOptions, run: &Run) -> Result<Option<Report>> {
        let history = History::read(&mut Connection::open(production, run)?, &options.table)?;
        let Some(history) = history else { return Ok(None) };
        let id = self.id();
        let ours = |entry: &crate::history::Entry| entry.rehearsal.as_deref() == Some(&*id);
        if !history.entries().iter().any(ours) {
            return Ok(None);
        }
        let plan = Plan::new(&Deltas::read(&options.directories)?, &history, options.max_version)?;
        // Scripts around all deltas are no part of what can be due alone.
        if plan.steps.iter().any(|step| step.delta().is_some()) {
            return Ok(None);
        }
        let upgraded = self.upgraded()?;
        check(production, &upgraded, &self.filter()?, run).map(Some)
    }
}
