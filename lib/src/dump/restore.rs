//! Restores a dump into a database: everything is looked at before anything is changed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::connection::{Connection, quote_identifier};
use crate::dump::archive::Archive;
use crate::dump::child::{self, Child, Complaint, Ended};
use crate::dump::{Format, connect, milliseconds, program};
use crate::error::{Error, ErrorKind, Result};
use crate::programs::{find_program, program_version};
use crate::run::{Event, Run};
use crate::target::Target;

/// How a dump is restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Schemas whose objects are left out: names as `pg_restore --exclude-schema` takes them, no patterns.
    pub exclude_schemas: Vec<String>,
    /// Goes on after errors, and lists them in [`Restored::passed_over`]. A missing or damaged file fails all the same.
    pub ignore_errors: bool,
    /// How many tables are restored at the same time. Above 1 the restore is no single transaction. 0 is 1.
    pub jobs: usize,
    /// Drops the objects of the dump before it creates them again.
    pub clean: bool,
    /// Restores into a database that holds other objects already.
    pub into_existing: bool,
    /// Creates the database, which must not exist; it is dropped again when the restore fails.
    pub create: bool,
    /// The `pg_restore` to run; without it that of the server's major version is looked for.
    pub pg_restore: Option<PathBuf>,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Errors that were passed over, by class, the most frequent first.
    pub passed_over: Vec<PassedOver>,
    /// How long it took in all, in milliseconds.
    pub milliseconds: u64,
}

/// Errors of one class that a restore passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// What they have in common, such as `already exists` or `role missing`.
    pub class: &'static str,
    /// Whether they say nothing about the restored data, such as a schema `public` that is there already.
    pub harmless: bool,
    /// How many there were.
    pub count: u64,
    /// The first of them in the server's words.
    pub first: String,
}

/// Restores a dump in the custom, directory or plain format, which it recognises by its content.
///
/// First everything is looked at: the dump is read to its end and compared with the checksums that [`dump`] wrote
/// beside it, the database must be empty, the extensions must be there. Then it is restored in one transaction, all or
/// nothing, unless there are several jobs or `ignore_errors`. Owners are not restored, as in pum 0.10: all objects
/// belong to the role that restores.
///
/// [`dump`]: crate::dump()
///
/// # Errors
/// [`ErrorKind::Refused`] when the dump is damaged or of an unknown form, or the database holds objects;
/// [`ErrorKind::Program`] with the words of `pg_restore`; the state says what was changed.
///
/// ```no_run
/// let target = pum::Target::new("water_test")?;
/// let options = pum::RestoreOptions { create: true, ..Default::default() };
/// let restored = pum::restore("water.dump".as_ref(), &target, &options, &pum::Run::new())?;
/// for passed_over in &restored.passed_over {
///     println!("{} times {}: {}", passed_over.count, passed_over.class, passed_over.first);
/// }
/// # Ok::<(), pum::Error>(())
/// ```
pub fn restore(file: &Path, target: &Target, options: &RestoreOptions, run: &Run) -> Result<Restored> {
    let started = Instant::now();
    let untouched = |error: Error| error.with_state("nothing was changed in any database");
    let archive = Archive::open(file)?;
    let name = database_name(target)?;
    let mut connection = if options.create {
        maintenance(target, run)
    } else {
        Connection::open(target, run)
    }
    .map_err(untouched)?;
    let pg_restore = find_pg_restore(&archive, &connection, options, run).map_err(untouched)?;
    let checked = archive.verify(run)?;
    archive.read(&pg_restore, checked, run).map_err(untouched)?;
    if options.create {
        refuse_existing(&mut connection, &name).map_err(untouched)?;
        create(&mut connection, &name).map_err(untouched)?;
        let mut inside = Connection::open(target, run);
        let restored = match &mut inside {
            Ok(inside) => run_pg_restore(&archive, inside, &pg_restore, options, run),
            Err(_) => Ok(Vec::new()),
        };
        let outcome = inside.map(drop).and(restored);
        return match outcome {
            Ok(passed_over) => Ok(Restored {
                passed_over,
                milliseconds: milliseconds(started),
            }),
            Err(error) => {
                let dropped = connection.uncancelled(&format!("drop database if exists {}", quote_identifier(&name)));
                Err(error.with_state(match dropped {
                    Ok(()) => format!("the database \"{name}\" was created and dropped again"),
                    Err(_) => format!("the database \"{name}\" was created, and a part of the dump may be in it"),
                }))
            }
        };
    }
    preflight(&mut connection, &name, options, run).map_err(untouched)?;
    let passed_over = run_pg_restore(&archive, &connection, &pg_restore, options, run)?;
    Ok(Restored {
        passed_over,
        milliseconds: milliseconds(started),
    })
}

