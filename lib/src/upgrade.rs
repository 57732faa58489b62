//! Upgrading a database: the plan, the lock, and the steps applied under it.

mod apply;
mod lock;
mod plan;
mod watch;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

pub use plan::{DeltaInfo, Info, Plan, Status, Step};

use apply::{Application, Prepared, Source};
pub(crate) use lock::{Lock, key_in_pg_locks, same_database};
pub(crate) use witness::Witness;

use crate::connection::Connection;
use crate::delta::{Delta, Deltas, Language, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::history::record::Record;
use crate::history::{BASELINE, Entry, History, TableName, create_table, other_table, refuse_unwritable, state};
use crate::python::find_python;
use crate::run::{Event, Run};
use crate::script::{Script, Variables, file_digests, same_content};
use crate::server::remove_orphans;
use crate::target::Target;

/// How to upgrade.
#[derive(Debug, Clone)]
pub struct UpgradeOptions {
    /// The upgrades table.
    pub table: TableName,
    /// The delta directories, in order.
    pub directories: Vec<PathBuf>,
    /// The version to stop at.
    pub max_version: Option<Version>,
    /// Variables for the deltas.
    pub variables: Variables,
    /// All steps in one transaction: all or nothing.
    pub single_transaction: bool,
    /// How long a statement waits for another session's lock before its step is rolled back and tried again.
    /// Zero waits without end, and everybody else behind it.
    pub lock_timeout: Duration,
    /// How often a step is tried when another session is in its way.
    pub attempts: u32,
    /// How long to wait for another run of pum on the same database.
    pub wait: Duration,
    /// How long to ask for the outcome of a COMMIT whose answer was lost.
    pub patience: Duration,
    /// Go on although files look like deltas and are none.
    pub allow_near_misses: bool,
    /// Run again a Python delta that an interrupted run began.
    pub rerun_interrupted: bool,
    /// The Python interpreter for `.py` deltas; `python3` of PATH without it.
    pub python: Option<PathBuf>,
}

impl UpgradeOptions {
    /// The defaults for a table and directories: waits 5 s for locks and tries 10 times, does not wait for other runs.
    pub fn new(table: TableName, directories: Vec<PathBuf>) -> UpgradeOptions {
        UpgradeOptions {
            table,
            directories,
            max_version: None,
            variables: Variables::new(),
            single_transaction: false,
            lock_timeout: Duration::from_secs(5),
            attempts: 10,
            wait: Duration::ZERO,
            patience: Duration::from_secs(60),
            allow_near_misses: false,
            rerun_interrupted: false,
            python: None,
        }
    }
}

/// What an upgrade did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The version before.
    pub from: Option<Version>,
    /// The version now.
    pub to: Option<Version>,
    /// The steps in the order in which they ran.
    pub steps: Vec<AppliedStep>,
}

/// A step that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedStep {
    /// The step.
    pub step: Step,
    /// How long it took.
    pub milliseconds: u64,
    /// What it left set in its session, such as `search_path = water`, where another step followed, which did not see it.
    /// Empty where nothing was left that matters to what deltas do, and in a single transaction for all.
    pub left_behind: Vec<String>,
}

/// How to record a baseline.
#[derive(Debug, Clone)]
pub struct BaselineOptions {
    /// The upgrades table; created when missing, with its schema.
    pub table: TableName,
    /// The version that the database is at.
    pub version: Version,
    /// Records the deltas of these directories up to the version as applied, so that the next upgrade does not run
    /// those of that very version again.
    pub mark_applied: Option<Vec<PathBuf>>,
    /// How long to wait for another run of pum on the same database.
    pub wait: Duration,
}

impl BaselineOptions {
    /// A baseline that marks no delta and does not wait for other runs.
    pub fn new(table: TableName, version: Version) -> BaselineOptions {
        BaselineOptions {
            table,
            version,
            mark_applied: None,
            wait: Duration::ZERO,
        }
    }
}

