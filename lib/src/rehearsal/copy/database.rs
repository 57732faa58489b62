//! The databases of a rehearsal: never made out of somebody else's.

use super::likeness::Likeness;
use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::target::Target;

/// The comment on a database that says that pum made it and may drop it. The query of comments leaves it out.
const MARK: &str = "made by pum for a rehearsal; pum drops it at the next one";

/// Opens a database, or `None` when its server says that it does not exist.
pub(in crate::rehearsal) fn open_if_there(target: &Target, run: &Run) -> Result<Option<Connection>> {
    let error = match Connection::open(target, run) {
        Ok(connection) => return Ok(Some(connection)),
        Err(error) => error,
    };
    match maintenance(target, run) {
        Some(mut connection) => match found(&mut connection, &database_name(target, run)?)? {
            Found::Somebodys => Err(error),
            Found::Nothing | Found::LeftOver => Ok(None),
        },
        None => Err(error),
    }
}

/// The databases that servers have, beside which others are made.
pub(super) const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// A session on the same server, beside the database that is to be made.
pub(super) fn maintenance(target: &Target, run: &Run) -> Option<Connection> {
    MAINTENANCE
        .iter()
        .find_map(|name| Connection::open(&target.clone().with("dbname", name), run).ok())
}

pub(super) fn database_name(target: &Target, run: &Run) -> Result<String> {
    let resolved = target.resolve(run)?;
    let name = resolved
        .value("dbname")
        .or_else(|| resolved.value("user"))
        .unwrap_or_default();
    Ok(name.to_owned())
}

/// A database that nobody has connected to.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    /// A killed run left it: a copy by template that was not finished, or one of which the removal was not.
    LeftOver,
    Somebodys,
}

/// What a copy by template is until it is marked: `CREATE DATABASE` can set this and no comment.
const UNFINISHED: &str = "allow_connections false connection limit 0";

fn found(connection: &mut Connection, name: &str) -> Result<Found> {
    let rows = connection.query(
        "select (not datallowconn and datconnlimit = 0 and mark is null or datconnlimit = -2 and mark = $2::text)::text \
         from (select *, shobj_description(oid, 'pg_database') as mark from pg_database) d where datname = $1::text",
        &[Some(name), Some(MARK)],
    )?;
    Ok(match rows.iter().next().map(|row| row.text(0)) {
        None => Found::Nothing,
        Some("true") => Found::LeftOver,
        Some(_) => Found::Somebodys,
    })
}

/// What a database may hold that is to be made anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replace {
    /// What pum made.
    Own,
    /// Whatever it is.
    Anything,
}

impl Replace {
    fn when(overwrite: bool) -> Replace {
        if overwrite { Replace::Anything } else { Replace::Own }
    }
}

/// Makes an empty database for the rehearsal: creates a missing one, takes an empty one, makes pum's own anew.
pub(in crate::rehearsal) fn prepare(target: &Target, like: &Likeness, overwrite: bool, run: &Run) -> Result<()> {
    let name = database_name(target, run)?;
    let usable = look(target, Replace::when(overwrite), run)?;
    let Some(mut maintenance) = maintenance(target, run) else {
        return if usable { Ok(()) } else { Err(no_maintenance(target)) };
    };
    if !usable {
        refuse_without_createdb(&mut maintenance, target, &name)?;
        drop_database(&mut maintenance, target, &name)?;
        create(&mut maintenance, target, &name, like, run)?;
    }
    // An empty database of somebody else may not let itself be marked; then it is refused the next time, when full.
    let _ = mark(&mut maintenance, &name);
    set(&mut maintenance, &name, like, run)
}

/// Makes the database for the rehearsal out of production, to which nobody may be connected: missing, or pum's own and
/// made anew.
///
/// # Errors
/// Those of the server, 55006 when somebody is connected; whatever it was, the database is not there then.
pub(super) fn prepare_from_production(
    target: &Target,
    like: &Likeness,
    overwrite: bool,
    strategy: &str,
    run: &Run,
) -> Result<()> {
    let name = database_name(target, run)?;
    // An empty one of somebody else is refused too: it would be dropped, with what it was given.
    let empty = look(target, Replace::when(overwrite), run)?;
    let mut maintenance = maintenance(target, run).ok_or_else(|| no_maintenance(target))?;
    if empty && !overwrite && !is_marked(&mut maintenance, &name)? {
        return Err(not_ours(target));
    }
    drop_database(&mut maintenance, target, &name)?;
    if maintenance.server_version().major() >= 18 {
        // Where the file system can share blocks this takes no time; else the files are copied.
        let _ = maintenance.execute("set file_copy_method = clone");
    }
    let quoted = quote_identifier(&name);
    maintenance.execute(&format!(
        "create database {quoted} template {} {strategy} {UNFINISHED}",
        quote_identifier(&like.database)
    ))?;
    let finished = mark(&mut maintenance, &name)
        .and_then(|()| set(&mut maintenance, &name, like, run))
        .and_then(|()| {
            maintenance.execute(&format!(
                "alter database {quoted} allow_connections true connection limit -1"
            ))
        });
    if finished.is_err() {
        let _ = maintenance.uncancelled(&format!("drop database if exists {quoted}"));
    }
    finished
}

