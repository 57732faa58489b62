//! The lock that lets one run at a time change a database.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::history::TableName;
use crate::run::{Event, Run};
use crate::target::Target;

/// Held as long as the value lives, on an idle connection of its own: an idle session does not delay
/// `CREATE INDEX CONCURRENTLY`, and `DISCARD ALL` between steps does not drop it.
pub(crate) struct Lock {
    connection: Connection,
    key: i64,
    held: bool,
    // What the server itself calls this session: a pooler tells another number in its handshake.
    process: String,
}

impl Lock {
    /// Takes the lock, polling for it up to `wait`. The blocking form is never used: a session that waits in
    /// `pg_advisory_lock` deadlocks with a holder that runs `CREATE INDEX CONCURRENTLY`.
    pub(crate) fn take(target: &Target, table: &TableName, wait: Duration, run: &Run) -> Result<Lock> {
        let connection = Connection::open(target, run)?;
        let mut lock = Lock {
            connection,
            key: key(table),
            held: false,
            process: String::new(),
        };
        let begun = Instant::now();
        let mut told = None;
        loop {
            if !lock.held {
                let rows = lock.connection.query(
                    "select pg_try_advisory_lock($1::int8)::text",
                    &[Some(&lock.key.to_string())],
                )?;
                lock.held = rows.value(0, 0) == Some("true");
            }
            let busy = if lock.held {
                // A run that was killed may have left the server at work, even in its COMMIT.
                let Some(left) = lock.holder(work_key(table))? else {
                    let own = lock.connection.query("select pg_backend_pid()::text", &[])?;
                    lock.process = own.value(0, 0).unwrap_or_default().to_owned();
                    return Ok(lock);
                };
                format!("a run of pum that is gone left the server at work in {target}: {left}")
            } else {
                // A holder that is gone by now gave it back in between.
                let Some(holder) = lock.holder(lock.key)? else { continue };
                format!("another run of pum is changing {target}: {holder}")
            };
            if begun.elapsed() >= wait {
                return Err(Error::new(ErrorKind::Locked, busy)
                    .with_hint("wait for its end, or let this run wait for it, such as --wait 10min")
                    .with_state("nothing was changed"));
            }
            if told.as_ref() != Some(&busy) {
                run.emit(Event::Waiting(busy.clone()));
                told = Some(busy);
            }
            run.sleep(Duration::from_millis(200))?;
        }
    }

    /// Who holds one of the two locks, but for ourselves.
    fn holder(&mut self, key: i64) -> Result<Option<String>> {
        let (class, object) = halves(key);
        let rows = self.connection.query(
            "select l.pid::text, coalesce(a.usename::text, '?'), coalesce(a.client_addr::text, 'a local socket'), \
             coalesce(date_trunc('second', a.backend_start)::text, '?') \
             from pg_locks l left join pg_stat_activity a on a.pid = l.pid \
             where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
             and l.database = (select oid from pg_database where datname = current_database()) \
             and l.classid = $1::text::oid and l.objid = $2::text::oid",
            &[Some(&class.to_string()), Some(&object.to_string())],
        )?;
        Ok(rows.iter().next().map(|row| {
            format!(
                "server process {} of user {} from {}, since {}",
                row.text(0),
                row.text(1),
                row.text(2),
                row.text(3)
            )
        }))
    }

    /// Whether the lock is still ours: its connection answers.
    pub(crate) fn still_held(&mut self) -> Result<()> {
        self.connection.query("select 1", &[]).map(drop).map_err(|error| {
            if error.kind() == ErrorKind::ConnectionLost {
                error.within("the lock on the upgrades table is lost")
            } else {
                error
            }
        })
    }

    /// Makes sure that another session is on the database of the lock: a name can lead to several servers.
    ///
    /// # Errors
    /// It is on another, where nothing would be locked; or the lock is lost.
    pub(crate) fn guards(&mut self, other: &mut Connection) -> Result<()> {
        // Qualified: it may be a session for scripts.
        let rows = other.query(
            "select pg_catalog.pg_try_advisory_lock($1::pg_catalog.int8)::pg_catalog.text",
            &[Some(&self.key.to_string())],
        )?;
        if rows.value(0, 0) != Some("true") {
            return Ok(());
        }
        let _ = other.uncancelled(&format!("select pg_catalog.pg_advisory_unlock({})", self.key));
        // It can also be had because its own session is lost by now.
        self.still_held()?;
        let target = other.target();
        Err(Error::new(
            ErrorKind::Refused,
            format!("{target} leads to two databases: the lock was taken in one, and the next session came to another"),
        )
        .with_hint("name one server: several hosts, a name with several addresses, or a fail-over are behind it"))
    }

    /// An expression that is true in any session while the lock is ours. Who says first that he is at work, and asks then,
    /// cannot be overlooked by a run that took the lock when this session was lost.
    pub(super) fn is_ours(&self) -> String {
        held(self.key, &format!("{}::pg_catalog.int4", self.process), "ExclusiveLock")
    }

    /// What is to be said when it is not.
    pub(super) fn lost() -> Error {
        Error::new(
            ErrorKind::ConnectionLost,
            "the session with the lock on the upgrades table is lost",
        )
    }

