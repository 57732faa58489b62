//! An open session over libpq.
//!
//! Statements are sent without blocking and waited for together with the run's cancel handle, so that cancelling
//! reaches the server at any time.

mod copy;
pub(crate) mod libpq;
mod pooler;

use std::ffi::CString;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use libpq::{ExecStatusType, PGTransactionStatusType, Pg, PgResult};

use crate::environment;
use crate::error::{Error, ErrorKind, Result, ServerError};
use crate::run::{Event, Run};
use crate::target::Target;

/// A session on a PostgreSQL server, used by one thread at a time.
pub struct Connection {
    pg: Pg,
    target: Target,
    run: Run,
    // Set once the cancel request is sent, and while cleaning up: cancelling must not stop a ROLLBACK.
    cancel_seen: bool,
    // Whether the request was sent for the statement that runs.
    cancel_sent: bool,
    // Ends when the request has been delivered.
    cancelling: Option<Receiver<()>>,
    // When an answer that is owed is not waited for any longer.
    give_up: Option<Instant>,
    // Whether the server can notice our end.
    watched: bool,
    // Whether the rows of a COPY are on their way.
    copying: bool,
    // The process that answered first.
    process: i32,
    last_notice: Option<ServerError>,
    repeated: u64,
}

/// The server notices within a second that we are gone, also while a statement runs.
const NOTICE_END: &str = "client_connection_check_interval = 1000";

/// How long a server may be silent after it was asked to cancel, or to clean up; then the network is taken for gone.
const SILENCE: Duration = Duration::from_secs(10);

/// When a link on which nothing comes back is taken for broken, where the user has not said otherwise: libpq's own defaults
/// are those of the system, hours (PostgreSQL documentation, "Parameter Key Words").
const LINK: [(&str, &str); 4] = [
    ("keepalives_idle", "30"),
    ("keepalives_interval", "10"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "60000"),
];

/// Whether a transaction is open (PostgreSQL documentation, `PQtransactionStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction is open.
    Idle,
    /// A statement is running.
    Active,
    /// A transaction is open.
    InTransaction,
    /// A transaction is open and failed: only its end is accepted.
    Failed,
    /// The connection is lost.
    Unknown,
}

/// The version of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    number: u32,
    text: String,
}

impl ServerVersion {
    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        self.number / 10_000
    }

    /// As `server_version_num` has it, such as 150018.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl ServerVersion {
    /// The version that a file tells.
    pub(crate) fn told(number: u32, text: String) -> ServerVersion {
        ServerVersion { number, text }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a statement did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The command tag, such as `CREATE TABLE`; empty when the text held no statement.
    pub tag: String,
    /// Rows returned or affected.
    pub rows: u64,
}

/// The rows of a query, all values as text.
pub struct Rows {
    result: Option<PgResult>,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.result.as_ref().map_or(0, PgResult::rows)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<&str> {
        self.result
            .as_ref()
            .map(|result| (0..result.columns()).map(|column| result.column_name(column)).collect())
            .unwrap_or_default()
    }

    /// One value, `None` for null and for a place that is not there.
    pub fn value(&self, row: usize, column: usize) -> Option<&str> {
        self.result.as_ref()?.value(row, column)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|row| Row { rows: self, row })
    }
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    rows: &'a Rows,
    row: usize,
}

impl<'a> Row<'a> {
    /// The value of a column, counted from 0; `None` for null.
    pub fn value(&self, column: usize) -> Option<&'a str> {
        self.rows.value(self.row, column)
    }

    /// The value of a column, the empty text for null.
    pub fn text(&self, column: usize) -> &'a str {
        self.value(column).unwrap_or("")
    }
}

/// Where the data of a `COPY ... FROM STDIN` comes from: pieces until `None`.
pub type CopySource<'a> = &'a mut dyn FnMut() -> Result<Option<Vec<u8>>>;

