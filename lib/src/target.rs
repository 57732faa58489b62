//! A database as the user names it: a service, a URI or a conninfo string.

pub(crate) mod service_file;
mod shown;

use std::ffi::CString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::connection::libpq;
use crate::environment;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Run;
use service_file::{service_names, service_section};
use shown::{SHOWN, percent_encoded};

/// Names a database. Everything that libpq knows is resolved by libpq itself (PostgreSQL documentation,
/// "Database Connection Control Functions" and "The Connection Service File"), as psql does.
///
/// `Display` and `Debug` never show a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Target {
    parameters: Vec<(String, String)>,
}

impl Target {
    /// Reads a name: `postgres://...` or `postgresql://...` is a URI, a text with `=` is a conninfo string,
    /// anything else is the name of a service.
    ///
    /// # Errors
    /// A URI or conninfo string that libpq cannot read, a URL of something else, and an empty name. The message repeats no
    /// password.
    ///
    /// ```
    /// let target = pum::Target::new("host=db1 dbname=water password=secret")?;
    /// assert_eq!(target.to_string(), "dbname=water host=db1");
    /// assert_eq!(pum::Target::new("water_prod")?.service(), Some("water_prod"));
    /// # Ok::<(), pum::Error>(())
    /// ```
    pub fn new(text: &str) -> Result<Target> {
        if text.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the name of the database is empty")
                .with_hint("give a service name, a URI or a conninfo string"));
        }
        let uri = match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            // libpq reads it in small letters only.
            Some((scheme, rest)) if ["postgres", "postgresql"].contains(&&*scheme.to_ascii_lowercase()) => {
                Some(format!("postgresql://{rest}"))
            }
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "the database is named by a URL that is none of PostgreSQL's (it is not repeated because it may hold a \
                     password)",
                )
                .with_hint("a URI reads postgresql://user@host:port/database"));
            }
            None => None,
        };
        // A slash in the password, and all behind it is taken for the name of the database.
        let in_path = uri.as_deref().and_then(|uri| {
            let (authority, path) = uri.split_once("://")?.1.split_once('/')?;
            let path = path.split('?').next()?;
            Some(authority.contains(':') && !authority.contains('@') && path.contains('@'))
        });
        if in_path == Some(true) {
            return Err(Error::new(
                ErrorKind::Usage,
                "the URI has an @ behind its first / (it is not repeated because it may hold a password)",
            )
            .with_hint("in a password / is written as %2F, @ as %40, : as %3A"));
        }
        let mistyped = |text: &str| text.split_once(':').is_some_and(|(_, rest)| rest.contains('@'));
        if uri.is_none() && !text.contains('=') && mistyped(text) {
            return Err(Error::new(
                ErrorKind::Usage,
                "the database is named by something that is like a URI and is none (it is not repeated because it may hold \
                 a password)",
            )
            .with_hint("a URI reads postgresql://user@host:port/database"));
        }
        if uri.is_none() && !text.contains('=') {
            return Ok(Target {
                parameters: vec![("service".to_owned(), text.to_owned())],
            });
        }
        let c_text = CString::new(uri.as_deref().unwrap_or(text))
            .map_err(|_| Error::new(ErrorKind::Usage, "the connection string holds a NUL character"))?;
        let parameters = libpq::parse_conninfo(&c_text).map_err(|message| {
            // libpq repeats the text that it cannot read, and a password may be in it.
            let message = if message.contains("assword") || text.contains("assword") || text.contains('@') {
                "libpq cannot read it (its message is not repeated because the text may hold a password)".to_owned()
            } else {
                message
            };
            Error::new(ErrorKind::Usage, format!("the connection string is not valid: {message}")).with_hint(
                "a URI reads postgresql://user@host:port/database, a conninfo string host=... port=... dbname=... user=...",
            )
        })?;
        Ok(Target {
            parameters: parameters
                .into_iter()
                .filter_map(|parameter| Some((parameter.keyword, parameter.value?)))
                .collect(),
        })
    }

    /// The same target with one keyword of libpq set to another value
    /// (PostgreSQL documentation, "Parameter Key Words").
    #[must_use]
    pub fn with(mut self, keyword: &str, value: &str) -> Target {
        self.parameters.retain(|(known, _)| known != keyword);
        self.parameters.push((keyword.to_owned(), value.to_owned()));
        self
    }

    /// The name of the service, when the target is one.
    pub fn service(&self) -> Option<&str> {
        self.value("service")
    }

    /// How the user knows it: the name of the service alone, else the conninfo without secrets.
    pub fn name(&self) -> String {
        let shown: Vec<&(String, String)> = self
            .parameters
            .iter()
            .filter(|(keyword, value)| SHOWN.contains(&keyword.as_str()) && !value.is_empty())
            .collect();
        match shown.as_slice() {
            [(keyword, value)] if keyword == "service" => value.clone(),
            [] => "the default database".to_owned(),
            _ => {
                let words: Vec<String> = shown
                    .iter()
                    .map(|(keyword, value)| format!("{keyword}={}", quote_value(value)))
                    .collect();
                words.join(" ")
            }
        }
    }

    /// The same as a URI, without secrets: for libraries that take nothing else.
    ///
    /// ```
    /// let target = pum::Target::new("host=/run/db dbname='my water' user=ann password=secret")?;
    /// assert_eq!(target.uri(), "postgresql://ann@/my%20water?host=%2Frun%2Fdb");
    /// assert_eq!(pum::Target::new(&target.uri())?.to_string(), target.to_string());
    /// # Ok::<(), pum::Error>(())
    /// ```
    pub fn uri(&self) -> String {
        let mut uri = "postgresql://".to_owned();
        if let Some(user) = self.value("user") {
            uri.push_str(&percent_encoded(user));
            uri.push('@');
        }
        uri.push('/');
        uri.push_str(&percent_encoded(self.value("dbname").unwrap_or_default()));
        let mut sign = '?';
        for (keyword, value) in &self.parameters {
            if matches!(keyword.as_str(), "user" | "dbname") || !SHOWN.contains(&keyword.as_str()) || value.is_empty() {
                continue;
            }
            uri.push(sign);
            uri.push_str(&format!("{keyword}={}", percent_encoded(value)));
            sign = '&';
        }
        uri
    }

    pub(crate) fn value(&self, keyword: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == keyword)
            .map(|(_, value)| value.as_str())
    }

    /// What libpq would use for each keyword: given, from the service, from the environment, its default. No network.
    pub(crate) fn resolve(&self, run: &Run) -> Result<Resolved> {
        let _environment = environment::shared(run)?;
        let mut target = self.clone();
        let mut asked = target.begin()?;
        let service = self
            .service()
            .map(str::to_owned)
            .or_else(|| std::env::var("PGSERVICE").ok());
        if let Some(service) = service.filter(|_| asked.missing_service()) {
            let Some(found) = system_service(&service)? else {
                return Err(unknown_service(&service));
            };
            target.parameters.retain(|(keyword, _)| keyword != "service");
            for (keyword, value) in found {
                if target.value(&keyword).is_none() {
                    target.parameters.push((keyword, value));
                }
            }
            asked = target.begin()?;
            if asked.missing_service() {
                return Err(Error::new(
                    ErrorKind::Connection,
                    format!("cannot connect to {self}: {}, which PGSERVICE names", asked.message),
                )
                .with_hint(
                    "unset PGSERVICE, or define that service in ~/.pg_service.conf: libpq looks for it always",
                ));
            }
        }
        if !asked.resolved() {
            return Err(Error::new(
                ErrorKind::Connection,
                format!("cannot connect to {self}: {}", asked.message),
            )
            .with_hint("correct what libpq complains of; psql with the same name must connect too"));
        }
        let explicit = asked.value("host").is_some_and(|value| !value.is_empty())
            || asked.value("hostaddr").is_some_and(|value| !value.is_empty());
        if !explicit {
            let port = asked.value("port").unwrap_or("5432").to_owned();
            if let Some(directory) = socket_directory(&port) {
                target = target.with("host", directory);
                asked = target.begin()?;
            }
        }
        Ok(Resolved {
            given: target,
            parameters: asked.parameters,
        })
    }

    fn begin(&self) -> Result<Asked> {
        // A value that libpq refuses stops it after all is resolved and before it opens a socket.
        let stopped = self.clone().with("target_session_attrs", STOP);
        let connection =
            libpq::Pg::begin(&stopped.conninfo()?).ok_or_else(|| Error::new(ErrorKind::Connection, "out of memory"))?;
        Ok(Asked {
            message: connection.error_message(),
            parameters: connection.parameters(),
        })
    }

    /// All of it in libpq's words. In them, unlike in its lists of parameters, an empty value is a value, which no
    /// variable of the environment replaces.
    pub(crate) fn conninfo(&self) -> Result<CString> {
        let words: Vec<String> = self
            .parameters
            .iter()
            .map(|(keyword, value)| format!("{keyword}={}", quote_value(value)))
            .collect();
        CString::new(words.join(" "))
            .map_err(|_| Error::new(ErrorKind::Usage, "the connection string holds a NUL character"))
    }
}

