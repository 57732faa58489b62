//! The copy of production that is upgraded in its place, and the ways to make one.

mod database;
mod likeness;
mod physical;
mod restored;
mod room;
mod sample;
mod template;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

pub(super) use database::{open_if_there, prepare, set};
pub(super) use likeness::Likeness;
use room::Need;
use sample::unknown_of;
pub use sample::{Sample, Sampled};

use serde::{Deserialize, Serialize};

use super::contract::structure_filter;
use super::{Flow, RehearsalOptions};
use crate::catalog::Catalog;
use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::diff::Diff;
use crate::dump::{Restored, dump};
use crate::error::{Error, ErrorKind, Result};
use crate::history::History;
use crate::run::{Event, Run};
use crate::server::{Server, ServerOptions, base};
use crate::target::Target;

/// How production is copied for a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CopyMethod {
    /// What is right and safe for every production: [`CopyMethod::Restore`].
    #[default]
    Auto,
    /// Dumped and restored: with several jobs, and from the backup when there is one.
    Restore,
    /// `CREATE DATABASE ... TEMPLATE` in production's own server, on its disk, while nobody is connected to production.
    Template,
    /// `pg_basebackup` of the whole server into a throw-away one, which keeps bloat and the order of rows: times are
    /// nearest to production's. Needs the right `REPLICATION`.
    Physical,
}

impl CopyMethod {
    /// All of them, in the order in which they are told.
    pub const ALL: [CopyMethod; 4] = [
        CopyMethod::Auto,
        CopyMethod::Restore,
        CopyMethod::Template,
        CopyMethod::Physical,
    ];

    /// Its name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            CopyMethod::Auto => "auto",
            CopyMethod::Restore => "restore",
            CopyMethod::Template => "template",
            CopyMethod::Physical => "physical",
        }
    }
}

impl fmt::Display for CopyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CopyMethod {
    type Err = Error;

    fn from_str(name: &str) -> Result<CopyMethod> {
        CopyMethod::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Usage,
                    format!("\"{}\" is no way to copy a database", name.escape_debug()),
                )
                .with_hint("the ways are auto, restore, template, physical")
            })
    }
}

/// A copy that was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// How; never [`CopyMethod::Auto`].
    pub method: CopyMethod,
    /// Whether it has no rows save those of the upgrades table. Times are not production's then, and what a delta would
    /// do to rows is not known.
    pub schema_only: bool,
    /// What part it has of the rows of large tables; none where it has all of them, or no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
    /// How long it took in all, in milliseconds; the backup included when the copy came from it.
    pub milliseconds: u64,
}

impl Copied {
    /// What cannot be told of a copy without all rows; none where it has them. Such a copy's times are not production's.
    pub(super) fn lacks(&self) -> Option<String> {
        const WITHOUT_ROWS: &str =
            "the copy has no rows: times are not production's, and what the deltas do to rows is not known";
        match &self.sampled {
            _ if self.schema_only => Some(WITHOUT_ROWS.to_owned()),
            sampled => sampled.as_ref().and_then(unknown_of),
        }
    }
}

/// The copy of a rehearsal.
pub(super) struct Copy {
    pub(super) target: Target,
    /// The server that holds it and nothing else, when it has one.
    pub(super) server: Option<Server>,
    pub(super) restored: Restored,
    pub(super) copied: Copied,
}

/// Production as it was read, in a transaction that is still open.
pub(super) struct Source<'a> {
    pub(super) production: Connection,
    /// The name of its snapshot.
    pub(super) snapshot: String,
    pub(super) history: Option<&'a History>,
    pub(super) catalog: &'a Catalog,
    pub(super) like: &'a Likeness,
}

/// The way that is taken, when the options go together.
pub(super) fn method(options: &RehearsalOptions) -> Result<CopyMethod> {
    let usage = |message: &str, hint: &str| Err(Error::new(ErrorKind::Usage, message).with_hint(hint));
    let method = match options.copy {
        CopyMethod::Auto => CopyMethod::Restore,
        method => method,
    };
    if options.schema_only && method != CopyMethod::Restore {
        return usage(
            "only a copy by dump and restore can be without rows",
            "leave out --schema-only, or choose --copy restore",
        );
    }
    if options.schema_only && options.filter.compares_rows() {
        return usage(
            "rows are to be compared, and the copy is to have none",
            "leave out --schema-only, or compare without rows (--ignore data)",
        );
    }
    if options.sample.is_some() && (options.schema_only || method != CopyMethod::Restore) {
        return usage(
            "only a copy by dump and restore that has rows can have a sample of them",
            "leave out --sample, or choose --copy restore without --schema-only",
        );
    }
    if options.sample.is_some() && options.filter.compares_rows() {
        return usage(
            "rows are to be compared, and the copy is to have a sample of them",
            "leave out --sample, or compare without rows (--ignore data)",
        );
    }
    match (method, &options.test) {
        (CopyMethod::Template, None) => usage(
            "a copy by template needs a name: it lies in production's own server",
            "name a test database on that server (-pt)",
        ),
        (CopyMethod::Physical, Some(_)) => usage(
            "a physical copy is a server of its own, and cannot become the test database",
            "leave out the test database (-pt), or copy another way (--copy restore)",
        ),
        _ => Ok(method),
    }
}

