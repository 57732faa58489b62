//! The databases of a rehearsal: made like production, and never made out of somebody else's.

use super::RehearsalOptions;
use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::server::{Server, ServerOptions};
use crate::target::Target;

/// The comment on a database that says that pum made it and may drop it.
const MARK: &str = "made by pum for a rehearsal; pum drops it at the next one";

/// What a copy needs to be like production and a dump does not hold.
pub(super) struct Likeness {
    encoding: String,
    collate: String,
    ctype: String,
    provider: String,
    locale: Option<String>,
    /// What `ALTER DATABASE` and `ALTER ROLE` have set for the user of production, weaker before stronger. Custom dumps
    /// leave it out, and deltas may count on a `search_path`.
    settings: Vec<(String, String)>,
    roles: Vec<String>,
    extensions: Vec<String>,
}

impl Likeness {
    pub(super) fn read(production: &mut Connection) -> Result<Likeness> {
        let rows = production.query(
            "select pg_encoding_to_char(encoding), datcollate::text, datctype::text, \
             coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), \
             coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') \
             from pg_database d where datname = current_database()",
            &[],
        )?;
        let Some(row) = rows.iter().next() else {
            return Err(Error::new(
                ErrorKind::Server,
                "the server does not list the database that it serves",
            ));
        };
        let settings = production.query(
            // Whatever the default is, pum upgrades in transactions that may write, and a restore needs one.
            "select split_part(s, '=', 1), substr(s, strpos(s, '=') + 1) from pg_db_role_setting, unnest(setconfig) s \
             where setdatabase in (0, (select oid from pg_database where datname = current_database())) \
             and setrole in (0, (select oid from pg_roles where rolname = session_user)) \
             and split_part(s, '=', 1) <> 'default_transaction_read_only' \
             order by setrole <> 0, setdatabase <> 0",
            &[],
        )?;
        let roles = production.query(
            "select rolname::text from pg_roles where rolname !~ '^pg_' order by 1",
            &[],
        )?;
        let extensions = production.query("select extname::text from pg_extension order by 1", &[])?;
        Ok(Likeness {
            encoding: row.text(0).to_owned(),
            collate: row.text(1).to_owned(),
            ctype: row.text(2).to_owned(),
            provider: row.text(3).to_owned(),
            locale: row.value(4).map(str::to_owned),
            settings: settings
                .iter()
                .map(|row| (row.text(0).to_owned(), row.text(1).to_owned()))
                .collect(),
            roles: roles.iter().map(|row| row.text(0).to_owned()).collect(),
            extensions: extensions.iter().map(|row| row.text(0).to_owned()).collect(),
        })
    }

    fn locale_options(&self) -> String {
        let common = format!(
            "encoding {} lc_collate {} lc_ctype {}",
            quote_literal(&self.encoding),
            quote_literal(&self.collate),
            quote_literal(&self.ctype)
        );
        match (self.provider.as_str(), &self.locale) {
            ("i", Some(locale)) => format!("{common} locale_provider icu icu_locale {}", quote_literal(locale)),
            ("b", Some(locale)) => format!(
                "{common} locale_provider builtin builtin_locale {}",
                quote_literal(locale)
            ),
            _ => common,
        }
    }
}

/// A throw-away server of production's major version, with production's roles, and its extensions at hand.
pub(super) fn start_server(production: &mut Connection, options: &RehearsalOptions, run: &Run) -> Result<Server> {
    let like = Likeness::read(production)?;
    let locks = production.query(
        "select greatest(current_setting('max_locks_per_transaction')::int, 512)::text",
        &[],
    )?;
    let mut settings = options.server.settings.clone();
    settings.push((
        "max_locks_per_transaction".to_owned(),
        locks.value(0, 0).unwrap_or("512").to_owned(),
    ));
    let server = Server::start(
        &ServerOptions {
            major: Some(production.server_version().major()),
            settings,
            programs: options.server.programs.clone(),
        },
        run,
    )
    .map_err(|error| {
        if error.kind() != ErrorKind::Program {
            return error;
        }
        let hint = "or name a test database (-pt) and one to compare with (-pc) on a server of yours";
        let hint = error
            .hint()
            .map_or_else(|| hint.to_owned(), |known| format!("{known}; {hint}"));
        Error::new(error.kind(), error.message()).with_hint(hint)
    })?;
    let mut connection = Connection::open(&server.target("postgres"), run)?;
    let available = connection.query("select name::text from pg_available_extensions", &[])?;
    let missing: Vec<&str> = like
        .extensions
        .iter()
        .map(String::as_str)
        .filter(|wanted| !available.iter().any(|row| row.text(0) == *wanted))
        .collect();
    if !missing.is_empty() {
        return Err(Error::new(
            ErrorKind::Program,
            format!(
                "production uses the extension {}, which the PostgreSQL {} of this machine does not have",
                missing.join(", "),
                server.version()
            ),
        )
        .with_hint("install it here (on Debian PostGIS is postgresql-15-postgis-3), or name a test database (-pt) on a server that has it"));
    }
    for role in like.roles.iter().filter(|role| *role != "postgres") {
        // Nobody can log in as them; they are there to be granted to and to own.
        connection.execute(&format!("create role {} nologin", quote_identifier(role)))?;
    }
    Ok(server)
}

