//! A copy of the files of production's whole server, in a throw-away server of its own.

use super::RehearsalOptions;
use super::likeness::Likeness;
use crate::connection::{Connection, quote_literal};
use crate::dump::{Tablespace, base_backup};
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::server::{Server, ServerOptions};

/// Preloaded libraries that do nothing by themselves. Others may have workers that act, as pg_cron runs its jobs.
const PASSIVE: [&str; 10] = [
    "auth_delay",
    "auto_explain",
    "passwordcheck",
    "pg_hint_plan",
    "pg_stat_kcache",
    "pg_stat_statements",
    "pg_qualstats",
    "pgaudit",
    "plpgsql",
    "postgis-3",
];

/// Refuses when production may not be copied so.
pub(super) fn look(production: &mut Connection) -> Result<()> {
    let facts = production.query(
        "select rolname::text, (rolsuper or rolreplication)::text, current_setting('wal_level'), \
         current_setting('max_wal_senders') from pg_roles where rolname = session_user",
        &[],
    )?;
    let fact = |column| facts.value(0, column).unwrap_or("");
    let refuse = |what: String, hint: &str| {
        Err(Error::new(ErrorKind::Refused, what).with_hint(format!("{hint}, or copy another way (--copy restore)")))
    };
    if fact(1) != "true" {
        return refuse(
            format!(
                "a physical copy needs the right REPLICATION, which the role \"{}\" does not have",
                fact(0)
            ),
            "let a superuser give it (alter role ... replication)",
        );
    }
    if fact(2) == "minimal" || fact(3) == "0" {
        return refuse(
            format!(
                "a physical copy needs a server that can be replicated, and production's has wal_level = {} and \
                 max_wal_senders = {}",
                fact(2),
                fact(3)
            ),
            "set wal_level = replica and max_wal_senders = 10, which takes a restart",
        );
    }
    Ok(())
}

/// Copies the server and starts the copy. `here` is a server of the same version on this machine.
pub(super) fn make(
    production: &mut Connection,
    like: &Likeness,
    here: &Server,
    options: &RehearsalOptions,
    run: &Run,
) -> Result<Server> {
    let mut settings = settings(production)?;
    settings.extend(preloaded(production, here, run)?);
    settings.extend(like.server_settings.iter().cloned());
    settings.extend(options.server.settings.iter().cloned());
    let tablespaces: Vec<Tablespace> = production
        .query(
            "select oid::text, pg_tablespace_location(oid) from pg_tablespace \
             where pg_tablespace_location(oid) like '/%' order by oid",
            &[],
        )?
        .iter()
        .map(|row| Tablespace {
            oid: row.text(0).to_owned(),
            location: row.text(1).to_owned(),
        })
        .collect();
    // That of the very version is beside the server's programs, or found as pg_dump is.
    let beside = here.programs().join("pg_basebackup");
    let given = beside.is_file().then_some(beside.as_path());
    let server_options = ServerOptions {
        major: Some(production.server_version().major()),
        settings,
        programs: Some(here.programs().to_owned()),
    };
    Server::start_on(&server_options, [&like.user, &like.database], run, |directory| {
        base_backup(production, directory, &tablespaces, given, run)
    })
}

/// What the copied data needs to be started, and what the upgrade's own writing depends on.
fn settings(production: &mut Connection) -> Result<Vec<(String, String)>> {
    let rows = production.query(
        "select name, setting from pg_settings where name in ('full_page_writes', 'max_prepared_transactions', \
         'track_commit_timestamp', 'wal_level', 'wal_log_hints') \
         union all select 'max_locks_per_transaction', \
         greatest(current_setting('max_locks_per_transaction')::int4, 512)::text \
         union all select name, greatest(setting::int8, least * segment / 1048576)::text || 'MB' \
         from (values ('min_wal_size', 80, 2), ('max_wal_size', 1024, 4)) v (name, setting, least), \
         (select setting::int8 as segment from pg_settings where name = 'wal_segment_size') s",
        &[],
    )?;
    Ok(rows
        .iter()
        .map(|row| (row.text(0).to_owned(), row.text(1).to_owned()))
        .collect())
}

/// The libraries that production loads when it starts, as far as they are here, and no workers when they may act.
fn preloaded(production: &mut Connection, here: &Server, run: &Run) -> Result<Vec<(String, String)>> {
    let rows = production.query(
        "select setting from pg_settings where name = 'shared_preload_libraries'",
        &[],
    )?;
    let Some(listed) = rows.value(0, 0) else {
        run.emit(Event::Warning(
            "production's user may not see which libraries the server loads when it starts (pg_read_all_settings): the \
             copy runs without them"
                .to_owned(),
        ));
        return Ok(vec![("shared_preload_libraries".to_owned(), String::new())]);
    };
    let mut kept = Vec::new();
    let mut session = Connection::open(&here.target("postgres"), &run.quietly())?;
    for library in listed.split(',').map(|name| name.trim().trim_matches('"')) {
        if library.is_empty() {
            continue;
        }
        // Some complain that they must be loaded earlier: they are there.
        let missing = session
            .execute(&format!("load {}", quote_literal(library)))
            .is_err_and(|error| matches!(error.sqlstate(), Some("58P01" | "42501" | "XX000")));
        if missing {
            run.emit(Event::Warning(format!(
                "production loads the library {library} when it starts, which this machine does not have: the copy runs \
                 without it"
            )));
        } else {
            kept.push(library);
        }
    }
    let mut settings = Vec::new();
    let active: Vec<&str> = kept
        .iter()
        .map(|library| library.strip_prefix("$libdir/").unwrap_or(library))
        .filter(|library| !PASSIVE.contains(library))
        .collect();
    if !active.is_empty() {
        // A worker of production's would do production's work a second time.
        settings.push(("max_worker_processes".to_owned(), "0".to_owned()));
        run.emit(Event::Warning(format!(
            "the copy has no background workers, because {} may act in them: nothing is done in parallel there",
            active.join(", ")
        )));
    }
    let kept: Vec<String> = kept
        .iter()
        .map(|name| format!("\"{}\"", name.replace('"', "\"\"")))
        .collect();
    settings.push(("shared_preload_libraries".to_owned(), kept.join(", ")));
    Ok(settings)
}
