//! What became of production since it was rehearsed, and whether it still is what was.

use std::collections::BTreeSet;
use std::time::Duration;

use super::RehearsalOptions;
use super::contract::{
    Contract, Moment, ServerFacts, Terms, history_digest, identity, structure_filter, told, variables_digest,
};
use crate::catalog::Catalog;
use crate::check::check;
use crate::connection::Connection;
use crate::delta::{Deltas, Version};
use crate::diff::{Change, Diff};
use crate::error::{Error, ErrorKind, Result};
use crate::history::History;
use crate::report::Report;
use crate::run::{Event, Run};
use crate::script::file_digests;
use crate::target::Target;
use crate::upgrade::{Plan, UpgradeOptions};

/// So many changes are named by a refusal.
const CHANGES_TOLD: usize = 5;

/// What is agreed once everything holds.
pub(super) struct Held {
    pub(super) deltas: Deltas,
    /// What production must be baselined at first.
    pub(super) baseline: Option<Version>,
    pub(super) plan: Plan,
}

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

    /// What would be applied to production, which still is what was rehearsed, as the deltas are. Only reads.
    ///
    /// # Errors
    /// What is otherwise, of kind [`ErrorKind::Refused`]; and those of reading.
    pub fn plan(&self, production: &Target, options: &UpgradeOptions, terms: &Terms, run: &Run) -> Result<Plan> {
        let mut production = Connection::open(production, run)?;
        let held = self.hold(&mut production, options, terms, run);
        Ok(held.map_err(|error| error.with_state("nothing was changed"))?.plan)
    }

    /// Holds reality against what was rehearsed. Only reads.
    ///
    /// # Errors
    /// What is otherwise, of kind [`ErrorKind::Refused`]; and those of reading.
    pub(super) fn hold(
        &self,
        production: &mut Connection,
        options: &UpgradeOptions,
        terms: &Terms,
        run: &Run,
    ) -> Result<Held> {
        let name = production.target().to_string();
        let again = match name == self.production {
            true => "rehearse again".to_owned(),
            false => format!(
                "rehearse again, or name the database of this rehearsal: {}",
                self.production
            ),
        };
        let refused = |what: String| Err(Error::new(ErrorKind::Refused, what).with_hint(&again));
        let since = |what: &str| refused(format!("{what} since the rehearsal"));
        if !self.clean {
            return Err(Error::new(ErrorKind::Refused, "the rehearsal was not clean")
                .with_hint("mend the deltas or the database, and rehearse again"));
        }
        let database = identity(production)?;
        if !self.database.is_empty() && !database.is_empty() && database != self.database {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the rehearsal is of another database than {name}: of {}",
                    self.production
                ),
            )
            .with_hint("rehearse this one"));
        }
        let now = Moment::read(production)?;
        let age = u64::try_from(now.seconds - self.copied).unwrap_or(0);
        if Duration::from_secs(age) > terms.max_age {
            return refused(format!(
                "the rehearsal is older than it may be: production was copied {} ago",
                told(Duration::from_secs(age))
            ));
        }
        self.hold_server(&ServerFacts::read(production)?, run)?;
        if options.table.to_string() != self.table {
            return refused(format!("the rehearsal was made with the upgrades table {}", self.table));
        }
        if variables_digest(&options.variables) != self.variables {
            return since("the variables were changed");
        }
        if options.single_transaction != self.single_transaction {
            return refused(format!(
                "the rehearsal was made {} --single-transaction",
                if self.single_transaction { "with" } else { "without" }
            ));
        }
        let deltas = Deltas::read(&options.directories)?;
        let history = History::read(production, &options.table)?;
        let baseline: Option<Version> = self.baseline.as_deref().map(str::parse).transpose()?;
        let planned = match (&history, baseline) {
            (Some(history), _) => Some(history.clone()),
            (None, Some(version)) => Some(History::baselined(options.table.clone(), version)),
            (None, None) => None,
        };
        let then = match (&history, baseline) {
            // An earlier run came as far as its baseline.
            (Some(history), Some(version)) if history.is_baseline_alone(version) => None,
            (history, _) => history.as_ref(),
        };
        if history_digest(then) != self.history {
            let current = history.as_ref().and_then(History::current_version);
            let current = current.map(|version| version.to_string());
            let versions = match current == self.from {
                true => String::new(),
                false => format!(" (it is {}, and was {})", version(&current), version(&self.from)),
            };
            return Err(Error::new(
                ErrorKind::Refused,
                format!("the upgrades table of {name} was changed since the rehearsal{versions}"),
            )
            .with_hint(format!(
                "{again}; an upgrade that was interrupted goes on without the rehearsal"
            )));
        }
        let Some(planned) = planned else {
            return since(&format!("the upgrades table of {name} was dropped"));
        };
        let plan = Plan::new(&deltas, &planned, options.max_version)?;
        let due: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
        let rehearsed: Vec<&str> = self.steps.iter().map(|step| &*step.step).collect();
        if due != rehearsed {
            let came = due.iter().find(|step| !rehearsed.contains(&&***step));
            let went = rehearsed.iter().find(|step| !due.iter().any(|due| due == *step));
            return match (came, went) {
                (Some(step), _) => refused(format!("{step} is due and was not rehearsed")),
                (None, Some(step)) => refused(format!("{step} was rehearsed and is not due")),
                (None, None) => since("the order of the deltas was changed"),
            };
        }
        for (step, known) in plan.steps.iter().zip(&self.steps) {
            if file_digests(step.path())?.1 != known.digest {
                return since(&format!("\"{}\" was changed", step.path().display()));
            }
        }
        let catalog = Catalog::read(production, &structure_filter(&options.table))?;
        if catalog.fingerprint().to_string() != self.catalog {
            let other = if self.pum == env!("CARGO_PKG_VERSION") {
                String::new()
            } else {
                format!(" (or pum {} reads it otherwise than this version)", self.pum)
            };
            let changes = self.changes(&catalog);
            return refused(format!(
                "the structure of {name} was changed since the rehearsal{changes}{other}"
            ));
        }
        Ok(Held {
            deltas,
            baseline: baseline.filter(|_| history.is_none()),
            plan,
        })
    }

    /// What was changed in production's structure, in brackets; empty when nothing is known of it.
    fn changes(&self, now: &Catalog) -> String {
        let Ok(before) = Catalog::from_json("production", self.before.clone()) else {
            return String::new();
        };
        let diff = Diff::between(&before, now);
        let told = diff.differences().iter().take(CHANGES_TOLD).map(|difference| {
            let how = match difference.change {
                Change::OnlyLeft => "was dropped",
                Change::OnlyRight => "is new",
                Change::Changed => "is changed",
            };
            format!("{} {how}", difference.object)
        });
        let mut told: Vec<String> = told.collect();
        match diff.differences().len().checked_sub(CHANGES_TOLD) {
            Some(more) if more > 0 => told.push(format!("{more} more")),
            _ => {}
        }
        match told.is_empty() {
            true => String::new(),
            false => format!(" ({})", told.join(", ")),
        }
    }

    fn hold_server(&self, server: &ServerFacts, run: &Run) -> Result<()> {
        let refused = |what: String| Err(Error::new(ErrorKind::Refused, what).with_hint("rehearse again"));
        if server.version_num / 10_000 != self.server.version_num / 10_000 {
            return refused(format!(
                "the rehearsal was made for PostgreSQL {}, and the server is {}",
                self.server.version, server.version
            ));
        }
        if server.version_num != self.server.version_num {
            run.emit(Event::Warning(format!(
                "the rehearsal was made for PostgreSQL {}, and the server is {}",
                self.server.version, server.version
            )));
        }
        let text = |facts: &ServerFacts, name: &str| {
            facts
                .settings
                .get(name)
                .cloned()
                .unwrap_or_else(|| "unknown".to_owned())
        };
        let names: BTreeSet<&String> = server.settings.keys().chain(self.server.settings.keys()).collect();
        for name in names {
            let (now, then) = (text(server, name), text(&self.server, name));
            if now != then {
                return refused(format!("{name} is now \"{now}\", and was \"{then}\" at the rehearsal"));
            }
        }
        Ok(())
    }
}

fn version(version: &Option<String>) -> &str {
    version.as_deref().unwrap_or("without a version")
}
