//! A pooler between pum and the server: the process of the handshake is not the one that answers.
//!
//! What is set or locked in a session stays with the process. Where a pooler hands each transaction, or each statement, to
//! another one, the settings and the lock of pum would be left to others who use the pool. So nothing is set before this is
//! known.

use std::time::{Duration, Instant};

use super::libpq::ExecStatusType;
use super::{Connection, named};
use crate::error::{Error, ErrorKind, Result};

/// How often the sessions are asked which process serves them.
const ROUNDS: usize = 3;

/// How long a second session may wait for a process of its own before it is asked whether the first still has one.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer that should be there already may take to be read.
const ARRIVAL: Duration = Duration::from_secs(1);

/// Seconds that the second session has to connect.
const CONNECT: &str = "10";

impl Connection {
    /// Asks which process serves the session; one request, where no pooler is.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where sessions share processes. A session is lost or cannot be opened, the run cancelled.
    pub(super) fn refuse_shared(&mut self) -> Result<()> {
        self.process = self.serving()?;
        if self.process == self.backend_pid() {
            return Ok(());
        }
        let pool = ["host", "hostaddr", "port", "dbname", "user"].map(|keyword| self.parameter(keyword));
        if self.run.keeps_sessions(&pool) {
            return Ok(());
        }
        let shares = self.shares().map_err(|error| match error.kind() {
            ErrorKind::Cancelled => error,
            _ => {
                error.within("a pooler stands before the server, and whether it keeps sessions apart was not found out")
            }
        })?;
        if !shares {
            self.run.remember_pool(pool);
            return Ok(());
        }
        let message = format!(
            "{} leads to a pooler that hands each transaction to another process of the server: the lock of pum and the settings \
             of its session would not hold, and would be left to others who use the pool",
            named(&self.target)
        );
        Err(Error::new(ErrorKind::Refused, message).with_hint(format!(
            "connect to the server itself{}, or to a pool with pool_mode = session",
            self.listens()
        )))
    }

    /// Whether two sessions that are open at the same time are served by one process, or one by several. Nothing is set in
    /// either.
    fn shares(&mut self) -> Result<bool> {
        let mut other = Connection::connect(&self.target.clone().with("connect_timeout", CONNECT), &self.run)?;
        other.ask()?;
        let others = match other.answer(Some(PATIENCE))? {
            Some(process) => process,
            None => {
                // No process is free. Where each session keeps its own, this one has it still; where they are shared, it
                // stands in the line behind the other.
                if self.serving()? != self.process {
                    return Ok(true);
                }
                match other.answer(Some(ARRIVAL))? {
                    Some(process) => process,
                    None => return Ok(false),
                }
            }
        };
        // Twice each: a pool may give the process that rested longest, or the one that rested least.
        for _ in 0..ROUNDS {
            for _ in 0..2 {
                if self.serving()? != self.process {
                    return Ok(true);
                }
            }
            for _ in 0..2 {
                let now = other.serving()?;
                if now != others || now == self.process {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Where the server itself listens, as far as it tells.
    fn listens(&mut self) -> String {
        let rows = self.query(
            "select pg_catalog.host(pg_catalog.inet_server_addr()), \
             coalesce(pg_catalog.inet_server_port()::pg_catalog.text, pg_catalog.current_setting('port'))",
            &[],
        );
        match rows.as_ref().map(|rows| (rows.value(0, 0), rows.value(0, 1))) {
            Ok((Some(host), Some(port))) => format!(" (it listens on host {host}, port {port})"),
            Ok((None, Some(port))) => format!(" (it listens on port {port})"),
            _ => String::new(),
        }
    }

    fn serving(&mut self) -> Result<i32> {
        self.ask()?;
        self.answer(None)?.ok_or_else(unsaid)
    }

    fn ask(&mut self) -> Result<()> {
        self.begin()?;
        if self.pg.send(c"select pg_catalog.pg_backend_pid()") {
            Ok(())
        } else {
            Err(self.lost())
        }
    }

    /// The process that answers what was asked, or nothing when it did not in time; then the answer is still owed.
    fn answer(&mut self, patience: Option<Duration>) -> Result<Option<i32>> {
        self.give_up = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut answer = None;
        let outcome = self.results(|_, result| {
            if result.status() == ExecStatusType::PGRES_TUPLES_OK {
                answer = result.value(0, 0).and_then(|process| process.parse().ok());
            }
            Ok(())
        });
        let late = self.give_up.take().is_some_and(|at| Instant::now() >= at);
        match outcome {
            Err(error) if error.kind() == ErrorKind::ConnectionLost && late && self.pg.is_ok() => Ok(None),
            Err(error) if error.kind() == ErrorKind::Server => {
                Err(error.within("the server does not say which process serves the session"))
            }
            Err(error) => Err(error),
            Ok(()) => answer.map(Some).ok_or_else(unsaid),
        }
    }
}

fn unsaid() -> Error {
    Error::new(
        ErrorKind::Server,
        "the server does not say which process serves the session",
    )
}