/// The name of the database as libpq resolves it.
fn database_name(target: &Target) -> Result<String> {
    let resolved = target.resolve()?;
    let name = |keyword| {
        resolved
            .value(keyword)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    name("dbname")
        .or_else(|| name("user"))
        .ok_or_else(|| Error::new(ErrorKind::Usage, format!("{target} names no database")))
}

/// A session on the same server in a database that is always there.
fn maintenance(target: &Target, run: &Run) -> Result<Connection> {
    let open = |database: &str| Connection::open(&target.clone().with("dbname", database), run);
    open("postgres").or_else(|error| match error.sqlstate() {
        Some("3D000") => open("template1"),
        _ => Err(error),
    })
}

fn find_pg_restore(archive: &Archive, connection: &Connection, options: &RestoreOptions, run: &Run) -> Result<PathBuf> {
    let server = connection.server_version();
    let given = options.pg_restore.as_deref();
    let found = program("pg_restore", given, &server, run)?;
    let (Some(header), None) = (archive.header(), given) else {
        return Ok(found);
    };
    // An archive of a newer pg_dump wants a pg_restore as new, if there is one.
    let wanted = header.pg_dump_major();
    if wanted > program_version(&found)?.0
        && let Ok(newer) = find_program("pg_restore", Some(wanted), None)
    {
        return Ok(newer);
    }
    Ok(found)
}

fn refuse_existing(connection: &mut Connection, name: &str) -> Result<()> {
    let found = connection.query("select from pg_database where datname = $1::text", &[Some(name)])?;
    if found.is_empty() {
        return Ok(());
    }
    Err(
        Error::new(ErrorKind::Refused, format!("the database \"{name}\" exists already"))
            .with_hint("leave out the option that creates it to restore into it, or name another"),
    )
}

fn create(connection: &mut Connection, name: &str) -> Result<()> {
    connection.execute(&format!(
        "create database {} template template0",
        quote_identifier(name)
    ))
}

/// Looks at the database that is to be filled.
fn preflight(connection: &mut Connection, name: &str, options: &RestoreOptions, run: &Run) -> Result<()> {
    let facts = connection.query(
        "select d.datistemplate::text, pg_is_in_recovery()::text, current_setting('transaction_read_only'),
                (select count(*) from pg_stat_activity a
                 where a.datid = d.oid and a.pid <> pg_backend_pid() and a.backend_type = 'client backend')::text
         from pg_database d where d.datname = current_database()",
        &[],
    )?;
    let refuse = |what: &str, hint: &str| Err(Error::new(ErrorKind::Refused, what).with_hint(hint));
    let fact = |column| facts.value(0, column).unwrap_or("");
    if fact(0) == "true" {
        return refuse(
            &format!("\"{name}\" is a template: what is restored there would be in every new database"),
            "restore into another database",
        );
    }
    if fact(1) == "true" {
        return refuse(
            &format!("the server of \"{name}\" is a standby"),
            "restore on its primary",
        );
    }
    if fact(2) == "on" {
        return refuse(
            &format!("\"{name}\" is read-only (default_transaction_read_only)"),
            "restore as another role, or change the setting",
        );
    }
    if fact(3) != "0" {
        run.emit(Event::Warning(format!(
            "{} other sessions are connected to \"{name}\"",
            fact(3)
        )));
    }
    if options.clean || options.into_existing {
        return Ok(());
    }
    let objects = connection.query(USER_OBJECTS, &[])?;
    let count = objects.value(0, 0).unwrap_or("0");
    if count == "0" {
        return Ok(());
    }
    refuse(
        &format!(
            "the database \"{name}\" is not empty: it holds {count} objects, such as {}",
            objects.value(0, 1).unwrap_or("")
        ),
        "restore into a new database (--create), drop what the dump holds first (--clean), or add to what is there \
         (--into-existing)",
    )
}

/// Whether a database holds anything that a user made.
pub(crate) fn holds_user_objects(connection: &mut Connection) -> Result<bool> {
    Ok(connection
        .query(USER_OBJECTS, &[])?
        .value(0, 0)
        .is_some_and(|count| count != "0"))
}

/// Objects that are neither the system's nor an extension's: relations, routines, types of their own, large objects.
const USER_OBJECTS: &str = "
    with member as (select classid, objid from pg_depend where deptype = 'e'),
    found as (
        select n.nspname, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          and (c.tableoid, c.oid) not in (select classid, objid from member)
        union all
        select n.nspname, p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where (p.tableoid, p.oid) not in (select classid, objid from member)
        union all
        select n.nspname, t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
        left join pg_class c on c.oid = t.typrelid
        where (t.typtype in ('d', 'e', 'r') or c.relkind = 'c')
          and (t.tableoid, t.oid) not in (select classid, objid from member)
        union all
        select 'large object', l.oid::text from pg_largeobject_metadata l
    )
    select count(*)::text, min(format('%I.%I', nspname, name)) from found
    where nspname not like 'pg\\_%' and nspname <> 'information_schema'";

fn run_pg_restore(
    archive: &Archive,
    connection: &Connection,
    pg_restore: &Path,
    options: &RestoreOptions,
    run: &Run,
) -> Result<Vec<PassedOver>> {
    if archive.format() == Format::Plain {
        return Err(Error::new(ErrorKind::Refused, "a plain dump cannot be restored yet"));
    }
    let single = options.jobs <= 1 && !options.ignore_errors;
    let mut command = child::command(pg_restore);
    connect(&mut command, connection);
    let database = connection.parameter("dbname").unwrap_or_default();
    command.arg(format!(
        "--dbname=dbname='{}'",
        database.replace('\\', "\\\\").replace('\'', "\\'")
    ));
    command.args(["--no-owner", "--no-password", "--verbose"]);
    for schema in &options.exclude_schemas {
        command.arg(format!("--exclude-schema={schema}"));
    }
    if options.clean {
        command.args(["--clean", "--if-exists"]);
    }
    if options.jobs > 1 {
        command.arg(format!("--jobs={}", options.jobs));
    }
    if single {
        command.arg("--single-transaction");
    }
    if !options.ignore_errors {
        command.arg("--exit-on-error");
    }
    command.arg("--").arg(archive.path());
    let state = if single {
        "the transaction was rolled back: the database is as it was"
    } else {
        "a part of the dump may be in the database"
    };
    let ended = Child::start(command, run, |_| {})?
        .wait(run, || {})
        .map_err(|error| error.with_state(state))?;
    let done = ended.status.success() || options.ignore_errors && went_on(&ended);
    if !done {
        return Err(ended.error("pg_restore").with_state(state));
    }
    Ok(classes(&ended.said.complaints, ended.said.count))
}

/// Whether pg_restore came to its end in spite of errors: it ends with 1 then, and all of them are of statements.
fn went_on(ended: &Ended) -> bool {
    ended.status.code() == Some(1)
        && ended.said.complaints.iter().all(|complaint| {
            [
                "could not execute query",
                "COPY failed",
                "error returned by PQputCopyData",
            ]
            .iter()
            .any(|start| complaint.message.starts_with(start))
        })
}

/// The errors by class, the most frequent first.
fn classes(complaints: &[Complaint], count: u64) -> Vec<PassedOver> {
    let mut classes: Vec<PassedOver> = Vec::new();
    for complaint in complaints {
        let (class, harmless) = class(complaint);
        match classes
            .iter_mut()
            .find(|known| (known.class, known.harmless) == (class, harmless))
        {
            Some(known) => known.count += 1,
            None => classes.push(PassedOver {
                class,
                harmless,
                count: 1,
                first: complaint.sentence(),
            }),
        }
    }
    let kept = complaints.len() as u64;
    if count > kept {
        classes.push(PassedOver {
            class: "not looked at",
            harmless: false,
            count: count - kept,
            first: format!("only the first {kept} errors were looked at"),
        });
    }
    classes.sort_by_key(|class| std::cmp::Reverse(class.count));
    classes
}

/// pg_restore tells no SQLSTATE, so the server's English words decide.
fn class(complaint: &Complaint) -> (&'static str, bool) {
    let message = complaint.message.as_str();
    let statement = complaint
        .more
        .iter()
        .find_map(|line| line.strip_prefix("Command was: "))
        .unwrap_or("");
    let about = |text: &str| statement.starts_with(text);
    if message.contains("already exists") {
        ("already exists", about("CREATE SCHEMA "))
    } else if message.contains("duplicate key value") {
        ("duplicate rows", message.contains("spatial_ref_sys"))
    } else if message.contains("role \"") && message.contains("does not exist") {
        ("role missing", false)
    } else if message.contains("extension \"") && message.contains("is not available")
        || message.contains("could not open extension control file")
    {
        ("extension missing", false)
    } else if message.contains("unrecognized configuration parameter") {
        ("setting unknown to this server", about("SET "))
    } else if message.contains("must be owner of") || message.contains("permission denied") {
        (
            "not permitted",
            about("COMMENT ON EXTENSION ") || about("COMMENT ON SCHEMA public "),
        )
    } else if message.contains("does not exist") {
        ("missing object", false)
    } else {
        ("other", false)
    }
}