/// Opens a database, or `None` when its server says that it does not exist.
pub(super) fn open_if_there(target: &Target, run: &Run) -> Result<Option<Connection>> {
    let error = match Connection::open(target, run) {
        Ok(connection) => return Ok(Some(connection)),
        Err(error) => error,
    };
    match maintenance(target, run) {
        Some(mut connection) => {
            if exists(&mut connection, target)? {
                Err(error)
            } else {
                Ok(None)
            }
        }
        None => Err(error),
    }
}

/// A session on the same server, beside the database that is to be made.
fn maintenance(target: &Target, run: &Run) -> Option<Connection> {
    ["postgres", "template1"]
        .iter()
        .find_map(|name| Connection::open(&target.clone().with("dbname", name), run).ok())
}

fn database_name(target: &Target) -> Result<String> {
    let resolved = target.resolve()?;
    let name = resolved
        .value("dbname")
        .or_else(|| resolved.value("user"))
        .unwrap_or_default();
    Ok(name.to_owned())
}

fn exists(connection: &mut Connection, target: &Target) -> Result<bool> {
    let name = database_name(target)?;
    Ok(!connection
        .query("select 1 from pg_database where datname = $1::text", &[Some(&name)])?
        .is_empty())
}

/// Makes an empty database for the rehearsal: creates a missing one, takes an empty one, makes pum's own anew.
pub(super) fn prepare(target: &Target, like: &Likeness, overwrite: bool, run: &Run) -> Result<()> {
    let name = database_name(target)?;
    let quoted = quote_identifier(&name);
    let mut usable = false;
    if let Some(mut connection) = open_if_there(target, run)? {
        let owned = is_marked(&mut connection)?;
        let empty = !holds_objects(&mut connection)?;
        if !owned && !empty && !overwrite {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("the database {target} holds something that pum did not make"),
            )
            .with_hint("name another database, or let pum drop what it holds with --overwrite-test"));
        }
        usable = empty;
    }
    let Some(mut maintenance) = maintenance(target, run) else {
        if usable {
            return Ok(());
        }
        return Err(Error::new(
            ErrorKind::Connection,
            format!("the database {target} cannot be made: there is no session on \"postgres\" or \"template1\" of its server"),
        )
        .with_hint("let the user connect to the database postgres, or create an empty database yourself"));
    };
    if !usable {
        let failed = |what: &'static str| {
            move |error: Error| {
                error
                    .within(format_args!("the database {target} cannot be {what}"))
                    .with_hint("the user needs the right CREATEDB; or create an empty database yourself")
            }
        };
        if exists(&mut maintenance, target)? {
            maintenance
                .execute(&format!("drop database {quoted}"))
                .map_err(|error| match error.sqlstate() {
                    Some("55006") => error
                        .within(format_args!("the database {target} cannot be dropped"))
                        .with_hint("somebody else works with it, perhaps another rehearsal: wait for its end, or name another database"),
                    _ => failed("dropped")(error),
                })?;
        }
        let wanted = format!("create database {quoted} template template0 {}", like.locale_options());
        if let Err(error) = maintenance.execute(&wanted) {
            // 22023 and 42809: this server does not know production's locale.
            if !matches!(error.sqlstate(), Some("22023" | "42809" | "42704")) {
                return Err(failed("created")(error));
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
                .map_err(failed("created"))?;
        }
    }
    // An empty database of somebody else may not let itself be marked; then it is refused the next time, when full.
    let _ = maintenance.execute(&format!("comment on database {quoted} is {}", quote_literal(MARK)));
    for (setting, value) in &like.settings {
        // In a transaction, so that it is set for the copy only and not for this session.
        let applied = maintenance.execute(&format!(
            "begin; select set_config({}, {}, true); alter database {quoted} set {} from current; commit",
            quote_literal(setting),
            quote_literal(value),
            qualified(setting)
        ));
        if let Err(error) = applied {
            maintenance.rollback();
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

fn is_marked(connection: &mut Connection) -> Result<bool> {
    let rows = connection.query(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()",
        &[],
    )?;
    Ok(rows.value(0, 0) == Some(MARK))
}

/// Whether a database holds anything that a user made. What belongs to an extension does not count.
fn holds_objects(connection: &mut Connection) -> Result<bool> {
    crate::dump::holds_user_objects(connection)
}