const STOP: &str = "pum-stops-here";

struct Asked {
    message: String,
    parameters: Vec<libpq::Parameter>,
}

impl Asked {
    fn resolved(&self) -> bool {
        self.message.contains(STOP)
    }

    fn missing_service(&self) -> bool {
        self.message.contains("definition of service") && self.message.contains("not found")
            || self.message.contains("service file") && self.message.contains("not found")
    }

    fn value(&self, keyword: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|parameter| parameter.keyword == keyword)
            .and_then(|parameter| parameter.value.as_deref())
    }
}

/// A target with every keyword resolved.
pub(crate) struct Resolved {
    /// What to give to libpq.
    pub(crate) given: Target,
    pub(crate) parameters: Vec<libpq::Parameter>,
}

impl Resolved {
    pub(crate) fn value(&self, keyword: &str) -> Option<&str> {
        // `target_session_attrs` was replaced to stop libpq.
        if keyword == "target_session_attrs" {
            return self.given.value(keyword);
        }
        self.parameters
            .iter()
            .find(|parameter| parameter.keyword == keyword)
            .and_then(|parameter| parameter.value.as_deref())
    }
}

fn unknown_service(service: &str) -> Error {
    let files: Vec<String> = service_files().iter().map(|path| path.display().to_string()).collect();
    let error = Error::new(
        ErrorKind::Connection,
        format!("the service \"{service}\" is not defined"),
    );
    // Whoever names a file means no service.
    if service.contains('/') || std::path::Path::new(service).is_file() {
        return error.with_hint("a snapshot's name must end with .json, and only check and test take one");
    }
    error.with_hint(format!(
        "add a section [{service}] to one of: {} (a URI or a conninfo string can be given instead)",
        files.join(", ")
    ))
}

