//! Many databases in one call: who they are, one after the other or several at once, and what became of each.

mod outcome;
mod work;

use std::collections::HashMap;
use std::sync::Mutex;

use clap::Args;
use pum::{DatabaseId, Error, ErrorKind, Result, Run, Target};

use crate::command::Login;
use crate::config::{Role, Setting, command_line, needed};
use crate::session::{Ask, Session};

pub(crate) use outcome::Report;
pub(crate) use work::{Canaries, Task};

/// The database of a command, or the many of them.
#[derive(Debug, Args)]
pub(crate) struct Databases {
    /// The database: a service, a URI or a conninfo string; may be repeated, and a service may be a pattern such as
    /// 'water_*'
    #[arg(short = 'p', long = "pg-service", value_name = "DB")]
    pg_service: Vec<String>,

    #[command(flatten)]
    many: Many,

    #[command(flatten)]
    login: Login,
}

/// How many databases are chosen and worked on.
#[derive(Debug, Args)]
pub(crate) struct Many {
    /// Take the databases of the server that was named, whose names match a pattern as in psql
    #[arg(long, value_name = "PATTERN")]
    databases: Option<String>,

    /// Work on so many databases at once
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// What the user named.
pub(crate) enum Named {
    One(Target),
    Many(Fleet),
}

/// Many databases, none twice, in the order in which they were named.
pub(crate) struct Fleet {
    members: Vec<Member>,
    jobs: usize,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// How the user knows it.
    pub(crate) name: String,
    pub(crate) target: Target,
}

impl Databases {
    /// One database, when a single one is named without a pattern; else many.
    ///
    /// # Errors
    /// Nobody names one, a name is not valid, a pattern finds nothing, one database is named twice.
    pub(crate) fn named(self, session: &Session) -> Result<Named> {
        let config = &session.config;
        let ask = self.login.ask();
        if self.many.chosen(&self.pg_service) {
            return self
                .many
                .fleet(command_line(self.pg_service), ask, session)
                .map(Named::Many);
        }
        let one = config.database(Role::Only, self.pg_service.first().cloned());
        if self.pg_service.is_empty() {
            let names = config.fleet(Vec::new());
            if self.many.databases.is_some() {
                let server = config.needed_database(Role::Only, None)?;
                return self
                    .many
                    .fleet(server.map(|name| Ok(vec![name]))?, ask, session)
                    .map(Named::Many);
            }
            if !names.value.is_empty() {
                if one.is_some() {
                    return Err(Error::new(
                        ErrorKind::Usage,
                        "in the configuration: both pg_service and fleet name databases",
                    )
                    .with_hint("say with -p which are meant, or keep one of the two keys"));
                }
                return self.many.fleet(names, ask, session).map(Named::Many);
            }
        }
        let name = needed(one, "-p", "pg_service")?;
        session.target(name, ask).map(Named::One)
    }
}

impl Many {
    /// Whether the names that were given stand for many databases, also when there is only one of them.
    pub(crate) fn chosen(&self, names: &[String]) -> bool {
        match names {
            [] => false,
            [name] => is_pattern(name) || self.databases.is_some(),
            _ => true,
        }
    }

    /// The databases that names, patterns and `--databases` stand for.
    ///
    /// # Errors
    /// A name is not valid, a pattern finds nothing, one database is named twice.
    pub(crate) fn fleet(self, names: Setting<Vec<String>>, ask: Ask, session: &Session) -> Result<Fleet> {
        let jobs = self.jobs.into();
        let members = match self.databases {
            // One server has no database twice.
            Some(pattern) => of_server(&pattern, names, ask, session)?,
            None => {
                let members = members(names, ask, session)?;
                distinct(&members, jobs, &session.run)?;
                members
            }
        };
        Ok(Fleet { members, jobs })
    }
}

/// The databases of a server.
fn of_server(pattern: &str, names: Setting<Vec<String>>, ask: Ask, session: &Session) -> Result<Vec<Member>> {
    let server = names.map(|names| match <[String; 1]>::try_from(names) {
        Ok([name]) if !is_pattern(&name) => Ok(name),
        _ => Err(
            Error::new(ErrorKind::Usage, "--databases needs one name, that of the server")
                .with_hint("name any database of that server, such as its postgres"),
        ),
    })?;
    let server = session.target(server, ask)?;
    let members = pum::databases(&server, &pattern.parse()?, &session.run)?
        .into_iter()
        .map(|name| Member {
            target: server.clone().with("dbname", &name),
            name,
        });
    Ok(members.collect())
}

/// Whether a name stands for services by pattern, and is no URI (where `?` begins the parameters) or conninfo string.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?']) && !name.contains('=') && !name.contains("://")
}

/// The members that names and patterns stand for.
fn members(names: Setting<Vec<String>>, ask: Ask, session: &Session) -> Result<Vec<Member>> {
    let targets = |names: Vec<String>| {
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            let found = if is_pattern(&name) {
                pum::services(&name)?
            } else {
                vec![name]
            };
            for name in found {
                let target = Target::new(&name)?;
                // A service that two patterns find is one.
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        Ok(targets)
    };
    let targets = names.map(targets)?.value;
    // A thousand questions are none: with -W there is one password for all, else the passfile has them.
    let password = match ask {
        Ask::Always => Some(session.terminal.password("all databases")?),
        Ask::WhenNeeded => None,
    };
    Ok(targets
        .into_iter()
        .map(|target| Member {
            name: target.name(),
            target: match &password {
                Some(password) => target.with("password", password),
                None => target,
            },
        })
        .collect())
}

/// # Errors
/// Two members are one database. A member that cannot be asked is none of the others as far as we know, and fails when its
/// turn comes.
fn distinct(members: &[Member], jobs: usize, run: &Run) -> Result<()> {
    let known: Mutex<HashMap<DatabaseId, usize>> = Mutex::default();
    let twice: Mutex<Option<(usize, usize)>> = Mutex::default();
    let quiet = run.quietly();
    work::several(members, jobs, |number, member| {
        if let Ok(id) = DatabaseId::read(&member.target, &quiet)
            && let Some(other) = work::locked(&known).insert(id, number)
        {
            *work::locked(&twice) = Some((other.min(number), other.max(number)));
        }
    });
    run.go_on()?;
    let twice = *work::locked(&twice);
    let Some((one, other)) = twice.and_then(|(one, other)| Some((members.get(one)?, members.get(other)?))) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Usage,
        format!("\"{}\" and \"{}\" are one and the same database", one.name, other.name),
    )
    .with_hint("name it once")
    .with_state("nothing was done"))
}

#[cfg(test)]
mod tests {
    use super::is_pattern;

    #[test]
    fn patterns_are_of_services() {
        for name in ["water_*", "?", "a?b"] {
            assert!(is_pattern(name), "{name}");
        }
        for name in [
            "water",
            "postgresql://h/d?sslmode=require",
            "postgres://h/d?x",
            "dbname=a*",
        ] {
            assert!(!is_pattern(name), "{name}");
        }
    }
}
