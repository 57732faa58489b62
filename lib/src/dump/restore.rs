//! Restores a dump into a database: everything is looked at before anything is changed.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::{Connection, quote_identifier};
use crate::dump::archive::Archive;
use crate::dump::child::{self, Child};
use crate::dump::contents::{Contents, exclude};
use crate::dump::load::Load;
use crate::dump::parallel::{self, Chosen};
use crate::dump::{Format, database, milliseconds, program};
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
    super::refuse_database(file)?;
    restore_dump(file, false, target, options, run)
}

/// What of a dump is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Whole,
    /// The tables and the rows of the dump: neither indexes nor constraints that hold between rows, nor triggers.
    UntilRows,
    /// What is left after [`Stage::UntilRows`], save the rows of materialized views.
    AfterRows,
}

/// Restores a dump as [`restore`] does. One that `pg_dump` has just written (`fresh`) is not read to its end before.
pub(crate) fn restore_dump(
    file: &Path,
    fresh: bool,
    target: &Target,
    options: &RestoreOptions,
    run: &Run,
) -> Result<Restored> {
    restore_stage(file, Stage::Whole, fresh, target, options, run)
}

/// Restores a part of a dump that is no plain one, as [`restore_dump`] does the whole.
pub(crate) fn restore_stage(
    file: &Path,
    stage: Stage,
    fresh: bool,
    target: &Target,
    options: &RestoreOptions,
    run: &Run,
) -> Result<Restored> {
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
    let name = database::database_name(target, run)?;
    let mut connection = if options.create {
        database::maintenance(target, run)
    } else {
        Connection::open(target, run)
    }
    .map_err(untouched)?;
    let pg_restore = find_pg_restore(&archive, &connection, options, run).map_err(untouched)?;
    let checked = fresh || archive.verify(run)?;
    if let Some(pg_restore) = &pg_restore {
        archive.read(pg_restore, checked, run).map_err(untouched)?;
    }
    let contents = Contents::read(&archive, pg_restore.as_deref(), options, run).map_err(untouched)?;
    if options.create {
        database::refuse_existing(&mut connection, target, &name, run).map_err(untouched)?;
        database::refuse_without_right(&mut connection, "CREATEDB", &format!("create the database \"{name}\""))
            .map_err(untouched)?;
    } else {
        database::look_at_database(&mut connection, &name, options, run).map_err(untouched)?;
    }
    database::provide(&contents, &mut connection, options, run).map_err(untouched)?;

    let work = Work {
        stage,
        archive,
        contents,
        pg_restore,
        options,
        run,
    };
    let mut passed_over = Vec::new();
    if options.create {
        database::create(&mut connection, &name, &work.contents, run).map_err(untouched)?;
        let restored = Connection::open(target, run)
            .and_then(|mut inside| work.restore(&mut inside, &mut passed_over))
            .and_then(|()| database::set(&mut connection, &name, &work.contents, run));
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
    stage: Stage,
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
            if self.options.jobs > 1 {
                let message = "a plain dump is restored by one job instead of several";
                self.run.emit(Event::Warning(message.to_owned()));
            }
            return self.plain(connection, passed_over);
        };
        let directly = |chosen: Chosen<'_>, connection: &Connection, passed_over: &mut Vec<PassedOver>| {
            parallel::pg_restore(
                &self.archive,
                pg_restore,
                chosen,
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
            let filling = self.contents.without_filling();
            let chosen = match self.stage {
                Stage::Whole => Chosen::default(),
                Stage::UntilRows => Chosen {
                    sections: &["pre-data", "data"],
                    ..Chosen::default()
                },
                Stage::AfterRows => Chosen {
                    sections: &["post-data"],
                    lines: Some(&filling),
                },
            };
            return directly(chosen, connection, passed_over).map_err(|error| {
                match several || self.options.ignore_errors {
                    true => partly(error),
                    false => self.state(error, ROLLED_BACK),
                }
            });
        }
        if self.stage == Stage::AfterRows {
            let filling = self.contents.without_filling();
            let sections = &["post-data"];
            if several {
                let lines = Some(&filling[..]);
                return directly(Chosen { lines, sections }, connection, passed_over).map_err(partly);
            }
            let list = parallel::list_file(&filling).map_err(partly)?;
            let arguments = ["--use-list".into(), list.file.as_os_str().to_owned()];
            let arguments = [&["--section=post-data".into()], &arguments[..]].concat();
            return self.stream(pg_restore, &arguments, connection, passed_over);
        }
        if !several {
            let sections: &[OsString] = match self.stage {
                Stage::UntilRows => &["--section=pre-data".into(), "--section=data".into()],
                _ => &[],
            };
            return self.stream(pg_restore, sections, connection, passed_over);
        }
        let (lines, extension_data) = self.contents.extension_data();
        self.stream(pg_restore, &["--section=pre-data".into()], connection, passed_over)?;
        if !extension_data.is_empty() {
            let list = parallel::list_file(&extension_data).map_err(partly)?;
            let arguments = ["--use-list".into(), list.file.as_os_str().to_owned()];
            self.stream(pg_restore, &arguments, connection, passed_over)
                .map_err(partly)?;
        }
        let chosen = Chosen {
            lines: Some(&lines),
            sections: match self.stage {
                Stage::UntilRows => &["data"],
                _ => &["data", "post-data"],
            },
        };
        directly(chosen, connection, passed_over).map_err(partly)
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