/// The places where psql of Debian and of Red Hat look for the system's service file; the libpq inside pum
/// was built with another.
const SYSTEM_SERVICE_FILES: [&str; 3] = [
    "/etc/postgresql-common/pg_service.conf",
    "/etc/sysconfig/pgsql/pg_service.conf",
    "/etc/pg_service.conf",
];

/// Every service file that is looked at, first to last.
pub(crate) fn service_files() -> Vec<PathBuf> {
    let user = std::env::var_os("PGSERVICEFILE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pg_service.conf")));
    let system: Vec<PathBuf> = match std::env::var_os("PGSYSCONFDIR") {
        Some(directory) => vec![Path::new(&directory).join("pg_service.conf")],
        None => SYSTEM_SERVICE_FILES.iter().map(PathBuf::from).collect(),
    };
    user.into_iter().chain(system).collect()
}

/// The names of the services in every file that is looked at, in the order of the files, some twice perhaps.
pub(crate) fn known_services() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in service_files() {
        match std::fs::read(&path) {
            Ok(text) => names.extend(service_names(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::io(
                    format_args!("cannot read the service file \"{}\"", path.display()),
                    &error,
                ));
            }
        }
    }
    Ok(names)
}

/// The section of a service in the system's files.
fn system_service(name: &str) -> Result<Option<Vec<(String, String)>>> {
    if std::env::var_os("PGSYSCONFDIR").is_some() {
        return Ok(None);
    }
    for path in SYSTEM_SERVICE_FILES {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Error::io(
                    format_args!("cannot read the service file \"{path}\""),
                    &error,
                ));
            }
        };
        let section = service_section(&text, name)
            .map_err(|error| error.within(format_args!("the service file \"{path}\" cannot be read")))?;
        if section.is_some() {
            return Ok(section);
        }
    }
    Ok(None)
}

