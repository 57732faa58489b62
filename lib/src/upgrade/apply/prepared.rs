//! A step that is to be carried out: its script, its record, and how long it may take.

use std::time::{Duration, Instant};

use super::super::plan::Step;
use super::next::CANCELLED_BY_ANOTHER;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Location, Result};
use crate::history::record::Record;
use crate::history::{Entry, state};
use crate::script::Script;

/// What to do about a step that took too long.
const WHEN_OVER: &str = "find out what is otherwise than on the copy (load, data, blockers), and rehearse again; or give \
     it more time with --budget-factor";

/// A step with its script read and found sound.
pub(crate) struct Prepared {
    pub(crate) step: Step,
    pub(crate) source: Source,
    /// What an earlier run left of it.
    pub(crate) unfinished: Option<Entry>,
    /// The rehearsal that stands behind it.
    pub(crate) rehearsal: Option<String>,
    /// How long it may take.
    pub(crate) budget: Option<Duration>,
    /// Whether deltas of lower versions are to come behind it.
    pub(crate) goes_back: bool,
}

/// What the row of a delta says when it is done.
pub(crate) fn when_done(goes_back: bool) -> &'static str {
    if goes_back { state::MORE } else { state::DONE }
}

pub(crate) enum Source {
    Sql(Script),
    Python { checksum: String, digest: String },
}

impl Prepared {
    pub(super) fn checksum(&self) -> &str {
        match &self.source {
            Source::Sql(script) => script.checksum(),
            Source::Python { checksum, .. } => checksum,
        }
    }

    pub(crate) fn digest(&self) -> &str {
        match &self.source {
            Source::Sql(script) => script.digest(),
            Source::Python { digest, .. } => digest,
        }
    }

    /// What a person should know of its statements before they run.
    pub(crate) fn remarks(&self) -> &[(Location, String)] {
        match &self.source {
            Source::Sql(script) => script.remarks(),
            Source::Python { .. } => &[],
        }
    }

    pub(super) fn script_path(&self) -> String {
        self.step.path().to_string_lossy().into_owned()
    }

    /// The row that says that the delta is begun; none for what is not recorded.
    pub(super) fn record<'a>(&'a self, path: &'a str) -> Option<Record<'a>> {
        let delta = self.step.delta()?;
        Some(Record {
            rehearsal: self.rehearsal.as_deref(),
            ..Record::started(delta, path, self.checksum(), self.digest())
        })
    }

    pub(super) fn when_done(&self) -> &'static str {
        when_done(self.goes_back)
    }

    /// The setting that ends a statement which takes longer than the whole step may; nothing without a limit.
    pub(super) fn limit(&self, set: &str) -> String {
        let limit = |budget: Duration| {
            format!(
                "; {set} statement_timeout = {}",
                budget.as_millis().min(i32::MAX as u128)
            )
        };
        self.budget.map(limit).unwrap_or_default()
    }

    /// # Errors
    /// The step has taken longer than it may.
    pub(super) fn still_in_budget(&self, begun: Instant) -> Result<()> {
        match self.budget {
            Some(budget) if begun.elapsed() > budget => {
                Err(Error::new(ErrorKind::Refused, self.over(budget, None)).with_hint(WHEN_OVER))
            }
            _ => Ok(()),
        }
    }

    /// Shortens the time that the next statement may take to what is left of the step's, now and then.
    pub(super) fn shorten(&self, connection: &mut Connection, begun: Instant, shortened: &mut Duration) -> Result<()> {
        let Some(budget) = self.budget else { return Ok(()) };
        let elapsed = begun.elapsed();
        if elapsed - *shortened < budget / 10 {
            return Ok(());
        }
        *shortened = elapsed;
        let left = budget.saturating_sub(elapsed).as_millis().clamp(1, i32::MAX as u128);
        // A shorter one of the script's own stays.
        connection.query(
            "select pg_catalog.set_config('statement_timeout', $1::pg_catalog.text, true) from pg_catalog.pg_settings s \
             where s.name operator(pg_catalog.=) 'statement_timeout'::pg_catalog.text \
             and (s.setting operator(pg_catalog.=) '0'::pg_catalog.text \
                 or s.setting::pg_catalog.int8 operator(pg_catalog.>) $1::pg_catalog.int8)",
            &[Some(&left.to_string())],
        )?;
        Ok(())
    }

    /// Says of a statement that the limit ended that it did.
    pub(super) fn over_budget(&self, error: Error, begun: Instant, blockers: Option<&str>) -> Error {
        match self.budget {
            // 57014 is what somebody who cancels the statement leads to, too.
            Some(budget)
                if error.sqlstate() == Some(CANCELLED_BY_ANOTHER) && begun.elapsed() >= budget.mul_f64(0.9) =>
            {
                error.within(self.over(budget, blockers)).with_hint(WHEN_OVER)
            }
            _ => error,
        }
    }

    fn over(&self, budget: Duration, blockers: Option<&str>) -> String {
        let who = blockers
            .map(|who| format!("; in the way was {who}"))
            .unwrap_or_default();
        format!(
            "{} takes longer than the rehearsal allows, which is {:.1} s{who}",
            self.step,
            budget.as_secs_f64()
        )
    }

    pub(super) fn needs_no_transaction(&self) -> bool {
        match &self.source {
            Source::Sql(script) => script.no_transaction(),
            Source::Python { .. } => true,
        }
    }
}