/// How many phases making the copy has.
pub(super) fn phases(method: CopyMethod, options: &RehearsalOptions) -> usize {
    match method {
        CopyMethod::Template | CopyMethod::Physical => 1 + usize::from(options.backup.is_some()),
        _ if options.sample.is_some() => 4 + usize::from(options.backup.is_some()),
        _ => 2 + usize::from(options.backup.is_some() && options.schema_only),
    }
}

/// Refuses, before anything is copied, what cannot come to a good end.
pub(super) fn look(
    production: &mut Connection,
    method: CopyMethod,
    like: &Likeness,
    options: &RehearsalOptions,
    run: &Run,
) -> Result<()> {
    match (method, &options.test) {
        (CopyMethod::Template, Some(test)) => template::look(production, test, run)?,
        (CopyMethod::Physical, _) => physical::look(production)?,
        (_, Some(test)) if !options.ignore_restore_errors => {
            // Should there be none, the database itself is asked when it is restored into.
            if let Some(mut beside) = database::maintenance(test, run) {
                let server = format!("the server of {test}");
                refuse_missing_extensions(&mut beside, like, &server)?;
            }
        }
        _ => {}
    }
    let mut sizes = like.sizes;
    if let Some(sample) = options.sample {
        // At least, as far as the tables are large.
        sizes.database = sample.of(sizes.database);
    }
    let mut needs = Vec::new();
    let mut need = |place: &Path, bytes| {
        needs.push(Need {
            place: place.to_owned(),
            bytes,
        });
    };
    if let Some(file) = &options.backup {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        need(parent.unwrap_or(Path::new(".")), sizes.tables / room::COMPRESSED);
    } else if method == CopyMethod::Restore && !options.schema_only && options.sample.is_none() {
        need(&base(), sizes.tables / room::COMPRESSED);
    }
    match method {
        CopyMethod::Physical => need(&base(), sizes.cluster),
        CopyMethod::Restore if options.test.is_none() && !options.schema_only => need(&base(), sizes.database),
        // What others have of room cannot be seen from here.
        _ => {}
    }
    room::look(&needs)
}

/// The copy's own sessions, those that look on, and what Python deltas open; the jobs come besides.
const CONNECTIONS: usize = 60;

/// A throw-away server of production's major version, with production's roles, and its extensions at hand.
pub(super) fn start_server(
    production: &mut Connection,
    like: &mut Likeness,
    options: &RehearsalOptions,
    run: &Run,
) -> Result<Server> {
    let connections = CONNECTIONS + options.jobs.max(4);
    // Enough for a transaction that locks everything. Whoever looks at the locks goes through the whole table of them, which
    // therefore is no larger than that: so many for each connection.
    let locks = production.query(
        &format!(
            "select greatest(current_setting('max_locks_per_transaction')::int, 256, \
             (select 2 * count(*) / {connections} from pg_class where oid >= 16384))::text"
        ),
        &[],
    )?;
    // What the user sets comes later, and wins. With less than this nothing is logged of what is written anew, and the log
    // that production writes could not be foreseen.
    let mut settings = vec![
        ("wal_level".to_owned(), "replica".to_owned()),
        ("full_page_writes".to_owned(), "on".to_owned()),
        ("max_connections".to_owned(), connections.to_string()),
        // A delta that turns a subscription on makes no worker of the copy's take what is production's.
        ("max_logical_replication_workers".to_owned(), "0".to_owned()),
    ];
    settings.extend(options.server.settings.iter().cloned());
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
    let here = format!("the PostgreSQL {} of this machine", server.version());
    refuse_missing_extensions(&mut connection, like, &here)?;
    for role in like.roles.iter().filter(|role| *role != "postgres") {
        // Nobody can log in as them; they are there to be granted to and to own.
        connection.execute(&format!("create role {} nologin", quote_identifier(role)))?;
    }
    // A time zone that this machine does not know must not keep the server from starting.
    like.server_settings.retain(|(name, value)| {
        let set = format!("alter system set {} = {}", quote_identifier(name), list(name, value));
        let known = connection.execute(&set);
        if let Err(error) = &known {
            run.emit(Event::Warning(format!(
                "the copy does not have production's setting {name}: {}",
                error.message()
            )));
        }
        known.is_ok()
    });
    connection.execute("select pg_reload_conf()")?;
    Ok(server)
}

/// The value of a setting; that of `search_path` is a list already.
fn list(name: &str, value: &str) -> String {
    match (name, value.trim()) {
        ("search_path", "") => "''".to_owned(),
        ("search_path", list) => list.to_owned(),
        _ => quote_literal(value),
    }
}

