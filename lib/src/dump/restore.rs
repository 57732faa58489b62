//! Restores a dump into a database: everything is looked at before anything is changed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::dump::archive::Archive;
use crate::dump::child::{self, Child};
use crate::dump::contents::{Contents, exclude};
use crate::dump::load::Load;
use crate::dump::{Format, milliseconds, parallel, program};
use crate::error::{Error, ErrorKind, Result};
use crate::programs::{find_program, program_version};
use crate::run::{Event, Run};
use crate::script::Statements;
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
    /// Creates the roles that privileges and policies of the dump name and the server does not have, without login:
    /// for servers that are thrown away.
    pub create_roles: bool,
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
    if archive.format() == Format::Plain && (options.clean || !options.exclude_schemas.is_empty()) {
        return Err(untouched(
            Error::new(
                ErrorKind::Usage,
                format!("\"{}\" is a plain dump, which is restored as it is", file.display()),
            )
            .with_hint("leave out --clean and --exclude-schema, or dump in the custom format"),
        ));
    }
    let name = database_name(target)?;
    let mut connection = if options.create {
        maintenance(target, run)
    } else {
        Connection::open(target, run)
    }
    .map_err(untouched)?;
    let pg_restore = find_pg_restore(&archive, &connection, options, run).map_err(untouched)?;
    let checked = archive.verify(run)?;
    if let Some(pg_restore) = &pg_restore {
        archive.read(pg_restore, checked, run).map_err(untouched)?;
    }
    let contents = Contents::read(&archive, pg_restore.as_deref(), options, run).map_err(untouched)?;
    if options.create {
        refuse_existing(&mut connection, &name).map_err(untouched)?;
    } else {
        look_at_database(&mut connection, &name, options, run).map_err(untouched)?;
    }
    provide(&contents, &mut connection, options, run).map_err(untouched)?;

    let work = Work {
        archive,
        contents,
        pg_restore,
        options,
        run,
    };
    let mut passed_over = Vec::new();
    if options.create {
        create(&mut connection, &name, &work.contents, run).map_err(untouched)?;
        let restored = Connection::open(target, run)
            .and_then(|mut inside| work.restore(&mut inside, &mut passed_over))
            .and_then(|()| set(&mut connection, &name, &work.contents, run));
        if let Err(error) = restored {
            let dropped = connection.uncancelled(&format!("drop database if exists {}", quote_identifier(&name)));
            let state = match dropped {
                Ok(()) => format!("the database \"{name}\" was created and dropped again"),
                Err(_) => format!("the database \"{name}\" was created, and a part of the dump may be in it"),
            };
            return Err(error.with_state(state));
        }
    } else {
        work.restore(&mut connection, &mut passed_over)?;
    }
    passed_over.sort_by_key(|class| std::cmp::Reverse(class.count));
    Ok(Restored {
        passed_over,
        milliseconds: milliseconds(started),
    })
}

/// A dump that was looked at, and how it is restored.
struct Work<'a> {
    archive: Archive,
    contents: Contents,
    pg_restore: Option<PathBuf>,
    options: &'a RestoreOptions,
    run: &'a Run,
}