/// What a baseline did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baselined {
    /// Whether the table was created.
    pub table_created: bool,
    /// Whether its schema was created.
    pub schema_created: bool,
    /// How many deltas were recorded as applied.
    pub marked: usize,
}

/// Records that a database is at a version, and creates the upgrades table when there is none. All in one transaction.
///
/// # Errors
/// The database has this baseline already, the table cannot be created, the server is read-only.
pub fn baseline(target: &Target, options: &BaselineOptions, run: &Run) -> Result<Baselined> {
    let mut lock = Lock::take(target, &options.table, options.wait, run)?;
    baseline_under(&mut lock, options, run)
}

/// Creates the upgrades table, with its schema, when it is missing. Returns whether it was.
///
/// # Errors
/// What is there under its name cannot serve, or the table cannot be created.
pub fn create_upgrades_table(target: &Target, table: &TableName, run: &Run) -> Result<bool> {
    let mut lock = Lock::take(target, table, Duration::ZERO, run)?;
    refuse_read_only(lock.connection(), target)?;
    // A connection of its own: a failed transaction must not cost the lock.
    let mut connection = Connection::open(target, run)?;
    connection.execute("begin isolation level read committed, read write; set local synchronous_commit = on")?;
    let outcome = (|| {
        let missing = History::read(&mut connection, table)?.is_none();
        if missing {
            create_missing(&mut connection, table)?;
        }
        connection.execute("commit")?;
        Ok(missing)
    })();
    outcome.map_err(|error: Error| {
        connection.rollback();
        error.with_state("nothing was changed")
    })
}

/// Creates the upgrades table, and says whether its schema was created too.
fn create_missing(connection: &mut Connection, table: &TableName) -> Result<bool> {
    create_table(connection, table).map_err(|error| {
        let named = |keyword| crate::quote_identifier(&connection.parameter(keyword).unwrap_or_default());
        let hint = format!(
            "the user needs the right to create there: GRANT CREATE ON SCHEMA {} TO {1}; where that schema is missing, \
             GRANT CREATE ON DATABASE {2} TO {1}",
            crate::quote_identifier(&table.schema),
            named("user"),
            named("dbname")
        );
        let denied = error.sqlstate() == Some("42501");
        let error = error.within(format_args!("the upgrades table {table} cannot be created"));
        if denied { error.with_hint(hint) } else { error }
    })
}

pub(crate) fn baseline_under(lock: &mut Lock, options: &BaselineOptions, run: &Run) -> Result<Baselined> {
    let table = &options.table;
    let target = lock.connection().target().clone();
    refuse_read_only(lock.connection(), &target)?;
    let deltas = options
        .mark_applied
        .as_ref()
        .map(|directories| Deltas::read(directories))
        .transpose()?;
    // A connection of its own: a failed transaction must not cost the lock.
    let mut connection = Connection::open(&target, run)?;
    let connection = &mut connection;
    connection.execute("begin isolation level read committed, read write; set local synchronous_commit = on")?;
    let outcome = (|| {
        let (schema_created, table_created, history) = match History::read(connection, table)? {
            Some(mut history) => {
                history.extend(connection)?;
                (false, false, history)
            }
            None => {
                if let Some(other) = other_table(connection, table)? {
                    run.emit(Event::Warning(format!(
                        "{other} holds a history of pum already: every delta applied there would be due again by {table}"
                    )));
                }
                let schema_created = create_missing(connection, table)?;
                (schema_created, true, History::from_entries(table.clone(), Vec::new()))
            }
        };
        let baselined = history
            .entries()
            .iter()
            .any(|entry| entry.code == BASELINE && entry.version == options.version && entry.success);
        if baselined && deltas.is_none() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("the database {target} has the baseline {} already", options.version),
            )
            .with_hint("`pum info` shows what is recorded; --mark-applied records the deltas up to it as applied"));
        }
        if let Some(current) = history.current_version()
            && current > options.version
        {
            run.emit(Event::Warning(format!(
                "the database is at version {current} already: the baseline {} changes nothing of that",
                options.version
            )));
        }
        let record = Record {
            version: options.version,
            name: "baseline",
            code: BASELINE,
            script: "",
            checksum: "",
            digest: None,
            execution_time_ms: 0,
            success: true,
            state: state::DONE,
            rehearsal: None,
        };
        if !baselined {
            record.insert(connection, table)?;
        }
        let mut marked = 0;
        for delta in deltas.iter().flat_map(|deltas| &deltas.deltas) {
            if delta.version > options.version || history.applied(delta).is_some() {
                continue;
            }
            let (checksum, digest) = file_digests(&delta.path)?;
            let path = delta.path.to_string_lossy();
            let record = Record {
                success: true,
                state: state::DONE,
                rehearsal: None,
                ..Record::started(delta, &path, &checksum, &digest)
            };
            record.insert(connection, table)?;
            marked += 1;
        }
        connection.execute("commit")?;
        Ok(Baselined {
            table_created,
            schema_created,
            marked,
        })
    })();
    outcome.map_err(|error: Error| {
        connection.rollback();
        error.with_state("nothing was changed")
    })
}