fn refuse_missing_extensions(server: &mut Connection, like: &Likeness, which: &str) -> Result<()> {
    let available = server.query("select name::text from pg_available_extensions", &[])?;
    let missing: Vec<&str> = like
        .extensions
        .iter()
        .map(String::as_str)
        .filter(|wanted| !available.iter().any(|row| row.text(0) == *wanted))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Program,
        format!("production uses the extension {}, which {which} does not have", missing.join(", ")),
    )
    .with_hint(
        "install it there (on Debian PostGIS is postgresql-15-postgis-3), or name a test database (-pt) on a server that has it",
    ))
}

impl Flow<'_> {
    /// Makes the copy, and before it the backup that was asked for. Production's session is closed.
    pub(super) fn copy(&mut self, method: CopyMethod, source: Source<'_>, throw_away: Option<&Server>) -> Result<Copy> {
        let options = self.options;
        let mut started = Instant::now();
        let from_backup = method == CopyMethod::Restore && !options.schema_only && options.sample.is_none();
        let mut sampled = None;
        if let Some(file) = &options.backup {
            self.phase(format!("back up {} to \"{}\"", self.production, file.display()))?;
            dump(self.production, file, &self.dump_options(&source.snapshot, 1), self.run)?;
            if !from_backup {
                started = Instant::now();
            }
        }
        let nowhere = || Error::new(ErrorKind::Usage, "there is no test database");
        let (target, server, restored) = match method {
            CopyMethod::Template => {
                let test = options.test.clone().ok_or_else(nowhere)?;
                self.by_template(source, &test)?;
                (test, None, Restored::default())
            }
            CopyMethod::Physical => {
                let server = self.physically(source, throw_away.ok_or_else(nowhere)?)?;
                let target = server.0.target(&server.1);
                (target, Some(server.0), Restored::default())
            }
            _ => {
                let test = options.test.clone();
                let test = test.or_else(|| throw_away.map(|server| server.target("pum_test")));
                let test = test.ok_or_else(nowhere)?;
                let restored = if let Some(sample) = options.sample {
                    let (restored, came) = self.by_sample(source, sample, &test)?;
                    sampled = Some(came);
                    restored
                } else {
                    let backup = options.backup.as_deref().filter(|_| from_backup);
                    self.by_restore(source, backup, &test)?
                };
                (test, None, restored)
            }
        };
        let copied = Copied {
            method,
            schema_only: options.schema_only,
            sampled,
            milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        Ok(Copy {
            target,
            server,
            restored,
            copied,
        })
    }

    fn by_template(&mut self, source: Source<'_>, test: &Target) -> Result<()> {
        let Source {
            mut production,
            history,
            catalog,
            like,
            ..
        } = source;
        self.phase(format!("copy {} in its server to {test}, by template", self.production))?;
        let major = production.server_version().major();
        production.rollback();
        drop(production);
        template::make(test, like, self.options.overwrite, major, self.run)?;
        // Its own settings came along as far as a copy has them, and its owner is who made it. Subscriptions stay behind: they are
        // objects of the server, each in the one database that it fills.
        self.still_the_same(history, catalog, test, &["database", "settings", "subscriptions"])
    }

    /// The server that holds the copy, and the name of the database.
    fn physically(&mut self, source: Source<'_>, here: &Server) -> Result<(Server, String)> {
        let Source {
            mut production,
            history,
            catalog,
            like,
            ..
        } = source;
        self.phase(format!("copy the server of {}", self.production))?;
        // The files are of another moment than the snapshot, which would only be in VACUUM's way.
        production.rollback();
        let server = physical::make(&mut production, like, here, self.options, self.run)?;
        drop(production);
        self.still_the_same(history, catalog, &server.target(&like.database), &[])?;
        Ok((server, like.database.clone()))
    }

    /// Refuses a copy of another moment, in which production was not what had been read.
    fn still_the_same(
        &self,
        history: Option<&History>,
        catalog: &Catalog,
        test: &Target,
        passed_over: &[&str],
    ) -> Result<()> {
        let filter = structure_filter(&self.options.upgrade.table);
        let mut copy = Connection::open(test, self.run)?;
        let same_history = History::read(&mut copy, &self.options.upgrade.table)?.as_ref() == history;
        let diff = Diff::between(catalog, &Catalog::read(&mut copy, &filter)?);
        let changed = diff
            .differences()
            .iter()
            .find(|difference| !passed_over.contains(&difference.object.kind.name()));
        match (same_history, changed) {
            (true, None) => Ok(()),
            (_, changed) => {
                let what = changed.map_or("its upgrades table".to_owned(), |found| found.object.to_string());
                Err(Error::new(
                    ErrorKind::Refused,
                    format!("{} was changed while it was copied: {what}", self.production),
                )
                .with_hint("rehearse again when nobody changes it"))
            }
        }
    }
}