/// Whether a database is there and empty. One that may not be replaced is refused.
fn look(target: &Target, replace: Replace, run: &Run) -> Result<bool> {
    let Some(mut connection) = open_if_there(target, run)? else {
        return Ok(false);
    };
    let name = database_name(target, run)?;
    let empty = !holds_objects(&mut connection)?;
    if empty || replace == Replace::Anything || is_marked(&mut connection, &name)? {
        Ok(empty)
    } else {
        Err(not_ours(target))
    }
}

fn not_ours(target: &Target) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("the database {target} holds something that pum did not make"),
    )
    .with_hint("name another database, or let pum drop what it holds with --overwrite-test")
}

fn no_maintenance(target: &Target) -> Error {
    Error::new(
        ErrorKind::Connection,
        format!(
            "the database {target} cannot be made: there is no session on \"postgres\" or \"template1\" of its server"
        ),
    )
    .with_hint("let the user connect to the database postgres, or create an empty database yourself")
}

fn failed(target: &Target, what: &str, error: Error) -> Error {
    error
        .within(format_args!("the database {target} cannot be {what}"))
        .with_hint("the user needs the right CREATEDB; or create an empty database yourself")
}

/// What is dropped must be created again: the owner of a database may drop it, and need not be able to.
fn refuse_without_createdb(maintenance: &mut Connection, target: &Target, name: &str) -> Result<()> {
    let rows = maintenance.query(
        "select (rolsuper or rolcreatedb)::text from pg_roles where rolname = current_user",
        &[],
    )?;
    if rows.value(0, 0) == Some("true") || found(maintenance, name)? == Found::Nothing {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        format!("the database {target} holds the last rehearsal, and the user may not create it again"),
    )
    .with_hint("give the user the right CREATEDB, or drop and create the database yourself, empty"))
}

fn drop_database(maintenance: &mut Connection, target: &Target, name: &str) -> Result<()> {
    if found(maintenance, name)? == Found::Nothing {
        return Ok(());
    }
    maintenance
        .execute(&format!("drop database {}", quote_identifier(name)))
        .map_err(|error| match error.sqlstate() {
            Some("55006") => error
                .within(format_args!("the database {target} cannot be dropped"))
                .with_hint("somebody else works with it, perhaps another rehearsal: wait for its end, or name another database"),
            _ => failed(target, "dropped", error),
        })
}

/// Creates it empty, with production's encoding and locale as far as the server has them.
fn create(maintenance: &mut Connection, target: &Target, name: &str, like: &Likeness, run: &Run) -> Result<()> {
    let quoted = quote_identifier(name);
    let wanted = format!("create database {quoted} template template0 {}", like.locale_options());
    let Err(error) = maintenance.execute(&wanted) else {
        return Ok(());
    };
    // 22023 and 42809: this server does not know production's locale.
    if !matches!(error.sqlstate(), Some("22023" | "42809" | "42704")) {
        return Err(failed(target, "created", error));
    }
    run.emit(Event::Warning(format!(
        "the copy cannot have production's locale ({}): text may sort otherwise there",
        error.message()
    )));
    maintenance
        .execute(&format!(
            "create database {quoted} template template0 encoding {}",
            quote_literal(&like.encoding)
        ))
        .map_err(|error| failed(target, "created", error))
}

fn mark(maintenance: &mut Connection, name: &str) -> Result<()> {
    maintenance.execute(&format!(
        "comment on database {} is {}",
        quote_identifier(name),
        quote_literal(MARK)
    ))
}

/// Gives a database what production's has of settings.
pub(in crate::rehearsal) fn set(maintenance: &mut Connection, name: &str, like: &Likeness, run: &Run) -> Result<()> {
    for (setting, value) in &like.settings {
        // In a transaction, so that it is set for the copy only and not for this session.
        let applied = maintenance.execute(&format!(
            "begin; select set_config({}, {}, true); alter database {} set {} from current; commit",
            quote_literal(setting),
            quote_literal(value),
            quote_identifier(name),
            qualified(setting)
        ));
        if let Err(error) = applied {
            maintenance.rollback();
            run.go_on()?;
            run.emit(Event::Warning(format!(
                "the copy does not have production's setting {setting}: {}",
                error.message()
            )));
        }
    }
    Ok(())
}

/// The name of a setting, with the dot of an extension's.
fn qualified(setting: &str) -> String {
    setting.split('.').map(quote_identifier).collect::<Vec<_>>().join(".")
}

fn is_marked(connection: &mut Connection, name: &str) -> Result<bool> {
    let rows = connection.query(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = $1::text",
        &[Some(name)],
    )?;
    Ok(rows.value(0, 0) == Some(MARK))
}

/// Whether a database holds anything that a user made. What belongs to an extension does not count.
fn holds_objects(connection: &mut Connection) -> Result<bool> {
    crate::dump::holds_user_objects(connection)
}