/// What is applied, pending, changed since, skipped, ignored. Reads only.
///
/// # Errors
/// There is no upgrades table, or something cannot be read.
pub fn info(target: &Target, table: &TableName, directories: &[PathBuf], run: &Run) -> Result<Info> {
    let deltas = Deltas::read(directories)?;
    let mut connection = Connection::open(target, run)?;
    let history = read_history(&mut connection, table)?;
    Info::new(&deltas, &history, |delta, entry| changed(entry, &delta.path))
}

fn changed(entry: &Entry, path: &std::path::Path) -> Result<bool> {
    // A baseline that marks deltas as applied, or a table of an early pum, may have no checksum.
    if entry.checksum.is_empty() && entry.digest.is_none() {
        return Ok(false);
    }
    Ok(!same_content(path, &entry.checksum, entry.digest.as_deref())?)
}

/// What an upgrade would do. Reads only, in a read-only transaction.
///
/// # Errors
/// As [`upgrade`], before its first step.
pub fn plan(target: &Target, options: &UpgradeOptions, run: &Run) -> Result<Plan> {
    let outcome = (|| {
        let deltas = Deltas::read(&options.directories)?;
        let mut connection = Connection::open(target, run)?;
        connection.execute("begin read only")?;
        let history = read_history(&mut connection, &options.table)?;
        connection.rollback();
        let plan = Plan::new(&deltas, &history, options.max_version)?;
        prepare(&plan, &deltas, &history, options, run)?;
        Ok(plan)
    })();
    outcome.map_err(before_any_change)
}

fn before_any_change(error: Error) -> Error {
    error.with_state("nothing was changed")
}

/// Applies what is due, under the lock. `expected` is the plan that was shown to somebody: when it is no longer the
/// one that would be carried out, nothing is.
///
/// # Errors
/// Every error says what is applied and recorded and what is not; the next run goes on from there.
pub fn upgrade(target: &Target, options: &UpgradeOptions, expected: Option<&Plan>, run: &Run) -> Result<Applied> {
    upgrade_seen(target, options, expected.map(Agreed::from), None, run)
}

/// The same, while somebody may look on.
pub(crate) fn upgrade_seen(
    target: &Target,
    options: &UpgradeOptions,
    agreed: Option<Agreed<'_>>,
    witness: Option<&mut dyn Witness>,
    run: &Run,
) -> Result<Applied> {
    // What a run that was killed in a Python delta left may tell how to reach its database, also when this one refuses.
    remove_orphans();
    let deltas = Deltas::read(&options.directories).map_err(before_any_change)?;
    let mut lock = Lock::take(target, &options.table, options.wait, run).map_err(before_any_change)?;
    // Borrowed anew, for no longer than the lock lives.
    let witness = witness.map(|witness| witness as &mut dyn Witness);
    upgrade_under(&mut lock, target, &deltas, options, agreed, witness, run)
}

