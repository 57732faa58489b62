//! Looks on while the copy is upgraded, and writes down what it sees.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::held::State;
use super::locks::{Eyes, INTERVAL, Look, Oid, Relation};
use super::probe::{Probes, milliseconds};
use super::{Evidence, Place, Rewrite, Scan, StatementEvidence, StepEvidence};
use crate::connection::{Connection, TransactionStatus};
use crate::delta::Language;
use crate::error::Result;
use crate::run::Run;
use crate::script::{Statement, hidden, secrets};
use crate::target::Target;
use crate::upgrade::{Step, Witness};

/// So many statements of a step are looked at each; of the others only those that change the structure.
const LOOKED_AT: usize = 1000;
/// So many statements of a step are told, the longest, besides those that locked, rewrote or read a table.
const TOLD: usize = 50;
/// Characters of a statement that are told.
const BEGINNING: usize = 200;

/// No session to look at.
const NOBODY: i32 = -1;
/// Every client of the database: what runs is a program with sessions of its own.
const EVERY_CLIENT: i32 = 0;

struct Shared {
    stop: AtomicBool,
    pid: AtomicI32,
    /// Changes whenever what was looked at before is out of date.
    epoch: AtomicU64,
    /// Changes whenever names may have changed.
    commits: AtomicU64,
    state: Mutex<State>,
}

/// The file of a relation.
#[derive(Clone)]
struct File {
    number: String,
    bytes: u64,
}

/// Looks on while the copy is upgraded.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    watching: Option<JoinHandle<Result<()>>>,
    /// Why nobody looks on between the ends of statements any more.
    blind: Option<String>,
    eyes: Eyes,
    begun: Instant,
    steps: Vec<StepEvidence>,
    rewrites: Vec<Rewrite>,
    scans: Vec<Scan>,
    files: HashMap<Oid, File>,
    /// How often each relation was read as a whole as far as this session knows, and whether that is up to date.
    scanned: HashMap<Oid, u64>,
    scanned_known: bool,
    /// Whether it is of this transaction.
    counted: bool,
    /// The steps that change the structure outside a transaction, where nobody counts what was read.
    outside: BTreeSet<usize>,
    wal: u64,
    /// Whether that is of the end of the statement before.
    wal_known: bool,
    step_wal: u64,
    statement_begun: Instant,
    /// How many steps, rewrites and scans there were when the transaction began.
    kept: [usize; 3],
    /// How long the step was kept waiting by what is looked at in it.
    looking: Duration,
    temporary: u64,
    size: u64,
    session: i32,
}