    /// The lock's own session, for reading.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the connection gives it back too, but a moment later: the next run would still find it taken.
        if self.held {
            let _ = self
                .connection
                .uncancelled(&format!("select pg_advisory_unlock({})", self.key));
        }
    }
}

/// Advisory locks belong to a database already; the table tells modules in one database apart.
fn key(table: &TableName) -> i64 {
    let digest = Sha256::digest(format!("pum upgrades table {}", table.quoted()));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

/// The key of the lock that the sessions at work hold, each with the others. The server may work on for a run that is gone,
/// and its idle session with the lock is gone at once: this one tells.
fn work_key(table: &TableName) -> i64 {
    key(table) ^ 1
}

/// What a session runs to say that it is at work until the end of its transaction. It waits for nobody, because nobody takes
/// this lock for himself.
pub(super) fn at_work_in_transaction(table: &TableName) -> String {
    format!("select pg_catalog.pg_advisory_xact_lock_shared({})", work_key(table))
}

/// How a session without a transaction around its work says that it is at work. A script can take its word back, by
/// `DISCARD ALL` or `pg_advisory_unlock_all()`.
pub(super) struct AtWork {
    lock: String,
    unlock: String,
    said: String,
    ours: String,
    settings: String,
}

impl AtWork {
    /// For a session that has these settings, under this lock.
    pub(super) fn new(table: &TableName, lock: &Lock, settings: String) -> AtWork {
        let key = work_key(table);
        let said = held(key, "pg_catalog.pg_backend_pid()", "ShareLock");
        AtWork {
            lock: format!("select pg_catalog.pg_advisory_lock_shared({key})"),
            unlock: format!("select pg_catalog.pg_advisory_unlock_shared({key}) where {said}"),
            said: format!("select {said}"),
            ours: format!("select {}", lock.is_ours()),
            settings,
        }
    }

    /// Gives the session its settings, and says it.
    ///
    /// # Errors
    /// The lock is lost: another run may be at work.
    pub(super) fn begin(&self, connection: &mut Connection) -> Result<()> {
        let settings = &self.settings;
        self.say(connection, &format!("{settings}; "))
    }

    /// Runs something, such as the beginning of a transaction, and says it again where the script took it back.
    ///
    /// # Errors
    /// As [`AtWork::begin`].
    pub(super) fn still(&self, connection: &mut Connection, first: &str) -> Result<()> {
        let said = connection.batch(&format!("{first}{}", self.said))?;
        if said.value(0, 0) == Some("t") {
            return Ok(());
        }
        self.say(connection, "")
    }

    /// Gives the session its settings anew, and says it again where the script took it back.
    ///
    /// # Errors
    /// As [`AtWork::begin`].
    pub(super) fn again(&self, connection: &mut Connection) -> Result<()> {
        self.still(connection, &format!("{}; ", self.settings))
    }

    fn say(&self, connection: &mut Connection, first: &str) -> Result<()> {
        let ours = connection.batch(&format!("{first}{}; {}", self.lock, self.ours))?;
        match ours.value(0, 0) {
            Some("t") => Ok(()),
            _ => Err(Lock::lost()),
        }
    }

    /// Says that the work is over. A session that is lost has said it, or shows that the server is still at work.
    pub(super) fn end(&self, connection: &mut Connection) {
        let _ = connection.uncancelled(&self.unlock);
    }
}

/// An expression that is true while a server process, given as an expression, holds one of the locks.
fn held(key: i64, process: &str, mode: &str) -> String {
    let (class, object) = halves(key);
    format!(
        "exists (select from pg_catalog.pg_locks l where l.pid operator(pg_catalog.=) {process} and l.granted \
         and l.locktype operator(pg_catalog.=) 'advisory'::pg_catalog.text \
         and l.mode operator(pg_catalog.=) '{mode}'::pg_catalog.text \
         and l.classid operator(pg_catalog.=) '{class}'::pg_catalog.oid \
         and l.objid operator(pg_catalog.=) '{object}'::pg_catalog.oid)"
    )
}

/// The key as `pg_locks` shows it, in `classid` and `objid`.
pub(crate) fn key_in_pg_locks(table: &TableName) -> (u64, u64) {
    halves(key(table))
}

fn halves(key: i64) -> (u64, u64) {
    (key.cast_unsigned() >> 32, key.cast_unsigned() & 0xffff_ffff)
}

/// Whether two sessions are on the same database, whatever names, sockets, poolers or roles led there: an advisory
/// lock taken on one is refused on the other if and only if it is the same database.
///
/// # Errors
/// A connection is lost or the run cancelled.
pub(crate) fn same_database(left: &mut Connection, right: &mut Connection) -> Result<bool> {
    let random = uuid::Uuid::new_v4().as_u128();
    let key = i64::from_be_bytes((random as u64).to_be_bytes()).to_string();
    left.query("select pg_advisory_lock($1::int8)", &[Some(&key)])?;
    let taken = right
        .query("select pg_try_advisory_lock($1::int8)::text", &[Some(&key)])?
        .value(0, 0)
        == Some("true");
    if taken {
        right.query("select pg_advisory_unlock($1::int8)", &[Some(&key)])?;
    }
    left.query("select pg_advisory_unlock($1::int8)", &[Some(&key)])?;
    Ok(!taken)
}
