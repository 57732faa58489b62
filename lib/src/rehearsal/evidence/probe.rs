//! Light readers and writers that feel what the users of a table would feel.
//!
//! A probe asks for what a reader or a writer asks for and gives it back at once. It never waits for longer than
//! [`PATIENCE`] in one go, so that the server never takes it and the upgrade for a deadlock, and then asks again: the whole
//! wait counts. A writer locks what an UPDATE of one row locks, and writes nothing: no trigger is fired.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Place, Wait, Waiter};
use crate::connection::Connection;
use crate::run::Run;
use crate::target::Target;

/// How many tables are probed at the same time.
const TABLES: usize = 6;
const PATIENCE: &str = "100ms";
const PAUSE: Duration = Duration::from_millis(4);

/// A table that is to be probed until it is free again.
struct Order {
    table: String,
    place: Place,
    since: Instant,
}

#[derive(Default)]
struct Shared {
    waits: HashMap<(String, Waiter), Wait>,
    /// Tables that are locked now.
    locked: HashMap<String, usize>,
    /// Tables that nobody was free to probe.
    missed: Vec<String>,
}

pub(super) struct Probes {
    shared: Arc<Mutex<Shared>>,
    orders: Vec<(Sender<Order>, Waiter)>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
}

impl Probes {
    /// Opens the sessions. Fewer than wanted, or none, is no failure: what could not be probed is told.
    pub(super) fn start(target: &Target, begun: Instant, run: &Run) -> Probes {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (mut orders, mut threads) = (Vec::new(), Vec::new());
        for waiter in [Waiter::Reader, Waiter::Writer].repeat(TABLES) {
            let Ok(mut connection) = Connection::open(target, &run.quietly()) else {
                break;
            };
            let settings = format!("set lock_timeout = '{PATIENCE}'; set application_name = 'pum rehearsal'");
            if connection.execute(&settings).is_err() {
                break;
            }
            let (sender, receiver) = channel();
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || {
                work(connection, &receiver, waiter, &shared, begun)
            }));
            orders.push((sender, waiter));
        }
        Probes {
            shared,
            orders,
            threads,
            next: 0,
        }
    }

    /// Tells that a table is locked: from now on it is probed until it is free.
    pub(super) fn locked(&mut self, table: &str, place: &Place) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = shared.locked.entry(table.to_owned()).or_default();
        *holders += 1;
        if *holders > 1 {
            return;
        }
        if shared.locked.len() > TABLES || self.orders.len() < 2 {
            shared.missed.push(table.to_owned());
            return;
        }
        // Two in turn: a reader and a writer.
        for _ in 0..2 {
            if let Some((sender, _)) = self.orders.get(self.next) {
                let order = Order {
                    table: table.to_owned(),
                    place: place.clone(),
                    since: Instant::now(),
                };
                // A probe that lost its session is missed in the end, and nothing else.
                let _ = sender.send(order);
            }
            self.next = (self.next + 1) % self.orders.len();
        }
    }

    /// Tells that a lock on a table was given back.
    pub(super) fn released(&self, table: &str) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holders) = shared.locked.get_mut(table) {
            *holders -= 1;
            if *holders == 0 {
                shared.locked.remove(table);
            }
        }
    }

    /// The longest wait of each table and waiter, and the tables that were not probed.
    pub(super) fn end(mut self) -> (Vec<Wait>, Vec<String>) {
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .locked
            .clear();
        self.orders.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waits: Vec<Wait> = shared.waits.drain().map(|(_, wait)| wait).collect();
        waits.sort_by(|one, other| (one.begin, &one.table, one.waiter).cmp(&(other.begin, &other.table, other.waiter)));
        let mut missed = std::mem::take(&mut shared.missed);
        missed.retain(|table| !waits.iter().any(|wait| wait.table == *table));
        missed.sort();
        missed.dedup();
        (waits, missed)
    }
}

fn work(mut connection: Connection, orders: &Receiver<Order>, waiter: Waiter, shared: &Mutex<Shared>, begun: Instant) {
    while let Ok(order) = orders.recv() {
        let Order { table, place, since } = order;
        let question = match waiter {
            Waiter::Reader => format!("begin read only; select from {table} limit 1; rollback"),
            Waiter::Writer => format!(
                "begin; lock table only {table} in row exclusive mode; select from only {table} limit 1 for no key update; rollback"
            ),
        };
        let mut asked = since;
        loop {
            let outcome = connection.execute(&question);
            connection.rollback();
            let again = match &outcome {
                Ok(()) => false,
                // Nobody let it in as long as it had patience.
                Err(error) if error.sqlstate() == Some("55P03") => true,
                // The table is gone, or the probe may not: there is nobody to wait any more.
                Err(_) => false,
            };
            if again {
                continue;
            }
            // Nobody writes to a materialized view.
            if matches!(&outcome, Err(error) if error.sqlstate() == Some("42809")) {
                break;
            }
            let answered = Instant::now();
            let failed = outcome.is_err();
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = Wait {
                table: table.clone(),
                waiter,
                during: place.clone(),
                begin: milliseconds(asked - begun),
                milliseconds: milliseconds(answered - asked),
            };
            let longest = shared
                .waits
                .entry((table.clone(), waiter))
                .or_insert_with(|| wait.clone());
            if longest.milliseconds < wait.milliseconds {
                *longest = wait;
            }
            if failed || !shared.locked.contains_key(&table) {
                break;
            }
            drop(shared);
            std::thread::sleep(PAUSE);
            asked = Instant::now();
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