impl Recorder {
    /// Opens the sessions that look.
    pub(crate) fn start(copy: &Target, run: &Run) -> Result<Recorder> {
        let mut eyes = Eyes::open(copy, run)?;
        let mut watching = Eyes::open(copy, run)?;
        let begun = Instant::now();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            pid: AtomicI32::new(NOBODY),
            epoch: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            state: Mutex::new(State {
                begun,
                place: Place {
                    step: 0,
                    statement: None,
                    line: None,
                },
                open: HashMap::new(),
                closed: Vec::new(),
                probes: Some(Probes::start(copy, begun, run)),
            }),
        });
        let seen = Arc::clone(&shared);
        // Whoever cannot look any more sees less, and the upgrade goes on.
        let thread = std::thread::spawn(move || watch(&seen, &mut watching));
        let files = files(eyes.connection())?;
        let wal = eyes.look(NOBODY)?.wal;
        let [temporary, size] = totals(eyes.connection())?;
        Ok(Recorder {
            shared,
            watching: Some(thread),
            blind: None,
            eyes,
            begun,
            steps: Vec::new(),
            rewrites: Vec::new(),
            scans: Vec::new(),
            files,
            scanned: HashMap::new(),
            scanned_known: false,
            counted: false,
            outside: BTreeSet::new(),
            wal,
            wal_known: true,
            step_wal: wal,
            statement_begun: begun,
            kept: [0; 3],
            looking: Duration::ZERO,
            temporary,
            size,
            session: NOBODY,
        })
    }

    /// What was seen. The sessions are closed.
    pub(crate) fn end(mut self) -> Result<Evidence> {
        self.stop();
        let [temporary, size] = totals(self.eyes.connection())?;
        let mut state = self.shared.state();
        let probes = state.probes.take();
        let mut locks = std::mem::take(&mut state.closed);
        drop(state);
        locks.sort_by(|one, other| (one.begin, &one.relation).cmp(&(other.begin, &other.relation)));
        let (waits, missed) = probes.map(Probes::end).unwrap_or_default();
        let mut not_measured = Vec::new();
        if let Some(why) = self.blind.take() {
            not_measured.push(format!("locks that were not held at the end of a statement: {why}"));
        }
        if !missed.is_empty() {
            not_measured.push(format!(
                "how long readers and writers of {} waited: too many tables were locked at once",
                missed.join(", ")
            ));
        }
        let outside = self.outside.iter().filter_map(|step| self.steps.get(*step));
        not_measured.extend(outside.map(|step| {
            format!(
                "which tables {} reads as a whole: it is not in a transaction",
                step.step
            )
        }));
        Ok(Evidence {
            steps: std::mem::take(&mut self.steps),
            locks,
            waits,
            rewrites: std::mem::take(&mut self.rewrites),
            scans: std::mem::take(&mut self.scans),
            temporary_bytes: temporary.saturating_sub(self.temporary),
            size: [self.size, size],
            not_measured,
            ..Evidence::default()
        })
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.watching.take() {
            thread.thread().unpark();
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.blind = Some(error.message().to_owned()),
                Err(_) => self.blind = Some("looking on ended unexpectedly".to_owned()),
            }
        }
    }

    fn place(&self) -> Place {
        self.shared.state().place.clone()
    }

    fn set_place(&self, statement: Option<&Statement>) {
        self.shared.state().place = Place {
            step: self.steps.len().saturating_sub(1),
            statement: statement.map(Statement::number),
            line: statement.map(Statement::line),
        };
    }

    /// Looks at the locks that the session holds now, which it keeps until its transaction ends.
    fn look(&mut self) -> Result<Look> {
        let look = self.eyes.look(self.session)?;
        let found = known(&mut self.eyes, &self.shared, &look)?;
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        self.shared.state().seen(&look, found, true);
        Ok(look)
    }

    /// How often each relation was read as a whole until now.
    fn count_scans(&mut self, connection: &mut Connection) -> Result<()> {
        if self.scanned_known {
            return Ok(());
        }
        // What the server has not added up yet counts as of this transaction, also when earlier ones read it. Within the
        // transaction what was read is locked.
        let relations = if self.counted {
            "pg_catalog.pg_locks l where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid() \
             and l.locktype operator(pg_catalog.=) 'relation'::pg_catalog.text \
             and l.relation operator(pg_catalog.>=) 16384::pg_catalog.oid"
        } else {
            "(select c.oid as relation from pg_catalog.pg_class c where c.oid operator(pg_catalog.>=) 16384::pg_catalog.oid \
             and pg_catalog.pg_stat_get_xact_numscans(c.oid) operator(pg_catalog.>) 0::pg_catalog.int8) l"
        };
        let rows = connection.query(
            &format!(
                "select distinct l.relation::pg_catalog.text, \
                 pg_catalog.pg_stat_get_xact_numscans(l.relation)::pg_catalog.text from {relations}"
            ),
            &[],
        )?;
        for row in rows.iter() {
            if let (Ok(oid), Ok(scans)) = (row.text(0).parse::<Oid>(), row.text(1).parse::<u64>()) {
                self.scanned.insert(oid, scans);
            }
        }
        self.scanned_known = true;
        self.counted = true;
        Ok(())
    }

    /// What a statement did to the files of the tables that it locked, and which of them it read as a whole.
    fn files_of(&mut self, connection: &mut Connection, look: &Look, statement: &Statement) -> Result<()> {
        let oids: BTreeSet<Oid> = look.held.iter().map(|(oid, _)| *oid).collect();
        let list: Vec<String> = oids.iter().map(ToString::to_string).collect();
        let list = format!("{{{}}}", list.join(","));
        // The script decides the search_path here.
        let rows = connection.query(
            "select c.oid::pg_catalog.text, pg_catalog.pg_relation_filenode(c.oid)::pg_catalog.text, \
                 pg_catalog.pg_stat_get_xact_numscans(c.oid)::pg_catalog.text, i.indrelid::pg_catalog.text \
             from pg_catalog.pg_class c left join pg_catalog.pg_index i on i.indexrelid operator(pg_catalog.=) c.oid \
             where c.oid operator(pg_catalog.=) any ($1::pg_catalog.oid[]) \
                 or i.indrelid operator(pg_catalog.=) any ($1::pg_catalog.oid[])",
            &[Some(&list)],
        )?;
        let word = first_word(statement.text());
        let mut rewritten: BTreeSet<Oid> = BTreeSet::new();
        let mut indexes = Vec::new();
        for row in rows.iter() {
            let Ok(oid) = row.text(0).parse::<Oid>() else { continue };
            let Some(file) = self.files.get_mut(&oid) else { continue };
            let before = file.clone();
            let number = row.text(1);
            if !number.is_empty() && number != file.number {
                file.number = number.to_owned();
                match row.text(3).parse::<Oid>() {
                    Ok(table) => indexes.push((oid, table, before.bytes)),
                    Err(_) => {
                        rewritten.insert(oid);
                    }
                }
            }
            let scans: u64 = row.text(2).parse().unwrap_or(0);
            let known = self.scanned.insert(oid, scans).unwrap_or(0);
            let reads = scans > known && self.scanned_known && row.text(3).is_empty();
            if reads
                && matches!(&*word, "alter" | "create")
                && before.bytes > 0
                && let Some(relation) = self.eyes.relation(oid)?
            {
                self.scans.push(Scan {
                    table: relation.name,
                    by: self.place(),
                    bytes: before.bytes,
                });
            }
        }
        if word == "truncate" {
            return Ok(());
        }
        // The indexes of a table that is written anew are, too: that goes without saying.
        let indexes = indexes.into_iter().filter(|(_, table, _)| !rewritten.contains(table));
        let oids: Vec<Oid> = rewritten.iter().copied().chain(indexes.map(|(oid, ..)| oid)).collect();
        for oid in oids {
            let bytes = self.files.get(&oid).map_or(0, |file| file.bytes);
            if let Some(relation) = self.eyes.relation(oid)? {
                self.rewrites.push(Rewrite {
                    relation: relation.name,
                    table: relation.table,
                    by: self.place(),
                    bytes,
                });
            }
        }
        Ok(())
    }

    /// Keeps the longest statements of the step, and those that something is told of.
    fn prune(&mut self) {
        let number = self.steps.len().saturating_sub(1);
        let state = self.shared.state();
        let places = state
            .closed
            .iter()
            .map(|lock| &lock.taken_by)
            .chain(state.open.values().map(|open| &open.by))
            .chain(self.rewrites.iter().map(|rewrite| &rewrite.by))
            .chain(self.scans.iter().map(|scan| &scan.by));
        let told: BTreeSet<usize> = places
            .filter(|place| place.step == number)
            .filter_map(|place| place.statement)
            .collect();
        drop(state);
        let Some(step) = self.steps.last_mut() else { return };
        let mut times: Vec<u64> = step.statements.iter().map(|statement| statement.milliseconds).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        let least = times.get(TOLD).copied().map_or(0, |time| time + 1);
        step.statements
            .retain(|statement| statement.milliseconds >= least || told.contains(&statement.number));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Witness for Recorder {
    fn session(&mut self, pid: i32) {
        self.session = pid;
        self.shared.pid.store(pid, Ordering::SeqCst);
    }

    fn step_begins(&mut self, step: &Step) -> Result<()> {
        let is_python = step.language() == Language::Python;
        self.shared
            .pid
            .store(if is_python { EVERY_CLIENT } else { self.session }, Ordering::SeqCst);
        self.step_wal = self.wal;
        self.looking = Duration::ZERO;
        self.steps.push(StepEvidence {
            step: step.to_string(),
            path: step.path().to_owned(),
            begin: milliseconds(self.begun.elapsed()),
            milliseconds: 0,
            wal_bytes: 0,
            statements: Vec::new(),
            statement_count: 0,
        });
        self.set_place(None);
        Ok(())
    }

    fn statement_begins(&mut self, connection: &mut Connection, statement: &Statement) -> Result<()> {
        let asked = Instant::now();
        if matches!(&*first_word(statement.text()), "alter" | "create") {
            self.count_scans(connection)?;
        }
        self.set_place(Some(statement));
        self.statement_begun = Instant::now();
        self.looking += self.statement_begun - asked;
        Ok(())
    }

    fn statement_ended(&mut self, connection: &mut Connection, statement: &Statement, rows: u64) -> Result<()> {
        let ended = Instant::now();
        let took = milliseconds(ended - self.statement_begun);
        let structure = changes_structure(statement.text());
        let begin = milliseconds(self.statement_begun - self.begun);
        if structure && connection.transaction_status() == TransactionStatus::Idle {
            self.outside.insert(self.steps.len().saturating_sub(1));
        }
        let looks = structure || statement.number() <= LOOKED_AT;
        let mut wal_bytes = 0;
        if looks {
            let look = self.look()?;
            if self.wal_known {
                wal_bytes = look.wal.saturating_sub(self.wal);
            }
            self.wal = look.wal;
            self.wal_known = true;
            if !look.held.is_empty() && structure {
                self.files_of(connection, &look, statement)?;
            } else {
                self.scanned_known = false;
            }
        } else {
            self.scanned_known = false;
            self.wal_known = false;
        }
        let Some(step) = self.steps.last_mut() else {
            return Ok(());
        };
        step.statement_count = step.statement_count.max(statement.number());
        step.statements.push(StatementEvidence {
            number: statement.number(),
            line: statement.line(),
            text: beginning(statement.text()),
            begin,
            milliseconds: took,
            rows,
            wal_bytes,
        });
        if step.statements.len() > 10 * TOLD {
            self.prune();
        }
        self.looking += ended.elapsed();
        Ok(())
    }

    fn transaction_ended(&mut self) -> Result<()> {
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        self.shared.commits.fetch_add(1, Ordering::SeqCst);
        self.eyes.forget();
        self.shared.state().close_all();
        self.scanned.clear();
        self.scanned_known = false;
        self.counted = false;
        Ok(())
    }

    fn step_ended(&mut self) -> Result<()> {
        // Nobody looks on in production.
        let now = milliseconds(self.begun.elapsed().saturating_sub(self.looking));
        self.prune();
        self.wal = self.eyes.look(NOBODY)?.wal;
        self.wal_known = true;
        if let Some(step) = self.steps.last_mut() {
            step.milliseconds = now.saturating_sub(step.begin);
            step.wal_bytes = self.wal.saturating_sub(self.step_wal);
        }
        Ok(())
    }

    fn attempt_begins(&mut self) {
        self.kept = [self.steps.len(), self.rewrites.len(), self.scans.len()];
    }

    fn rolled_back(&mut self) {
        // A lock that was waited for in vain was taken all the same.
        let _ = self.transaction_ended();
        let [steps, rewrites, scans] = self.kept;
        self.steps.truncate(steps);
        self.rewrites.truncate(rewrites);
        self.scans.truncate(scans);
        if let Some(step) = self.steps.last_mut() {
            step.statements.clear();
        }
        if let Ok(files) = files(self.eyes.connection()) {
            self.files = files;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known about the relations of a look.
fn known(eyes: &mut Eyes, shared: &Shared, look: &Look) -> Result<Vec<(Oid, Option<Relation>)>> {
    let open: BTreeSet<Oid> = shared.state().open.keys().map(|(oid, _)| *oid).collect();
    let mut found = Vec::new();
    eyes.learn(look.held.iter().map(|(oid, _)| *oid).collect())?;
    for (oid, _) in &look.held {
        let relation = eyes.relation(*oid)?;
        if relation.is_some() || !open.contains(oid) {
            found.push((*oid, relation));
        }
    }
    Ok(found)
}

fn watch(shared: &Shared, eyes: &mut Eyes) -> Result<()> {
    let mut known_until = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(INTERVAL);
        let pid = shared.pid.load(Ordering::SeqCst);
        if pid == NOBODY {
            continue;
        }
        let epoch = shared.epoch.load(Ordering::SeqCst);
        let commits = shared.commits.load(Ordering::SeqCst);
        if commits != known_until {
            eyes.forget();
            known_until = commits;
        }
        let look = eyes.look(pid)?;
        if look.held.is_empty() && shared.state().open.is_empty() {
            continue;
        }
        let found = known(eyes, shared, &look)?;
        let mut state = shared.state();
        if shared.epoch.load(Ordering::SeqCst) == epoch {
            state.seen(&look, found, false);
        }
    }
    Ok(())
}

/// The files of all relations that are there, with their sizes.
fn files(connection: &mut Connection) -> Result<HashMap<Oid, File>> {
    let rows = connection.query(
        "select c.oid::text, pg_relation_filenode(c.oid)::text, pg_relation_size(c.oid)::text from pg_catalog.pg_class c \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in ('r', 'm', 'i') and c.oid >= 16384 and n.nspname !~ '^pg_'",
        &[],
    )?;
    let file = |(number, bytes): (&str, &str)| File {
        number: number.to_owned(),
        bytes: bytes.parse().unwrap_or(0),
    };
    let files = rows
        .iter()
        .filter_map(|row| Some((row.text(0).parse().ok()?, file((row.text(1), row.text(2))))));
    Ok(files.collect())
}

/// Bytes of temporary files that the database ever wrote, and its size.
fn totals(connection: &mut Connection) -> Result<[u64; 2]> {
    let rows = connection.query(
        "select pg_stat_get_db_temp_bytes(oid)::text, pg_database_size(oid)::text from pg_catalog.pg_database \
         where datname = current_database()",
        &[],
    )?;
    Ok([0, 1].map(|column| rows.value(0, column).and_then(|text| text.parse().ok()).unwrap_or(0)))
}

/// The word that a statement begins with, in small letters.
pub(crate) fn first_word(statement: &str) -> String {
    let word = statement.chars().skip_while(|c| c.is_whitespace() || *c == '(');
    let word: String = word.take_while(char::is_ascii_alphabetic).collect();
    word.to_ascii_lowercase()
}

/// Whether a statement may do more than read and write rows.
fn changes_structure(statement: &str) -> bool {
    !matches!(
        &*first_word(statement),
        "insert" | "update" | "delete" | "merge" | "copy" | "set" | "reset" | "comment" | "values" | "table"
    )
}

/// The beginning of a statement in one line, without passwords in URIs, and nothing that follows the word password.
fn beginning(statement: &str) -> String {
    // Of a long one the beginning is enough.
    let whole = statement.len();
    let cut = statement
        .char_indices()
        .nth(20 * BEGINNING)
        .map_or(whole, |(place, _)| place);
    let statement = statement.get(..cut).unwrap_or_default();
    let statement = &*hidden(statement, &secrets(statement));
    let lower = statement.to_ascii_lowercase();
    let end = lower
        .find("password")
        .map_or(statement.len(), |place| place + "password".len());
    let words: Vec<&str> = statement.get(..end).unwrap_or_default().split_whitespace().collect();
    let text = words.join(" ");
    let mut short: String = text.chars().take(BEGINNING).collect();
    if short.len() < text.len() || end < statement.len() || cut < whole {
        short.truncate(short.trim_end().len());
        short.push_str(" ...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_told_in_one_line_and_without_its_password() {
        assert_eq!(beginning("alter table t\n    add a int;"), "alter table t add a int;");
        assert_eq!(
            beginning("create role x Password 'secret'"),
            "create role x Password ..."
        );
        assert_eq!(
            beginning("select dblink('postgresql://ann:secret@host/db', 'x')"),
            "select dblink('postgresql://ann:******@host/db', 'x')"
        );
        assert!(beginning(&"x ".repeat(1000)).ends_with("x ..."));
    }

    #[test]
    fn statements_that_only_write_rows_are_told_apart() {
        assert!(!changes_structure("INSERT into t values (1)"));
        assert!(changes_structure("do $$ begin end $$"));
        assert!(changes_structure("( select f())"));
    }
}