/// What must be carried out, and nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Agreed<'a> {
    pub(crate) plan: &'a Plan,
    /// The rehearsal, by its identity.
    pub(crate) rehearsal: Option<&'a str>,
    /// The digests of its files; empty where they are not known.
    pub(crate) digests: &'a [(PathBuf, String)],
    /// How long each step may take; empty where there is no limit.
    pub(crate) budgets: &'a [Duration],
}

impl<'a> From<&'a Plan> for Agreed<'a> {
    fn from(plan: &'a Plan) -> Agreed<'a> {
        Agreed {
            plan,
            rehearsal: None,
            digests: &[],
            budgets: &[],
        }
    }
}

pub(crate) fn upgrade_under<'a>(
    lock: &'a mut Lock,
    target: &'a Target,
    deltas: &Deltas,
    options: &'a UpgradeOptions,
    agreed: Option<Agreed<'_>>,
    witness: Option<&'a mut dyn Witness>,
    run: &Run,
) -> Result<Applied> {
    let (history, plan, steps) = due(lock, target, deltas, options, agreed, run).map_err(before_any_change)?;
    if steps.is_empty() {
        return Ok(Applied {
            from: plan.current,
            to: plan.reached,
            steps: Vec::new(),
        });
    }
    Application::new(target, options, lock, &history, witness, run).all(&plan, &steps)
}

/// What has to be carried out, read again under the lock. Where that is something, the upgrades table is made fit for it.
fn due(
    lock: &mut Lock,
    target: &Target,
    deltas: &Deltas,
    options: &UpgradeOptions,
    agreed: Option<Agreed<'_>>,
    run: &Run,
) -> Result<(History, Plan, Vec<Prepared>)> {
    let mut history = read_history(lock.connection(), &options.table)?;
    let plan = Plan::new(deltas, &history, options.max_version)?;
    if agreed.is_some_and(|agreed| *agreed.plan != plan) {
        return Err(
            Error::new(ErrorKind::Refused, "what is due has changed since it was shown")
                .with_hint("run pum again to see the new plan"),
        );
    }
    let mut steps = prepare(&plan, deltas, &history, options, run)?;
    let digests = agreed.map(|agreed| agreed.digests).unwrap_or_default();
    let budgets = agreed.map(|agreed| agreed.budgets).unwrap_or_default();
    for step in &mut steps {
        step.rehearsal = agreed.and_then(|agreed| agreed.rehearsal).map(str::to_owned);
    }
    for (step, budget) in steps.iter_mut().zip(budgets) {
        step.budget = Some(*budget);
    }
    if let Some((_, (path, _))) = steps
        .iter()
        .zip(digests)
        .find(|(step, (_, digest))| step.digest() != digest)
    {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("\"{}\" was changed since the rehearsal", path.display()),
        )
        .with_hint("rehearse again"));
    }
    if !steps.is_empty() {
        refuse_read_only(lock.connection(), target)?;
        if steps.iter().any(|prepared| prepared.step.delta().is_some()) {
            refuse_unwritable(lock.connection(), &options.table)?;
        }
        if lock.connection().server_encoding() == "SQL_ASCII" {
            run.emit(Event::Warning(format!(
                "the encoding of {target} is SQL_ASCII, which checks nothing: what the deltas hold is stored as UTF-8"
            )));
        }
        extend(&mut history, lock.connection(), options)?;
    }
    Ok((history, plan, steps))
}

/// Adds what the upgrades table of pum 0.10 lacks, in a transaction of its own, whatever the defaults of the role are.
fn extend(history: &mut History, connection: &mut Connection, options: &UpgradeOptions) -> Result<()> {
    let begin = format!(
        "begin isolation level read committed, read write; set local lock_timeout = {}; set local synchronous_commit = on",
        options.lock_timeout.as_millis()
    );
    let outcome = connection
        .execute(&begin)
        .and_then(|()| history.extend(connection))
        .and_then(|()| connection.execute("commit"));
    outcome.map_err(|error| {
        connection.rollback();
        let denied = error.sqlstate() == Some("42501");
        let state = match error.kind() {
            ErrorKind::ConnectionLost | ErrorKind::OutcomeUnknown => {
                "nothing was changed, save that the columns may be there already, which the next run finds out"
            }
            _ => "nothing was changed",
        };
        let error = error
            .within(format_args!(
                "columns cannot be added to the upgrades table {}",
                options.table
            ))
            .with_state(state);
        if denied {
            error.with_hint("its owner must run the first upgrade with this version of pum")
        } else {
            error
        }
    })
}

