//! A copy by `CREATE DATABASE ... TEMPLATE` in production's own server.

use super::database::{MAINTENANCE, maintenance, prepare_from_production};
use super::likeness::Likeness;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Run;
use crate::target::Target;
use crate::upgrade::same_database;

/// Refuses what cannot be copied so: the test database elsewhere, rights missing, somebody connected.
pub(super) fn look(production: &mut Connection, test: &Target, run: &Run) -> Result<()> {
    if !same_server(production.target(), test, run)? {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("a copy by template lies in production's own server, and {test} does not"),
        )
        .with_hint("name a test database on the server of production, or copy another way (--copy restore)"));
    }
    let Some(mut beside) = maintenance(test, run) else {
        return Err(Error::new(
            ErrorKind::Connection,
            "a copy by template needs a session on \"postgres\" or \"template1\" of production's server",
        )
        .with_hint("let the user connect to the database postgres, or copy another way (--copy restore)"));
    };
    let name = production.parameter("dbname").unwrap_or_default();
    let rights = beside.query(
        "select current_user::text, (rolsuper or rolcreatedb)::text, \
         (rolsuper or datistemplate or pg_has_role(datdba, 'usage'))::text \
         from pg_roles, pg_database where rolname = current_user and datname = $1::text",
        &[Some(&name)],
    )?;
    let lacks = match (rights.value(0, 1), rights.value(0, 2)) {
        (Some("true"), Some("true")) => None,
        (Some("true"), _) => Some("does not own production"),
        _ => Some("lacks the right CREATEDB"),
    };
    if let Some(lacks) = lacks {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "a copy by template needs the right CREATEDB and the ownership of production: the role \"{}\" {lacks}",
                rights.value(0, 0).unwrap_or("")
            ),
        )
        .with_hint("connect as production's owner, or copy another way (--copy restore)"));
    }
    let ours = production.backend_pid().to_string();
    refuse_others(&mut beside, &name, &ours)
}

/// Makes the copy. No session of ours is on production any more.
pub(super) fn make(test: &Target, like: &Likeness, overwrite: bool, major: u32, run: &Run) -> Result<()> {
    // Before 15 there is no other, and no word for it. The newer one writes as much WAL as there is data.
    let strategy = if major >= 15 { "strategy file_copy" } else { "" };
    prepare_from_production(test, like, overwrite, strategy, run).map_err(|error| {
        if error.sqlstate() != Some("55006") {
            return error;
        }
        let others = maintenance(test, run).map(|mut beside| refuse_others(&mut beside, &like.database, "0"));
        match others {
            Some(Err(named)) => named,
            _ => error.with_hint(HINT),
        }
    })
}

const HINT: &str = "wait until they are gone, or copy another way (--copy restore)";

/// Refuses when somebody else than the process `ours` is connected to production, and names who.
fn refuse_others(beside: &mut Connection, name: &str, ours: &str) -> Result<()> {
    // The server itself ends the workers of autovacuum.
    let others = beside.query(
        "select format('process %s (%s)', pid, concat_ws(', ', usename, nullif(application_name, ''), client_addr)) \
         from pg_stat_activity where datname = $1::text and pid <> $2::int4 \
         and backend_type is distinct from 'autovacuum worker' order by pid",
        &[Some(name), Some(ours)],
    )?;
    let prepared = beside.query(
        "select gid from pg_prepared_xacts where database = $1::text order by prepared",
        &[Some(name)],
    )?;
    let who: Vec<String> = others
        .iter()
        .map(|row| row.text(0).to_owned())
        .chain(
            prepared
                .iter()
                .map(|row| format!("prepared transaction {}", row.text(0))),
        )
        .collect();
    if who.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 10;
    let more = match who.len() {
        count if count > SHOWN => format!(" and {} more", count - SHOWN),
        _ => String::new(),
    };
    let shown = who.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    Err(Error::new(
        ErrorKind::Refused,
        format!("a copy by template needs production for itself, and others are connected to it: {shown}{more}"),
    )
    .with_hint(HINT))
}

/// Whether both are in one server: a database that both have is one and the same.
fn same_server(production: &Target, test: &Target, run: &Run) -> Result<bool> {
    for name in MAINTENANCE {
        let open = |target: &Target| Connection::open(&target.clone().with("dbname", name), run);
        if let (Ok(mut left), Ok(mut right)) = (open(production), open(test)) {
            return same_database(&mut left, &mut right);
        }
        run.go_on()?;
    }
    Ok(false)
}