impl Work<'_> {
    fn restore(&self, connection: &mut Connection, passed_over: &mut Vec<PassedOver>) -> Result<()> {
        let partly = |error: Error| self.state(error, PARTLY);
        let Some(pg_restore) = &self.pg_restore else {
            return self.plain(connection, passed_over);
        };
        let directly = |lines: Option<&[&str]>, connection: &Connection, passed_over: &mut Vec<PassedOver>| {
            parallel::pg_restore(
                &self.archive,
                pg_restore,
                lines,
                connection,
                self.options,
                passed_over,
                self.run,
            )
        };
        let mut several = self.options.jobs > 1;
        if several && program_version(pg_restore)?.0 > connection.server_version().major() {
            // It begins with a setting that the server does not know, and several jobs end at the first error.
            self.run.emit(Event::Warning(
                "the archive is newer than the server, and is restored by one job instead of several".to_owned(),
            ));
            several = false;
        }
        if !self.contents.is_utf8() || several && self.options.clean {
            return directly(None, connection, passed_over).map_err(|error| {
                match several || self.options.ignore_errors {
                    true => partly(error),
                    false => self.state(error, ROLLED_BACK),
                }
            });
        }
        if !several {
            return self.stream(pg_restore, &[], connection, passed_over);
        }
        let (lines, extension_data) = self.contents.extension_data();
        self.stream(pg_restore, &["--section=pre-data".into()], connection, passed_over)?;
        if !extension_data.is_empty() {
            let list = parallel::list_file(&extension_data).map_err(partly)?;
            let arguments = ["--use-list".into(), list.path().as_os_str().to_owned()];
            self.stream(pg_restore, &arguments, connection, passed_over)
                .map_err(partly)?;
        }
        directly(Some(&lines), connection, passed_over).map_err(partly)
    }

    /// Runs the SQL that pg_restore makes of the archive.
    fn stream(
        &self,
        pg_restore: &Path,
        arguments: &[OsString],
        connection: &mut Connection,
        passed_over: &mut Vec<PassedOver>,
    ) -> Result<()> {
        let mut command = child::command(pg_restore);
        command.args(["--no-owner", "--file=-"]).args(arguments);
        exclude(&mut command, &self.options.exclude_schemas);
        if self.options.clean {
            command.args(["--clean", "--if-exists"]);
        }
        command.arg("--").arg(self.archive.path()).stdout(Stdio::piped());
        let mut child = Child::start(command, self.run, |_| {})?;
        let Some(stdout) = child.take_stdout() else {
            return Err(Error::new(ErrorKind::Program, "pg_restore has no output"));
        };
        let statements = Statements::read_from(Arc::from(self.archive.path()), Box::new(stdout));
        let total = Some(self.contents.tables());
        self.load(statements, total, connection, passed_over, || {
            let ended = child.wait(self.run, || {})?;
            if ended.status.success() {
                Ok(())
            } else {
                Err(ended.error("pg_restore"))
            }
        })
    }

    /// Runs the SQL of a plain dump.
    fn plain(&self, connection: &mut Connection, passed_over: &mut Vec<PassedOver>) -> Result<()> {
        let path = self.archive.path();
        let io = |error: std::io::Error| Error::io(format_args!("cannot read \"{}\"", path.display()), &error);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let statements = Statements::read_from(Arc::from(path), Box::new(file));
        self.load(statements, Some(length), connection, passed_over, || Ok(()))
    }

    /// Runs statements, in one transaction unless errors are passed over; `finish` says whether they were all.
    fn load(
        &self,
        mut statements: Statements,
        total: Option<u64>,
        connection: &mut Connection,
        passed_over: &mut Vec<PassedOver>,
        finish: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let load = Load {
            single: !self.options.ignore_errors,
            ignore_errors: self.options.ignore_errors,
            plain: self.pg_restore.is_none(),
            total,
        };
        let loaded = load.run(&mut statements, connection, passed_over, self.run);
        // What was not read of the output must not block pg_restore.
        drop(statements);
        let loaded = match loaded {
            Ok(()) => finish(),
            // SQL that ends in the middle: pg_restore knows why.
            Err(error) if error.kind() == ErrorKind::Usage => finish().and(Err(error)),
            Err(error) => Err(error),
        };
        if !load.single {
            return loaded.map_err(|error| self.state(error, PARTLY));
        }
        let Err(error) = loaded else {
            return connection.execute("commit").map_err(|error| match error.kind() {
                ErrorKind::ConnectionLost => self.state(
                    error,
                    "the connection was lost in COMMIT: the database holds either the whole dump or nothing of it",
                ),
                _ => self.state(error, ROLLED_BACK),
            });
        };
        connection.rollback();
        Err(self.state(error, ROLLED_BACK))
    }

    /// Says what became of the database, unless it was created and goes again.
    fn state(&self, error: Error, state: &str) -> Error {
        if self.options.create {
            error
        } else {
            error.with_state(state)
        }
    }
}

const PARTLY: &str = "a part of the dump may be in the database";
const ROLLED_BACK: &str = "the transaction was rolled back: the database is as it was";

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