/// What the upgrades table of a database says; `None` when it has none. Reads only.
///
/// # Errors
/// As [`History::read`], and when no session can be opened.
pub fn history(target: &Target, table: &TableName, run: &Run) -> Result<Option<History>> {
    History::read(&mut Connection::open(target, run)?, table)
}

/// Runs a script outside of any plan, statement by statement as `psql -f` does, until the first error.
///
/// # Errors
/// The first statement that fails, with its place in the file; what ran before it stays.
pub fn run_script(connection: &mut Connection, script: &Script) -> Result<()> {
    let mut statements = script.statements()?;
    while let Some(statement) = statements.next()? {
        if let Err(error) = apply::run_statement(connection, &statement, &mut statements) {
            connection.rollback();
            return Err(error);
        }
    }
    Ok(())
}

fn read_history(connection: &mut Connection, table: &TableName) -> Result<History> {
    History::read(connection, table)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Refused,
            format!("the database {} has no upgrades table {table}", connection.target()),
        )
        .with_hint("`pum baseline -b X.Y.Z` creates it and records the version that the database is at")
        .with_state("nothing was changed")
    })
}

fn refuse_read_only(connection: &mut Connection, target: &Target) -> Result<()> {
    let rows = connection.query("select pg_is_in_recovery()::text", &[])?;
    if rows.value(0, 0) == Some("true") {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("{target} is a standby server, which takes no changes"),
        )
        .with_hint("name the primary server")
        .with_state("nothing was changed"));
    }
    Ok(())
}

/// Reads and checks every file of the plan before the first one runs.
/// Reads what is due, and finds what is wrong with it before anything runs.
pub(crate) fn prepare(
    plan: &Plan,
    deltas: &Deltas,
    history: &History,
    options: &UpgradeOptions,
    run: &Run,
) -> Result<Vec<Prepared>> {
    let outcome = (|| {
        if let Some(near) = plan.near_misses.first() {
            if !options.allow_near_misses {
                let more = plan.near_misses.len() - 1;
                let more = if more > 0 {
                    format!(" (and {more} more, see `pum info`)")
                } else {
                    String::new()
                };
                return Err(Error::new(
                    ErrorKind::Refused,
                    format!("\"{}\" looks like a delta and is none: it {}{more}", near.path.display(), near.reason),
                )
                .with_hint("rename it delta_X.Y.Z_name.sql (pre.sql, post.sql, py, pre.py, post.py), move it away, or go on without it by --allow-near-misses"));
            }
            for near in &plan.near_misses {
                run.emit(Event::Warning(format!(
                    "left out \"{}\": {}",
                    near.path.display(),
                    near.reason
                )));
            }
        }
        for delta in late(deltas, history) {
            run.emit(Event::Warning(format!(
                "\"{}\" is not applied and will not be: its version is below the current one; give it the current version or a later one",
                delta.path.display()
            )));
        }
        for delta in &deltas.deltas {
            if let Some(entry) = history.applied(delta)
                && changed(entry, &delta.path)?
            {
                run.emit(Event::Warning(format!(
                    "\"{}\" has changed since it was applied; it is not run again",
                    delta.path.display()
                )));
            }
        }
        for directory in deltas.empty_directories() {
            run.emit(Event::Warning(format!(
                "there are no deltas in \"{}\"",
                directory.display()
            )));
        }
        let of_python = |step: &&Step| step.language() == Language::Python && run.python().is_none();
        if let Some(step) = plan.steps.iter().find(of_python) {
            let name = step.path().file_name().unwrap_or_default().to_string_lossy();
            find_python(options.python.as_deref())
                .map_err(|error| error.within(format_args!("{name} is a Python delta")))?;
        }
        for step in &plan.steps {
            if let Some(real) = elsewhere(step) {
                run.emit(Event::Warning(format!(
                    "\"{}\" is a link that leads out of its directory, to \"{}\"",
                    step.path().display(),
                    real.display()
                )));
            }
        }
        let steps = plan
            .steps
            .iter()
            .zip(plan.goes_back())
            .map(|(step, goes_back)| prepare_step(step, goes_back, history, options))
            .collect::<Result<Vec<Prepared>>>()?;
        for (location, remark) in steps.iter().flat_map(Prepared::remarks) {
            run.emit(Event::Warning(format!("{location}: {remark}")));
        }
        Ok(steps)
    })();
    outcome.map_err(|error| error.with_state("nothing was changed"))
}