/// Where the local server's socket is: Debian and Red Hat use `/var/run/postgresql`, PostgreSQL itself `/tmp`.
fn socket_directory(port: &str) -> Option<&'static str> {
    const SYSTEM: &str = "/var/run/postgresql";
    let there = |directory: &str| Path::new(directory).join(format!(".s.PGSQL.{port}")).exists();
    if !there(SYSTEM) && (there("/tmp") || !Path::new(SYSTEM).is_dir()) {
        None
    } else {
        Some(SYSTEM)
    }
}

/// Whether a text can be what stands before the `://` of a URL.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}

fn quote_value(value: &str) -> String {
    if !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\') {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl std::str::FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target> {
        Target::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_service() {
        let hint = |name: &str| unknown_service(name).hint().unwrap().to_owned();
        assert!(hint("water").contains("[water]"));
        for name in ["Cargo.toml", "dir/water"] {
            assert!(hint(name).contains(".json"), "{name}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        for text in [
            "postgresql://ann:s3cret@db1:5433/water",
            "host=db1 password=s3cret dbname=water",
            "host=db1 sslpassword='s3cret' dbname=water",
        ] {
            let target = Target::new(text).unwrap();
            assert!(!format!("{target} {target:?}").contains("s3cret"), "{text}");
        }
        let broken = Target::new("postgresql://ann:s3cret@db1:x:y/%zz").unwrap_err();
        assert!(!broken.to_string().contains("s3cret"), "{broken}");
        // What is no keyword may have been meant for a password.
        let target = Target::default().with("host", "db1").with("passwd", "s3cret");
        assert_eq!(target.to_string(), "host=db1");
    }

    #[test]
    fn a_url_of_something_else_is_no_service() {
        for text in [
            "mysql+pymysql://ann:s3cret@db1/water",
            "postgresql+psycopg2://ann:s3cret@db1/water",
            "mysql://ann:s3cret@db1/water?charset=utf8",
        ] {
            let error = Target::new(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        for text in [
            "postgres//ann:s3cret@db1/water",
            "postgresql:/ann:s3cret@db1/water",
            "postgresql://ann:s3c/s3cret@db1/water",
        ] {
            let error = Target::new(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(!format!("{error} {error:?}").contains("s3c"), "{error}");
        }
        let target = Target::new("PostgreSQL://ann:s3cret@db1/water").unwrap();
        assert_eq!(target.to_string(), "user=ann dbname=water host=db1");
        assert_eq!(
            Target::new("host=db1 options=-csearch_path=a://b")
                .unwrap()
                .value("host"),
            Some("db1")
        );
    }

    #[test]
    fn resolving_touches_no_network() {
        let target = Target::new("host=192.0.2.1 port=9 dbname=x user=y").unwrap();
        let resolved = target.resolve(&Run::new()).unwrap();
        assert_eq!(resolved.value("host"), Some("192.0.2.1"));
        assert_eq!(resolved.value("port"), Some("9"));
    }

    #[test]
    fn an_unknown_service_names_the_files() {
        let error = Target::new("no_such_service_anywhere")
            .unwrap()
            .resolve(&Run::new())
            .err()
            .unwrap();
        assert!(error.message().contains("\"no_such_service_anywhere\""));
        assert!(error.hint().unwrap().contains("pg_service.conf"));
    }
}