/// The program for the archive; none for a plain dump, which needs none.
fn find_pg_restore(
    archive: &Archive,
    connection: &Connection,
    options: &RestoreOptions,
    run: &Run,
) -> Result<Option<PathBuf>> {
    let Some(header) = archive.header() else {
        return Ok(None);
    };
    let given = options.pg_restore.as_deref();
    let found = program("pg_restore", given, &connection.server_version(), run)?;
    // An archive of a newer pg_dump wants a pg_restore as new, if there is one.
    let wanted = header.pg_dump_major();
    if given.is_none()
        && wanted > program_version(&found)?.0
        && let Ok(newer) = find_program("pg_restore", Some(wanted), None)
    {
        return Ok(Some(newer));
    }
    Ok(Some(found))
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

/// Creates it with the encoding and the locale of the database that was dumped, as far as this system has them.
fn create(connection: &mut Connection, name: &str, contents: &Contents, run: &Run) -> Result<()> {
    let quoted = quote_identifier(name);
    let Some(options) = &contents.database.options else {
        return connection.execute(&format!("create database {quoted} template template0"));
    };
    let Err(error) = connection.query(&format!("create database {quoted} {options}"), &[]) else {
        return Ok(());
    };
    // No such locale, a provider that this server does not know, an encoding that does not go with it.
    let unknown_locale = matches!(error.sqlstate(), Some("42809" | "22023" | "42704" | "42601" | "0A000"));
    if !unknown_locale {
        return Err(error);
    }
    run.emit(Event::Warning(format!(
        "the database was defined with {options}, which this server refuses ({error}): it gets the server's own locale, \
         and texts may be sorted in another order"
    )));
    let encoding = quote_literal(&contents.encoding);
    connection
        .execute(&format!(
            "create database {quoted} template template0 encoding {encoding}"
        ))
        .or_else(|_| {
            connection.execute(&format!(
                "create database {quoted} template template0 encoding {encoding} locale 'C'"
            ))
        })
}

/// Gives a created database the settings of the dumped one (`ALTER DATABASE ... SET`).
fn set(connection: &mut Connection, name: &str, contents: &Contents, run: &Run) -> Result<()> {
    for (before, after) in &contents.database.settings {
        let sql = format!("{before} {} {after}", quote_identifier(name));
        match connection.query(&sql, &[]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Server => run.emit(Event::Warning(format!(
                "a setting of the database could not be made (`{sql}`): {error}"
            ))),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sees to the extensions and roles that the dump needs: an error or warning names all that are missing.
fn provide(contents: &Contents, connection: &mut Connection, options: &RestoreOptions, run: &Run) -> Result<()> {
    let known = |connection: &mut Connection, sql: &str| -> Result<BTreeSet<String>> {
        let rows = connection.query(sql, &[])?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    };
    let list = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");

    let available = known(connection, "select name from pg_available_extensions")?;
    let missing: Vec<&String> = contents.extensions.difference(&available).collect();
    if !missing.is_empty() {
        let message = format!(
            "the dump needs extensions that this server does not have: {}",
            list(&missing)
        );
        if !options.ignore_errors {
            return Err(Error::new(ErrorKind::Refused, message).with_hint(
                "install them on the server (PostGIS on Debian or Ubuntu: apt-get install postgresql-15-postgis-3, \
                 with the server's major version)",
            ));
        }
        run.emit(Event::Warning(message));
    }

    let roles = known(connection, "select rolname from pg_roles")?;
    let missing: Vec<&String> = contents.roles.difference(&roles).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let create = || {
        let statements: Vec<String> = missing
            .iter()
            .map(|role| format!("create role {} nologin", quote_identifier(role)))
            .collect();
        statements.join("; ")
    };
    let message = format!(
        "privileges or policies of the dump name roles that this server does not have: {}",
        list(&missing)
    );
    if options.create_roles {
        connection.execute(&create())?;
        run.emit(Event::Message(format!(
            "created the roles {}, which cannot log in",
            list(&missing)
        )));
    } else if options.ignore_errors {
        run.emit(Event::Warning(message));
    } else {
        return Err(Error::new(ErrorKind::Refused, message).with_hint(format!(
            "create them: {}; or pass over errors (-x): the objects come without those privileges and policies",
            create()
        )));
    }
    Ok(())
}

/// Looks at the database that is to be filled.
fn look_at_database(connection: &mut Connection, name: &str, options: &RestoreOptions, run: &Run) -> Result<()> {
    let facts = connection.query(
        "select d.datistemplate::text, pg_is_in_recovery()::text, current_setting('transaction_read_only'),
                (select count(*) from pg_stat_activity a
                 where a.datid = d.oid and a.pid <> pg_backend_pid() and a.backend_type = 'client backend')::text,
                (select string_agg(a.pid::text, ', ') from pg_stat_activity a
                 where a.datid = d.oid and a.application_name = 'pum pg_restore')
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
    if !fact(4).is_empty() {
        return refuse(
            &format!(
                "another restore into \"{name}\" is at work (server processes {})",
                fact(4)
            ),
            "wait for it; if its pum was killed, end it with pg_terminate_backend",
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