/// Where the file of a step really is, when that is not below its directory.
fn elsewhere(step: &Step) -> Option<PathBuf> {
    let real = step.path().canonicalize().ok()?;
    let directory = step.directory().canonicalize().ok()?;
    (!real.starts_with(directory)).then_some(real)
}

/// Deltas that came after a later version was applied: above every baseline, below the current version, not applied.
fn late<'a>(deltas: &'a Deltas, history: &'a History) -> impl Iterator<Item = &'a Delta> {
    let floor = history.floor();
    let baselines = history
        .entries()
        .iter()
        .filter(|entry| entry.code == BASELINE && entry.success);
    let baseline = baselines.map(|entry| entry.version).max();
    deltas.deltas.iter().filter(move |delta| {
        Some(delta.version) > baseline && Some(delta.version) < floor && history.applied(delta).is_none()
    })
}

fn prepare_step(step: &Step, goes_back: bool, history: &History, options: &UpgradeOptions) -> Result<Prepared> {
    let unfinished = step.delta().and_then(|delta| history.unfinished(delta)).cloned();
    let source = match step.language() {
        Language::Python => {
            let (checksum, digest) = file_digests(step.path())?;
            if let Some(entry) = &unfinished
                && entry.state.as_deref() == Some(state::STARTED)
                && !options.rerun_interrupted
            {
                return Err(Error::new(
                    ErrorKind::Refused,
                    format!("{step} was begun by a run that was interrupted, and what it did is not known"),
                )
                .with_hint(format!(
                    "look at the database; then run it again with --rerun-interrupted, or record it as applied: {}",
                    apply::recorded_by_hand(&options.table, goes_back, entry.id)
                )));
            }
            Source::Python { checksum, digest }
        }
        Language::Sql => {
            let script = Script::open(step.path(), &options.variables)?;
            check_script(step, &script, unfinished.as_ref())?;
            Source::Sql(script)
        }
    };
    Ok(Prepared {
        step: step.clone(),
        source,
        unfinished,
        rehearsal: None,
        budget: None,
        goes_back,
    })
}

fn check_script(step: &Step, script: &Script, unfinished: Option<&Entry>) -> Result<()> {
    if script.no_transaction() {
        if let Some(entry) = unfinished
            && entry.statements_done > 0
            && entry.digest != Some(apply::outside::digest_of_first(script, entry.statements_done)?)
        {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the first {} statements of {step} are done, and not as they stand in the file now",
                    entry.statements_done
                ),
            )
            .with_hint("put these statements back as they were; those after them may be corrected"));
        }
        return Ok(());
    }
    if let Some((location, command)) = script.outside_transaction().first() {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("{command} cannot run inside a transaction, and each delta is one"),
        )
        .at(location.clone())
        .with_hint("put the line `-- pum: no-transaction` at the head of the file, best in a delta of its own"));
    }
    if !script.enclosing_transaction()
        && let Some((location, _)) = script.transaction_control().first()
    {
        return Err(Error::new(ErrorKind::Refused, format!("{step} controls its transaction itself, and pum could not roll it back"))
            .at(location.clone())
            .with_hint("take BEGIN, COMMIT and ROLLBACK out: pum runs each delta in one transaction; or put the line `-- pum: no-transaction` at its head"));
    }
    Ok(())
}
