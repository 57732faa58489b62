//! Many databases at once: the services that a pattern names, the databases of a server, and which of them are one.

use crate::catalog::Pattern;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Run;
use crate::target::{Target, known_services, service_files};

/// The services of all service files whose names match a pattern, by name, none twice. `*` stands for any text, `?` for
/// one character, every other character for itself.
///
/// # Errors
/// No service matches, or a service file cannot be read.
///
/// ```
/// match pum::services("water_*") {
///     Ok(names) => assert!(names.iter().all(|name| name.starts_with("water_"))),
///     Err(error) => assert_eq!(error.message(), "no service matches \"water_*\""),
/// }
/// ```
pub fn services(pattern: &str) -> Result<Vec<String>> {
    let wanted = Pattern::of_wildcards(pattern);
    let mut names = known_services()?;
    names.retain(|name| wanted.matches("", name));
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        let files: Vec<String> = service_files().iter().map(|path| path.display().to_string()).collect();
        return Err(Error::new(
            ErrorKind::Usage,
            format!("no service matches \"{}\"", pattern.escape_debug()),
        )
        .with_hint(format!(
            "the services are the sections [name] of: {}; * stands for any text, ? for one character",
            files.join(", ")
        )));
    }
    Ok(names)
}

/// The names of the databases of a server that match a pattern, in the order of their bytes. `server` names any database
/// of it. Templates are left out, and databases that allow no connections or were left half dropped.
///
/// # Errors
/// No database matches, the pattern names a schema, or the server cannot be asked.
///
/// ```
/// # use pum::{Run, Server, ServerOptions};
/// # let run = Run::new();
/// # let server = Server::start(&ServerOptions::default(), &run)?;
/// for name in ["arvel", "brenn", "other town"] {
///     server.create_database(name)?;
/// }
/// let names = pum::databases(&server.target("postgres"), &"?r*".parse()?, &run)?;
/// assert_eq!(names, ["arvel", "brenn"]);
/// # Ok::<(), pum::Error>(())
/// ```
pub fn databases(server: &Target, pattern: &Pattern, run: &Run) -> Result<Vec<String>> {
    if pattern.has_schema() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the pattern \"{pattern}\" names a schema, and databases are in none"),
        )
        .with_hint("put a name with a dot into double quotes, as in psql: '\"water.*\"' is one name"));
    }
    let mut connection = Connection::open(server, run)?;
    // A database that DROP DATABASE left half dropped has the limit -2.
    let rows = connection.query(
        "select datname from pg_catalog.pg_database where datallowconn and not datistemplate and datconnlimit <> -2",
        &[],
    )?;
    let mut names: Vec<String> = rows
        .iter()
        .map(|row| row.text(0))
        .filter(|name| pattern.matches("", name))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("no database of the server of {server} matches \"{pattern}\""),
        )
        .with_hint(
            "`psql -l` lists the databases of a server; a pattern is as in psql: * stands for any text, ? for one \
             character, capital letters need double quotes",
        ));
    }
    Ok(names)
}

/// Which database it is, whatever its names: two are equal when they are the same database of the same running server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatabaseId(
    // When the server was started, in microseconds, and the number of the database there. Another server was started at
    // another moment, and a clone has the system identifier of its original.
    String,
);

impl DatabaseId {
    /// Asks the database.
    ///
    /// # Errors
    /// No session can be opened, or the server refuses.
    ///
    /// ```
    /// # use pum::{DatabaseId, Run, Server, ServerOptions};
    /// # let run = Run::new();
    /// # let server = Server::start(&ServerOptions::default(), &run)?;
    /// let water = server.create_database("water")?;
    /// let same = water.clone().with("application_name", "another name of it");
    /// assert_eq!(DatabaseId::read(&water, &run)?, DatabaseId::read(&same, &run)?);
    /// assert_ne!(DatabaseId::read(&water, &run)?, DatabaseId::read(&server.target("postgres"), &run)?);
    /// # Ok::<(), pum::Error>(())
    /// ```
    pub fn read(target: &Target, run: &Run) -> Result<DatabaseId> {
        let mut connection = Connection::open(target, run)?;
        let rows = connection.query(&format!("select {}", DatabaseId::SQL), &[])?;
        Ok(DatabaseId::told(rows.value(0, 0).unwrap_or_default()))
    }

    /// The expression that [`DatabaseId::told`] takes the value of.
    pub(crate) const SQL: &str = "(extract(epoch from pg_catalog.pg_postmaster_start_time()) * 1000000)::pg_catalog.int8::text \
         || ' ' || (select oid::text from pg_catalog.pg_database where datname = pg_catalog.current_database())";

    /// From the value of [`DatabaseId::SQL`].
    pub(crate) fn told(value: &str) -> DatabaseId {
        DatabaseId(value.to_owned())
    }
}
