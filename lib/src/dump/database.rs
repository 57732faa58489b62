//! The database that a dump is restored into: looked at, created, given what the dump needs.

use std::collections::BTreeSet;

use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::dump::contents::Contents;
use crate::dump::restore::RestoreOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::target::Target;

/// The name of the database as libpq resolves it.
pub(super) fn database_name(target: &Target, run: &Run) -> Result<String> {
    let resolved = target.resolve(run)?;
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
pub(super) fn maintenance(target: &Target, run: &Run) -> Result<Connection> {
    let open = |database: &str| Connection::open(&target.clone().with("dbname", database), run);
    open("postgres").or_else(|error| match error.sqlstate() {
        Some("3D000") => open("template1"),
        _ => Err(error),
    })
}

/// # Errors
/// The database is there. Where it is an empty one, as a restore that was killed leaves it, the error says so.
pub(super) fn refuse_existing(connection: &mut Connection, target: &Target, name: &str, run: &Run) -> Result<()> {
    let found = connection.query(
        &format!(
            "select pg_get_userbyid(datdba)::text, pg_has_role(datdba, 'usage')::text, \
             (select count(*) from pg_stat_activity a where a.datid = d.oid and {IS_SESSION})::text \
             from pg_database d where datname = $1::text"
        ),
        &[Some(name)],
    )?;
    let Some(row) = found.iter().next() else { return Ok(()) };
    let empty = Connection::open(target, run)
        .and_then(|mut inside| holds_user_objects(&mut inside))
        .is_ok_and(|holds| !holds);
    let refuse = |what: &str, hint: String| {
        let message = format!("the database \"{name}\" exists already{what}");
        Err(Error::new(ErrorKind::Refused, message).with_hint(hint))
    };
    if !empty {
        let hint = "leave out the option that creates it to restore into it, or name another";
        return refuse("", hint.to_owned());
    }
    if row.text(2) != "0" {
        let hint = format!(
            "{} connected to it, perhaps another restore at work: wait for its end, or name another database",
            other_sessions(row.text(2))
        );
        return refuse(" and is empty", hint);
    }
    let who = match row.text(1) {
        "true" => String::new(),
        _ => format!(" as its owner, {}", row.text(0)),
    };
    refuse(
        " and is empty",
        format!(
            "a restore that was killed leaves it so: leave out the option that creates it to restore into it as it is; or run \
             DROP DATABASE {}{who} and restore again, to have it with the encoding and the settings of the dumped one",
            quote_identifier(name)
        ),
    )
}

/// Whether a row `a` of pg_stat_activity is somebody's session. Of those of other roles only a member of pg_read_all_stats
/// sees the type; processes that work for nobody have no role.
const IS_SESSION: &str = "a.usesysid is not null and coalesce(a.backend_type, 'client backend') = 'client backend'";

fn other_sessions(count: &str) -> String {
    match count {
        "1" => "1 other session is".to_owned(),
        _ => format!("{count} other sessions are"),
    }
}

/// Refuses what the role lacks an attribute for, before anything is made.
pub(super) fn refuse_without_right(connection: &mut Connection, right: &str, purpose: &str) -> Result<()> {
    let rights = connection.query(
        "select (rolsuper or case $1::text when 'CREATEDB' then rolcreatedb else rolcreaterole end)::text, current_user::text \
         from pg_roles where rolname = current_user",
        &[Some(right)],
    )?;
    if rights.value(0, 0) == Some("true") {
        return Ok(());
    }
    let role = rights.value(0, 1).unwrap_or_default();
    Err(Error::new(
        ErrorKind::Refused,
        format!("the role \"{role}\" lacks the right {right} and cannot {purpose}"),
    )
    .with_hint(format!(
        "let who may run: ALTER ROLE {} {right}",
        quote_identifier(role)
    )))
}

/// Creates it with the encoding and the locale of the database that was dumped, as far as this system has them.
pub(super) fn create(connection: &mut Connection, name: &str, contents: &Contents, run: &Run) -> Result<()> {
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
pub(super) fn set(connection: &mut Connection, name: &str, contents: &Contents, run: &Run) -> Result<()> {
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
pub(super) fn provide(
    contents: &Contents,
    connection: &mut Connection,
    options: &RestoreOptions,
    run: &Run,
) -> Result<()> {
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

    if !options.create {
        let encoding = connection.query("select current_setting('server_encoding')", &[])?;
        let encoding = encoding.value(0, 0).unwrap_or("");
        if encoding != contents.encoding && encoding != "UTF8" {
            run.emit(Event::Warning(format!(
                "the database is in {encoding} and the dump in {}: a text with a character that {encoding} does not have \
                 cannot be restored",
                contents.encoding
            )));
        }
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
        let purpose = format!("create the roles of the dump that are missing: {}", list(&missing));
        refuse_without_right(connection, "CREATEROLE", &purpose)?;
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
pub(super) fn look_at_database(
    connection: &mut Connection,
    name: &str,
    options: &RestoreOptions,
    run: &Run,
) -> Result<()> {
    let facts = connection.query(
        &format!(
            "select d.datistemplate::text, pg_is_in_recovery()::text, current_setting('transaction_read_only'),
                    (select count(*) from pg_stat_activity a
                     where a.datid = d.oid and a.pid <> pg_backend_pid() and {IS_SESSION})::text,
                    (select string_agg(a.pid::text, ', ') from pg_stat_activity a
                     where a.datid = d.oid and a.application_name = 'pum pg_restore')
             from pg_database d where d.datname = current_database()"
        ),
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
            "{} connected to \"{name}\"",
            other_sessions(fact(3))
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