impl Connection {
    /// Opens a session for pum's own statements: `search_path` is `pg_catalog, pg_temp`, so that nothing planted in
    /// another schema is ever called, no timeout ends it, and row security that would hide rows is an error.
    ///
    /// # Errors
    /// [`ErrorKind::PasswordNeeded`] when the server wants a password that nobody gave, [`ErrorKind::Refused`] where a pooler
    /// hands each transaction to another process: nothing was set there; else [`ErrorKind::Connection`] with libpq's words.
    pub fn open(target: &Target, run: &Run) -> Result<Connection> {
        let mut connection = Connection::open_for_scripts(target, run)?;
        let timeouts = connection.timeouts("set");
        connection.execute(&format!(
            "set search_path = pg_catalog, pg_temp; \
             set standard_conforming_strings = on; \
             set lock_timeout = 0; \
             set row_security = off; \
             set datestyle = 'ISO, YMD'; \
             set extra_float_digits = 1; \
             set jit = off; \
             {timeouts}"
        ))?;
        Ok(connection)
    }

    /// Opens a session with the settings that the database and the role give it, for the user's scripts.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn open_for_scripts(target: &Target, run: &Run) -> Result<Connection> {
        let mut connection = Connection::connect(target, run)?;
        // What the server says to every session is told with the first.
        for notice in connection.pg.take_notices().kept {
            run.greet(notice);
        }
        // Before anything is set: behind a pooler it could be set for somebody else.
        connection.refuse_shared()?;
        if connection.server_version().number() >= 140_000 {
            // Not every system can do it.
            connection.watched = connection.execute(&format!("set {NOTICE_END}")).is_ok();
        }
        Ok(connection)
    }

    /// A session in which nothing is set.
    fn connect(target: &Target, run: &Run) -> Result<Connection> {
        run.go_on()?;
        let environment = environment::shared(run)?;
        let resolved = target.resolve(run)?;
        let mut given = resolved.given.clone().with("client_encoding", "UTF8");
        if resolved.value("application_name").is_none_or(str::is_empty) {
            given = given.with("application_name", "pum");
        }
        for (keyword, value) in LINK {
            if resolved.value(keyword).is_none_or(str::is_empty) {
                given = given.with(keyword, value);
            }
        }
        let conninfo = given.conninfo()?;
        let limited = resolved
            .value("connect_timeout")
            .is_some_and(|timeout| !matches!(timeout.trim(), "" | "0"));
        // libpq's own waiting is the one that follows every rule of multiple hosts and timeouts; a thread of its own
        // lets the run be cancelled meanwhile. An abandoned attempt closes itself.
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let connected = Pg::connect(&conninfo, limited);
            drop(environment);
            let _ = sender.send(connected);
        });
        let pg = loop {
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(pg) => break pg,
                Err(RecvTimeoutError::Timeout) => run.go_on()?,
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        let mut pg = pg.ok_or_else(|| Error::new(ErrorKind::Connection, "libpq is out of memory"))?;
        if !pg.is_ok() {
            return Err(refused(target, &pg));
        }
        if !pg.set_nonblocking() {
            return Err(Error::new(ErrorKind::Connection, pg.error_message()));
        }
        Ok(Connection {
            pg,
            target: target.clone(),
            run: run.clone(),
            cancel_seen: false,
            cancel_sent: false,
            cancelling: None,
            give_up: None,
            watched: false,
            copying: false,
            process: 0,
            last_notice: None,
            repeated: 0,
        })
    }

    /// Statements that take away every timeout that a role or a database may have set and this server knows, and let it
    /// notice our end, which `DISCARD ALL` forgets. `set` is `set` or `set local`.
    pub(crate) fn timeouts(&self, set: &str) -> String {
        let version = self.server_version().number();
        let timeouts = [
            ("statement_timeout", 0),
            ("idle_in_transaction_session_timeout", 0),
            // Without it the lock's idle session would be ended, and the lock with it.
            ("idle_session_timeout", 140_000),
            ("transaction_timeout", 170_000),
        ];
        let statements: Vec<String> = timeouts
            .iter()
            .filter(|(_, since)| version >= *since)
            .map(|(name, _)| format!("{set} {name} = 0"))
            .chain(self.watched.then(|| format!("{set} {NOTICE_END}")))
            .collect();
        statements.join("; ")
    }

    /// The target that was opened.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The run that this session belongs to.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The server's version.
    pub fn server_version(&self) -> ServerVersion {
        let number = u32::try_from(self.pg.server_version()).unwrap_or(0);
        let text = self.pg.parameter_status(c"server_version").unwrap_or_default();
        ServerVersion {
            number,
            text: text.split(' ').next().unwrap_or("").to_owned(),
        }
    }

    /// The encoding of the database, such as `UTF8`.
    pub(crate) fn server_encoding(&self) -> String {
        self.pg.parameter_status(c"server_encoding").unwrap_or_default()
    }

    /// The process that serves this session, as the handshake told it.
    pub fn backend_pid(&self) -> i32 {
        self.pg.backend_pid()
    }

    /// The process that serves this session, as it told itself: behind a pooler another than [`Connection::backend_pid`].
    pub(crate) fn process(&self) -> i32 {
        self.process
    }

    /// What libpq used for a keyword, such as `host`, `port`, `dbname`, `user`.
    pub fn parameter(&self, keyword: &str) -> Option<String> {
        self.pg
            .parameters()
            .into_iter()
            .find(|parameter| parameter.keyword == keyword)
            .and_then(|parameter| parameter.value)
            .filter(|value| !value.is_empty())
    }

    /// The password of the session, to be hidden where it would be shown.
    pub(crate) fn password(&self) -> Option<String> {
        self.pg.password()
    }

    /// The environment that makes a libpq program connect where this session is; `None` removes a variable.
    /// It holds the password when one was given: pass it to a child process only.
    pub fn environment(&self) -> Vec<(String, Option<String>)> {
        let mut environment = vec![("PGSERVICE".to_owned(), None)];
        for parameter in self.pg.parameters() {
            let Some(variable) = parameter.variable else {
                continue;
            };
            if variable == "PGSERVICE"
                || variable == "PGCLIENTENCODING"
                || variable == "PGOPTIONS" && parameter.value.is_none()
            {
                continue;
            }
            environment.push((variable, parameter.value.filter(|value| !value.is_empty())));
        }
        environment
    }

    /// Whether a transaction is open.
    pub fn transaction_status(&self) -> TransactionStatus {
        match self.pg.transaction_status() {
            PGTransactionStatusType::PQTRANS_IDLE => TransactionStatus::Idle,
            PGTransactionStatusType::PQTRANS_ACTIVE => TransactionStatus::Active,
            PGTransactionStatusType::PQTRANS_INTRANS => TransactionStatus::InTransaction,
            PGTransactionStatusType::PQTRANS_INERROR => TransactionStatus::Failed,
            PGTransactionStatusType::PQTRANS_UNKNOWN => TransactionStatus::Unknown,
        }
    }

    /// Runs one statement of pum with parameters (`$1::text`), and returns its rows.
    ///
    /// # Errors
    /// What the server refused, the connection lost, the run cancelled.
    pub fn query(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<Rows> {
        let sql = c_text(sql)?;
        let values = parameters
            .iter()
            .map(|value| value.map(c_text).transpose())
            .collect::<Result<Vec<Option<CString>>>>()?;
        self.begin()?;
        if !self.pg.send_with(&sql, &values) {
            return Err(self.lost());
        }
        let mut rows = Rows { result: None };
        self.results(|_, result| {
            if result.status() == ExecStatusType::PGRES_TUPLES_OK {
                rows.result = Some(result);
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs statements of pum without parameters; their results are dropped.
    ///
    /// # Errors
    /// As [`Connection::query`]; the first statement that fails ends it.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        self.batch(sql).map(drop)
    }

    /// Runs statements of pum without parameters in one round trip, and returns the rows of the last that has some.
    ///
    /// # Errors
    /// As [`Connection::query`]; the first statement that fails ends it.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<Rows> {
        let sql = c_text(sql)?;
        self.begin()?;
        if !self.pg.send(&sql) {
            return Err(self.lost());
        }
        let mut rows = Rows { result: None };
        self.results(|_, result| {
            if result.status() == ExecStatusType::PGRES_TUPLES_OK {
                rows.result = Some(result);
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs statements of pum without parameters in one round trip, and hands over the rows of each that has some, in
    /// order.
    ///
    /// # Errors
    /// As [`Connection::query`], and what `take` returns; the first that fails ends it.
    pub(crate) fn queries(&mut self, sql: &str, mut take: impl FnMut(Rows) -> Result<()>) -> Result<()> {
        let sql = c_text(sql)?;
        self.begin()?;
        if !self.pg.send(&sql) {
            return Err(self.lost());
        }
        self.results(|_, result| match result.status() {
            ExecStatusType::PGRES_TUPLES_OK => take(Rows { result: Some(result) }),
            _ => Ok(()),
        })
    }

    /// Runs groups of statements of pum in one round trip, each statement in a message of its own. A statement that fails
    /// ends its group only; of each group the first value of its last rows is returned, or what the server refused.
    ///
    /// # Errors
    /// The connection lost, the run cancelled.
    pub(crate) fn pipeline(&mut self, groups: &[Vec<&str>]) -> Result<Vec<Result<String>>> {
        let groups = groups
            .iter()
            .map(|group| group.iter().map(|sql| c_text(sql)).collect())
            .collect::<Result<Vec<Vec<CString>>>>()?;
        self.begin()?;
        if !self.pg.enter_pipeline() {
            return Err(self.lost());
        }
        let cancel_before = self.cancel_seen;
        let outcome = self.piped(&groups);
        self.deliver_notices();
        self.tell_repeated();
        self.cancel_seen = cancel_before;
        self.cancel_sent = false;
        let left = self.pg.exit_pipeline();
        let outcome = outcome?;
        if !left {
            return Err(self.lost());
        }
        self.begin()?;
        Ok(outcome)
    }

    fn piped(&mut self, groups: &[Vec<CString>]) -> Result<Vec<Result<String>>> {
        for group in groups {
            if !group.iter().all(|sql| self.pg.send_with(sql, &[])) || !self.pg.pipeline_sync() {
                return Err(self.lost());
            }
        }
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            let mut outcome = Ok(String::new());
            for _ in group {
                while let Some(result) = self.next_result()? {
                    match result.status() {
                        ExecStatusType::PGRES_FATAL_ERROR => {
                            let error = self.failed(result.error());
                            if error.kind() == ErrorKind::ConnectionLost {
                                return Err(error);
                            }
                            outcome = Err(error);
                        }
                        ExecStatusType::PGRES_TUPLES_OK if outcome.is_ok() => {
                            outcome = Ok(result.value(0, 0).unwrap_or_default().to_owned());
                        }
                        _ => {}
                    }
                }
            }
            match self.next_result()? {
                Some(result) if result.status() == ExecStatusType::PGRES_PIPELINE_SYNC => {}
                _ => return Err(self.lost()),
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn next_result(&mut self) -> Result<Option<PgResult>> {
        self.wait_for_result()?;
        Ok(self.pg.result())
    }

    /// Runs a statement of the user. Rows are counted and never held; `COPY ... FROM STDIN` is fed from `copy`,
    /// the data of `COPY ... TO STDOUT` is dropped.
    ///
    /// # Errors
    /// As [`Connection::query`]; the position in [`Error::server`] counts characters of `sql`.
    pub fn run_statement(&mut self, sql: &str, mut copy: Option<CopySource<'_>>) -> Result<Done> {
        let sql = c_text(sql)?;
        self.begin()?;
        if !self.pg.send(&sql) || !self.pg.row_by_row() {
            return Err(self.lost());
        }
        let mut done = Done::default();
        self.results(|connection, result| {
            match result.status() {
                ExecStatusType::PGRES_SINGLE_TUPLE => done.rows += 1,
                ExecStatusType::PGRES_TUPLES_OK => done.tag = result.tag(),
                ExecStatusType::PGRES_COMMAND_OK => {
                    done.tag = result.tag();
                    done.rows += result.affected();
                }
                ExecStatusType::PGRES_COPY_IN => {
                    // After the data the server says how it went: an error there is the first that counts.
                    drop(result);
                    connection.feed(copy.take())?;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(done)
    }

    /// Rolls back whatever is open. Never fails, and works after a cancel: a session that cannot roll back is lost, and
    /// the server rolls it back itself.
    pub fn rollback(&mut self) {
        if matches!(
            self.transaction_status(),
            TransactionStatus::InTransaction | TransactionStatus::Failed
        ) {
            let before = std::mem::replace(&mut self.cancel_seen, true);
            let _ = self.uncancelled("rollback");
            self.cancel_seen = before;
        }
    }

    /// Runs a statement of pum that a cancelled run needs too, to clean up.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub(crate) fn uncancelled(&mut self, sql: &str) -> Result<()> {
        let sql = c_text(sql)?;
        let before = std::mem::replace(&mut self.cancel_seen, true);
        self.give_up = Some(Instant::now() + SILENCE);
        let outcome = if self.pg.send(&sql) {
            self.results(|_, _| Ok(()))
        } else {
            Err(self.lost())
        };
        self.cancel_seen = before;
        outcome
    }

    /// Whether cancelling the run does not reach this session, as where what is done must be recorded.
    pub(crate) fn shield(&mut self, shielded: bool) {
        self.cancel_seen = shielded;
    }

    fn begin(&mut self) -> Result<()> {
        self.give_up = None;
        if self.cancel_seen { Ok(()) } else { self.run.go_on() }
    }

    /// Fetches every result; the first error ends it after the rest is fetched, so that the session stays usable.
    fn results(&mut self, mut take: impl FnMut(&mut Connection, PgResult) -> Result<()>) -> Result<()> {
        let mut first: Option<Error> = None;
        let cancel_before = self.cancel_seen;
        loop {
            if let Err(lost) = self.wait_for_result() {
                first.get_or_insert(lost);
                break;
            }
            let Some(result) = self.pg.result() else {
                break;
            };
            match result.status() {
                ExecStatusType::PGRES_FATAL_ERROR | ExecStatusType::PGRES_BAD_RESPONSE => {
                    let error = self.failed(result.error());
                    first.get_or_insert(error);
                    if !self.pg.is_ok() {
                        break;
                    }
                }
                ExecStatusType::PGRES_COPY_OUT => {
                    if let Err(lost) = self.drop_copy() {
                        first.get_or_insert(lost);
                        break;
                    }
                }
                ExecStatusType::PGRES_COPY_BOTH => {
                    // Only a replication connection can get here, and pum opens none.
                    return Err(Error::new(ErrorKind::Server, "the server began a replication copy"));
                }
                ExecStatusType::PGRES_COPY_IN if first.is_some() => {
                    let _ = self.end_copy(Some(c"an earlier statement failed"));
                }
                _ => {
                    if let Err(error) = take(self, result) {
                        first.get_or_insert(error);
                    }
                }
            }
        }
        self.deliver_notices();
        self.tell_repeated();
        self.cancel_seen = cancel_before;
        self.cancel_sent = false;
        first.map_or(Ok(()), Err)
    }

    /// Begins a `COPY ... TO STDOUT` of pum. Its rows are fetched with [`Connection::copied_row`] to the last, or given up
    /// with [`Connection::stop_copy`]; until then nothing else can be asked.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub(crate) fn begin_copy(&mut self, sql: &str) -> Result<()> {
        let sql = c_text(sql)?;
        self.begin()?;
        if self.pg.send(&sql) { Ok(()) } else { Err(self.lost()) }
    }

    /// Puts the next row of a COPY into `row`, in COPY's text format and without its line end; false when that was all.
    ///
    /// # Errors
    /// As [`Connection::query`]; the copy has ended then.
    pub(crate) fn copied_row(&mut self, row: &mut Vec<u8>) -> Result<bool> {
        row.clear();
        loop {
            // A server that is never slower than we are would never be waited for.
            if self.run.cancel().is_cancelled() {
                self.stop_copy();
                return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            }
            if !self.copying {
                self.wait_for_result()?;
                let Some(result) = self.pg.result() else {
                    return Ok(false);
                };
                match result.status() {
                    ExecStatusType::PGRES_COPY_OUT => self.copying = true,
                    ExecStatusType::PGRES_FATAL_ERROR | ExecStatusType::PGRES_BAD_RESPONSE => {
                        let error = self.failed(result.error());
                        let _ = self.end_of_copy();
                        return Err(error);
                    }
                    _ => {}
                }
                continue;
            }
            match self
                .pg
                .copy_data(|bytes| row.extend_from_slice(bytes.strip_suffix(b"\n").unwrap_or(bytes)))
            {
                Some(true) => return Ok(true),
                Some(false) => {
                    self.wait(false)?;
                    self.deliver_notices();
                }
                None => return self.end_of_copy().map(|()| false),
            }
        }
    }

    /// What the server says after the last row.
    fn end_of_copy(&mut self) -> Result<()> {
        self.copying = false;
        let outcome = self.results(|_, _| Ok(()));
        self.cancel_seen = false;
        outcome
    }

    /// Gives up a COPY: the server is asked to stop, and what it has sent already is dropped. Does nothing without one.
    pub(crate) fn stop_copy(&mut self) {
        if self.transaction_status() == TransactionStatus::Active {
            // `wait` asks again each second, and does not look at the run any more.
            (self.cancel_seen, self.cancel_sent) = (true, true);
            self.ask_to_cancel();
            let copying = std::mem::take(&mut self.copying);
            if !copying || self.drop_copy().is_ok() {
                let _ = self.results(|_, _| Ok(()));
            }
            self.cancel_seen = false;
        }
    }

    fn drop_copy(&mut self) -> Result<()> {
        while let Some(came) = self.pg.copy_data(|_| {}) {
            if !came {
                self.wait(false)?;
            }
        }
        Ok(())
    }

    /// Waits until the server has taken all that libpq holds for it, and tells what it says meanwhile.
    fn flush(&mut self) -> Result<()> {
        loop {
            match self.pg.flush() {
                Some(true) => return Ok(()),
                Some(false) => {
                    self.wait(true)?;
                    // Takes the notices out of what has come.
                    self.pg.is_busy();
                    self.deliver_notices();
                }
                None => return Err(self.lost()),
            }
        }
    }

    fn wait_for_result(&mut self) -> Result<()> {
        self.flush()?;
        while self.pg.is_busy() {
            self.wait(false)?;
            self.deliver_notices();
        }
        Ok(())
    }

    /// Waits until the socket has something for us (or takes something), or the run is cancelled: then the server is
    /// asked to cancel, again each second, because a request that comes before its statement is lost.
    fn wait(&mut self, write: bool) -> Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let cancel = self.run.cancel().clone();
        let watch_cancel = !self.cancel_seen;
        let mut cancelled = false;
        let left = self.give_up.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Error::new(
                ErrorKind::ConnectionLost,
                format!(
                    "the connection to {} was lost: the server has not answered for {} s",
                    self.target,
                    SILENCE.as_secs()
                ),
            ));
        }
        {
            let Some(socket) = self.pg.socket() else {
                return Err(self.lost());
            };
            let flags = if write {
                PollFlags::IN | PollFlags::OUT
            } else {
                PollFlags::IN
            };
            let mut descriptors = vec![PollFd::from_borrowed_fd(socket, flags)];
            if watch_cancel && let Some(descriptor) = cancel.descriptor() {
                descriptors.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
            }
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            let limited = self.cancel_sent || left.is_some();
            match poll(&mut descriptors, limited.then_some(&second)) {
                Ok(0) => cancelled = self.cancel_sent,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(Error::new(
                        ErrorKind::ConnectionLost,
                        format!("cannot wait for the server: {error}"),
                    ));
                }
            }
            if descriptors
                .get(1)
                .is_some_and(|descriptor| !descriptor.revents().is_empty())
            {
                cancelled = true;
            }
        }
        if cancelled {
            self.cancel_seen = true;
            self.cancel_sent = true;
            self.ask_to_cancel();
        }
        if !self.pg.consume_input() {
            return Err(self.lost());
        }
        Ok(())
    }

    /// Asks the server to cancel, and waits for a second until it has been told: a request that comes late would hit what
    /// runs next. Where the network is gone nobody is told, and that is not waited for.
    fn ask_to_cancel(&mut self) {
        self.give_up.get_or_insert_with(|| Instant::now() + SILENCE);
        let asking = match self.cancelling.take() {
            Some(asking) => asking,
            None => {
                let Some(canceller) = self.pg.canceller() else { return };
                let (sender, asking) = channel();
                std::thread::spawn(move || {
                    canceller.ask();
                    let _ = sender.send(());
                });
                asking
            }
        };
        if asking.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            self.cancelling = Some(asking);
        }
    }

    /// Tells the notices that have come. A trigger that says the same for each row is told once, with how often.
    fn deliver_notices(&mut self) {
        let notices = self.pg.take_notices();
        for notice in notices.kept {
            if self.last_notice.as_ref() == Some(&notice) {
                self.repeated += 1;
                continue;
            }
            self.tell_repeated();
            self.run.emit(Event::Notice(notice.clone()));
            self.last_notice = Some(notice);
        }
        self.repeated += notices.dropped;
    }

    fn tell_repeated(&mut self) {
        if self.repeated > 0 {
            self.run
                .emit(Event::Message(format!("{} more notices like this one", self.repeated)));
        }
        self.repeated = 0;
        self.last_notice = None;
    }

    fn failed(&self, server: ServerError) -> Error {
        // The server ends the session after these, and the socket may still be open.
        let ended = matches!(server.severity.as_str(), "FATAL" | "PANIC");
        let kind = if ended || !self.pg.is_ok() {
            ErrorKind::ConnectionLost
        } else if self.cancel_seen && server.sqlstate == "57014" && self.run.cancel().is_cancelled() {
            ErrorKind::Cancelled
        } else {
            ErrorKind::Server
        };
        let message = if kind == ErrorKind::Cancelled {
            "cancelled".to_owned()
        } else {
            server.message.clone()
        };
        Error::new(kind, message).with_server(server)
    }

    fn lost(&self) -> Error {
        let message = self.pg.error_message();
        let first = message.lines().next().unwrap_or("").to_owned();
        Error::new(
            ErrorKind::ConnectionLost,
            format!("the connection to {} was lost: {first}", self.target),
        )
    }
}

fn refused(target: &Target, pg: &Pg) -> Error {
    // One line for each host that was tried, and indented ones that explain them.
    let words: Vec<String> = pg.error_message().lines().map(|line| line.trim().to_owned()).collect();
    let mut message = words.join("; ");
    if let Some(password) = target.value("password").filter(|password| !password.is_empty()) {
        message = message.replace(password, "***");
    }
    let name = named(target);
    if pg.needs_password() {
        return Error::new(
            ErrorKind::PasswordNeeded,
            format!("{name} needs a password, and none is known: {message}"),
        )
        .with_hint(
            "put it into the passfile (~/.pgpass, which libpq reads only after chmod 0600) or into PGPASSWORD, or \
             answer the question on a terminal (-W)",
        );
    }
    let hint = if message.contains("password authentication failed") {
        "check the user and the password, which can also come from PGPASSWORD or the passfile (~/.pgpass); -W asks for it"
    } else if message.contains("FATAL:  database") && message.contains("does not exist") {
        "check its name (`psql -l` lists the databases of the server), or create it (createdb, `pum restore --create`)"
    } else if message.contains("FATAL:") {
        "the server is there and does not let you in; psql with the same name must connect too"
    } else {
        "check that the server runs and that host and port are right; psql with the same name must connect too"
    };
    Error::new(ErrorKind::Connection, format!("cannot connect to {name}: {message}")).with_hint(hint)
}

fn named(target: &Target) -> String {
    match target.service() {
        Some(service) => format!("the service \"{service}\""),
        None => target.to_string(),
    }
}

fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| {
        Error::new(
            ErrorKind::Usage,
            "the text holds a NUL character, which PostgreSQL cannot store",
        )
    })
}

/// An identifier in double quotes (PostgreSQL documentation, "Identifiers and Key Words").
///
/// ```
/// assert_eq!(pum::quote_identifier("a\"b"), "\"a\"\"b\"");
/// ```
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal, right under every setting of `standard_conforming_strings`.
///
/// ```
/// assert_eq!(pum::quote_literal("it's"), "'it''s'");
/// assert_eq!(pum::quote_literal(r"a\b"), r" E'a\\b'");
/// ```
pub fn quote_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}
