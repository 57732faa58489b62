//! Many databases in one call: who they are, one after the other or several at once, and what became of each.

mod files;
mod outcome;
mod work;

use std::collections::HashMap;
use std::sync::Mutex;

use clap::Args;
use pum::{DatabaseId, Error, ErrorKind, Result, Run, Target};

use crate::command::Login;
use crate::config::{Config, Role, Setting, command_line, needed};
use crate::session::{Ask, Session};

pub(crate) use outcome::Report;
pub(crate) use work::{Canaries, Task};

/// The database of a command, or the many of them.
#[derive(Debug, Args)]
pub(crate) struct Databases {
    /// The database: a service, a URI or a conninfo string; may be repeated, and a service may be a pattern such as
    /// 'water_*'
    #[arg(short = 'p', long = "pg-service", value_name = "DB", conflicts_with = "fleet")]
    pg_service: Vec<String>,

    #[command(flatten)]
    many: Many,

    #[command(flatten)]
    at_once: AtOnce,

    #[command(flatten)]
    login: Login,
}

/// How many databases are chosen.
#[derive(Debug, Args)]
pub(crate) struct Many {
    /// Take the databases of the server that was named, whose names match a pattern as in psql
    #[arg(long, value_name = "PATTERN")]
    databases: Option<String>,

    /// Take the databases of the list fleet in the configuration
    #[arg(long, conflicts_with = "databases")]
    fleet: bool,
}

/// How many are worked on at once.
#[derive(Debug, Args)]
pub(crate) struct AtOnce {
    /// Work on so many databases at once
    #[arg(short, long, visible_alias = "at-once", value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

impl From<AtOnce> for usize {
    fn from(at_once: AtOnce) -> usize {
        at_once.jobs.into()
    }
}

/// What the user named.
pub(crate) enum Named {
    One(Target),
    Many(Fleet),
}

/// Many databases, none twice, in the order in which they were named.
pub(crate) struct Fleet {
    members: Vec<Member>,
    at_once: usize,
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
    /// As [`Many::named`].
    pub(crate) fn named(self, session: &Session) -> Result<Named> {
        let (at_once, ask) = (self.at_once.into(), self.login.ask());
        self.many.named(self.pg_service, Role::Only, at_once, ask, session)
    }
}

impl Many {
    /// One database, when a single one is named without a pattern; else many. Where no names are given, the configuration
    /// has them.
    ///
    /// # Errors
    /// Nobody names one, a name is not valid, a pattern finds nothing, one database is named twice.
    pub(crate) fn named(
        self,
        given: Vec<String>,
        role: Role,
        at_once: usize,
        ask: Ask,
        session: &Session,
    ) -> Result<Named> {
        let config = &session.config;
        if self.chosen(&given) {
            let names = self.names(given, config)?;
            return self.fleet(names, at_once, ask, session).map(Named::Many);
        }
        let one = config.database(role, given.first().cloned());
        if given.is_empty() {
            let names = config.fleet(Vec::new());
            if self.databases.is_some() {
                let server = config.needed_database(role, None)?.map(|name| Ok(vec![name]))?;
                return self.fleet(server, at_once, ask, session).map(Named::Many);
            }
            if !names.value.is_empty() {
                if one.is_some() {
                    return Err(Error::new(
                        ErrorKind::Usage,
                        format!("in the configuration: both {} and fleet name databases", role.key()),
                    )
                    .with_hint(format!(
                        "say with {} or --fleet which are meant, or keep one of the two keys",
                        role.option()
                    )));
                }
                return self.fleet(names, at_once, ask, session).map(Named::Many);
            }
        }
        let name = needed(one, role.option(), role.key())?;
        session.target(name, ask).map(Named::One)
    }

    /// Whether the names that were given stand for many databases, also when there is only one of them.
    pub(crate) fn chosen(&self, names: &[String]) -> bool {
        match names {
            [] => self.fleet,
            [name] => is_pattern(name) || self.databases.is_some(),
            _ => true,
        }
    }

    /// The names that were given, or with `--fleet` those of the configuration.
    ///
    /// # Errors
    /// The configuration has none.
    pub(crate) fn names(&self, given: Vec<String>, config: &Config) -> Result<Setting<Vec<String>>> {
        if !self.fleet {
            return Ok(command_line(given));
        }
        let names = config.fleet(Vec::new());
        if names.value.is_empty() {
            return Err(Error::new(
                ErrorKind::Usage,
                "the configuration has no list fleet, which --fleet needs",
            )
            .with_hint("write one into it, such as fleet: [water_north, 'town_*']"));
        }
        Ok(names)
    }

    /// The databases that names, patterns and `--databases` stand for.
    ///
    /// # Errors
    /// A name is not valid, a pattern finds nothing, one database is named twice.
    pub(crate) fn fleet(
        self,
        names: Setting<Vec<String>>,
        at_once: usize,
        ask: Ask,
        session: &Session,
    ) -> Result<Fleet> {
        let members = match self.databases {
            // One server has no database twice.
            Some(pattern) => of_server(&pattern, names, ask, session)?,
            None => {
                let members = members(names, ask, session)?;
                distinct(&members, at_once, &session.run)?;
                members
            }
        };
        Ok(Fleet { members, at_once })
    }
}

/// What cannot be done with many databases, or only with them.
pub(crate) fn refused(message: impl Into<String>, hint: &str) -> Error {
    Error::new(ErrorKind::Usage, message)
        .with_hint(hint)
        .with_state("nothing was done")
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
fn distinct(members: &[Member], at_once: usize, run: &Run) -> Result<()> {
    let known: Mutex<HashMap<DatabaseId, usize>> = Mutex::default();
    let twice: Mutex<Option<(usize, usize)>> = Mutex::default();
    let quiet = run.quietly();
    work::several(members, at_once, |number, member| {
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
    Err(refused(
        format!("\"{}\" and \"{}\" are one and the same database", one.name, other.name),
        "name it once",
    ))
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
