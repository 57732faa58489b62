//! COMMIT, and what happened when its answer is lost.

use std::time::{Duration, Instant};

use super::{Application, Prepared, Source, no_session};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{TableName, record};
use crate::run::{Event, Run};

/// When the server's statistics began, which a crash sets anew; so does a reset of them, which is taken for a crash. A standby that
/// was made of the files of a server that was stopped has the same, and a fail-over to it is taken for none. Read the same
/// whatever the settings of the session are.
pub(super) const LAST_CRASH: &str =
    "pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.pg_stat_get_bgwriter_stat_reset_time()), 'hex')";

/// What became of the transaction of a lost COMMIT.
enum Outcome {
    InProgress,
    Committed,
    RolledBack,
    /// Its number is committed, and may be another's since a crash.
    Untold,
}

fn outcome(connection: &mut Connection, table: &TableName, proof: &Proof, run: &Run) -> Result<Outcome> {
    let since = if proof.row.is_none() { LAST_CRASH } else { "null" };
    // Asked before the row is looked for: what comes to its end in between is seen there.
    // A number that the server does not know yet was lost in a crash. A standby may not know it yet.
    let status = connection.query(
        &format!(
            "select case when pg_is_in_recovery() then 'in progress' \
             when $1::text::int8 < txid_snapshot_xmax(txid_current_snapshot()) \
             then txid_status($1::text::int8) else 'aborted' end, {since}"
        ),
        &[Some(&proof.transaction)],
    )?;
    if let Some(row) = proof.row {
        let there = connection.query(
            &format!(
                "select 1 from {} where id = $1::int4 and run_id = $2::uuid and success",
                table.quoted()
            ),
            &[Some(&row.to_string()), Some(&run.id().to_string())],
        )?;
        if !there.is_empty() {
            return Ok(Outcome::Committed);
        }
    }
    Ok(match status.value(0, 0) {
        Some("in progress") => Outcome::InProgress,
        // Without a row there is nothing better than the server's word.
        Some("committed") if proof.row.is_none() => {
            if status.value(0, 1) == proof.last_crash.as_deref() {
                Outcome::Committed
            } else {
                Outcome::Untold
            }
        }
        _ => Outcome::RolledBack,
    })
}

/// What proves after a lost COMMIT whether it happened.
pub(super) struct Proof {
    pub(super) transaction: String,
    pub(super) row: Option<i64>,
    /// [`LAST_CRASH`] as it was in the transaction, where there is no row.
    pub(super) last_crash: Option<String>,
}

impl Application<'_> {
    /// Completes the row of a step that had no transaction of pum's around it, in one of its own, so that its outcome can
    /// be asked for too.
    pub(super) fn complete(&mut self, prepared: &Prepared, row: i64, begun: Instant) -> Result<()> {
        let table = &self.options.table;
        let connection = self.connection.as_mut().ok_or_else(no_session)?;
        let begun_as = connection.batch("begin read write; select pg_catalog.txid_current()::pg_catalog.text")?;
        let transaction = begun_as.value(0, 0).unwrap_or_default().to_owned();
        if let Source::Sql(script) = &prepared.source {
            // The whole file's from now on: what `info` compares an applied delta with.
            record::checkpoint(connection, table, row, script.statement_count(), script.digest())?;
        }
        record::complete(connection, table, row, begun, prepared.when_done())?;
        let proof = Proof {
            transaction,
            row: Some(row),
            last_crash: None,
        };
        self.commit(&proof, prepared)
    }

    pub(super) fn commit(&mut self, proof: &Proof, last: &Prepared) -> Result<()> {
        match self.session()?.run_statement("commit", None) {
            Ok(done) if done.tag == "COMMIT" => Ok(()),
            Ok(_) => Err(Error::new(
                ErrorKind::Server,
                format!("the server rolled {} back at its COMMIT", last.step),
            )),
            Err(error) if error.kind() == ErrorKind::ConnectionLost => self.outcome_of_commit(proof, last, error),
            Err(error) => {
                if let Some(connection) = &mut self.connection {
                    connection.rollback();
                }
                Err(error.within(format_args!("{} failed at its COMMIT", last.step)))
            }
        }
    }

    /// The connection was lost in COMMIT. Only the row with our run's identity proves what happened: after a crash of
    /// the server, transaction numbers are handed out again. Where there is no row, the number counts as long as the
    /// server has not crashed.
    fn outcome_of_commit(&mut self, proof: &Proof, last: &Prepared, lost: Error) -> Result<()> {
        self.connection = None;
        self.run.emit(Event::Waiting(format!(
            "the connection was lost in COMMIT of {}; asking the server what happened",
            last.step
        )));
        let deadline = Instant::now() + self.options.patience;
        let question = match proof.row {
            Some(row) => format!(
                "select success from {} where run_id = '{}' and id = {row}",
                self.options.table.quoted(),
                self.run.id()
            ),
            // Nothing is recorded of it.
            None => format!("select pg_catalog.txid_status({})", proof.transaction),
        };
        // A cancelled run must learn the outcome too; and a network that is silent does not hold it for longer.
        let asking = Run::new();
        let (cancel, patience) = (asking.cancel().clone(), self.options.patience);
        let (_asked, ended) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                cancel.cancel();
            }
        });
        let unknown = |lost: Error, why: &str, hint: String| {
            lost.with_kind(ErrorKind::OutcomeUnknown)
                .within(format_args!(
                    "it is not known whether {} was committed: {why}",
                    last.step
                ))
                .with_hint(hint)
                .with_state(if proof.row.is_none() {
                    format!(
                        "{} is either wholly committed, or not at all; it is not recorded, and the next run runs it again",
                        last.step
                    )
                } else if last.needs_no_transaction() {
                    format!(
                        "{} is done; only whether it is recorded as applied is not known",
                        last.step
                    )
                } else {
                    format!("{} is either wholly applied and recorded, or not at all", last.step)
                })
        };
        while Instant::now() < deadline {
            if let Ok(mut connection) = Connection::open(self.target, &asking)
                && let Ok(outcome) = outcome(&mut connection, &self.options.table, proof, &self.run)
            {
                match outcome {
                    // Whether the lock is lost too matters to the next step only, which asks.
                    Outcome::Committed => return Ok(()),
                    Outcome::RolledBack => {
                        let what = if last.needs_no_transaction() {
                            "is done and was not recorded as applied: the link broke before that"
                        } else {
                            "was rolled back: the link broke before its COMMIT"
                        };
                        return Err(lost.within(format_args!("{} {what}", last.step)));
                    }
                    Outcome::Untold => {
                        return Err(unknown(
                            lost,
                            "the server's statistics began anew since (a crash, another server, or a reset), and after a crash \
                             the number of its transaction may be another's",
                            "run pum again: it runs what is not recorded".to_owned(),
                        ));
                    }
                    Outcome::InProgress => {}
                }
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Err(unknown(
            lost,
            "the server cannot be asked",
            format!("when the server is back, run pum again: it sees what is recorded. To look by hand: {question}"),
        ))
    }
}
