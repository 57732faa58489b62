//! Sees who is in the way of a session, from a connection of its own.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::connection::{Connection, quote_literal};
use crate::error::Result;
use crate::run::{Event, Run};
use crate::target::Target;

/// Follows one server process and tells whom it waits for. Without it an upgrade is the same, only quieter.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    pid: AtomicI32,
    blockers: Mutex<Option<Blockers>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Blockers {
    told: String,
    /// The identifier of a prepared transaction among them, as a literal.
    prepared: Option<String>,
}

const INTERVAL: Duration = Duration::from_millis(200);

impl Watch {
    pub(crate) fn new(target: &Target, run: &Run) -> Watch {
        let shared = Arc::new(Shared::default());
        let (seen, target, run) = (Arc::clone(&shared), target.clone(), run.clone());
        let thread = std::thread::spawn(move || {
            // A server without a free connection upgrades all the same.
            let _ = follow(&seen, &target, &run);
        });
        Watch {
            shared,
            thread: Some(thread),
        }
    }

    /// Follows this server process from now on.
    pub(crate) fn follow(&self, pid: i32) {
        self.forget();
        self.shared.pid.store(pid, Ordering::SeqCst);
    }

    /// Forgets who was in the way before.
    pub(crate) fn forget(&self) {
        if let Ok(mut blockers) = self.shared.blockers.lock() {
            *blockers = None;
        }
    }

    /// Who was in the way last.
    pub(crate) fn last_blockers(&self) -> Option<String> {
        self.last().map(|blockers| blockers.told)
    }

    /// The identifier of a prepared transaction that was in the way last, as a literal.
    pub(crate) fn last_prepared(&self) -> Option<String> {
        self.last().and_then(|blockers| blockers.prepared)
    }

    fn last(&self) -> Option<Blockers> {
        self.shared.blockers.lock().ok().and_then(|blockers| blockers.clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Where the network is gone it gets no answer: then it ends later, and tells nothing any more.
            for _ in 0..200 {
                if thread.is_finished() {
                    let _ = thread.join();
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn follow(shared: &Shared, target: &Target, run: &Run) -> Result<()> {
    let mut connection: Option<Connection> = None;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(INTERVAL);
        let pid = shared.pid.load(Ordering::SeqCst);
        if pid == 0 || shared.stop.load(Ordering::SeqCst) {
            continue;
        }
        let connection = match &mut connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(target, run)?),
        };
        let rows = connection.query(
            "select format('process %s of user %s%s, %s, in its transaction since %s', b.pid, coalesce(a.usename::text, '?'), \
             case when coalesce(a.application_name, '') <> '' then format(' (%s)', a.application_name) end, \
             coalesce(a.state, '?'), coalesce(date_trunc('second', a.xact_start)::text, '?')) \
             , b.pid = 0 \
             from (select distinct unnest(pg_blocking_pids($1::int4)) as pid) b \
             left join pg_stat_activity a on a.pid = b.pid order by b.pid limit 5",
            &[Some(&pid.to_string())],
        )?;
        let mut told = Vec::new();
        let mut prepared = None;
        for row in rows.iter() {
            // No process is a prepared transaction's.
            if row.value(1) == Some("t") {
                let gids = prepared_transactions(connection, pid)?;
                told.push(match gids.join(", ") {
                    gids if gids.is_empty() => "a prepared transaction (see pg_prepared_xacts)".to_owned(),
                    gids => format!("a prepared transaction (see pg_prepared_xacts: {gids})"),
                });
                prepared = gids.into_iter().next();
            } else {
                told.push(row.text(0).to_owned());
            }
        }
        if told.is_empty() {
            continue;
        }
        let now = Blockers {
            told: told.join("; "),
            prepared,
        };
        let Ok(mut known) = shared.blockers.lock() else {
            continue;
        };
        if known.as_ref() != Some(&now) {
            run.emit(Event::Waiting(format!("waiting for {}", now.told)));
            *known = Some(now);
        }
    }
    Ok(())
}

/// The identifiers, as literals, of the prepared transactions that hold what a process waits for.
fn prepared_transactions(connection: &mut Connection, pid: i32) -> Result<Vec<String>> {
    let rows = connection.query(
        "select distinct p.gid from pg_locks w join pg_locks h on h.granted and h.pid is null \
         and h.locktype = w.locktype and h.database is not distinct from w.database \
         and h.relation is not distinct from w.relation and h.transactionid is not distinct from w.transactionid \
         join pg_locks x on x.pid is null and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock' \
         and x.virtualtransaction = h.virtualtransaction join pg_prepared_xacts p on p.transaction = x.transactionid \
         where w.pid = $1::int4 and not w.granted order by p.gid limit 5",
        &[Some(&pid.to_string())],
    )?;
    Ok(rows
        .iter()
        .map(|row| quote_literal(row.text(0)).trim_start().to_owned())
        .collect())
}
