//! Python deltas: a file run by `python3`, with the base class that pum 0.10 offered.
//!
//! A delta opens connections of its own and starts programs, so it sees what is committed, and what it commits stays.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::connection::Connection;
use crate::environment;
use crate::error::{Error, ErrorKind, Location, Result};
use crate::programs::in_path;
use crate::run::{Event, PythonCall, Run};
use crate::script::{Value, Variables, hidden};
use crate::server;
use crate::supervise::supervise;
use crate::target::service_files;

#[cfg(test)]
mod tests;

/// The runner of Python deltas, what it needs, and what deltas import when their Python has no pum: names and texts. Also for
/// programs that are Python themselves, see [`Run::python_deltas_by`](crate::Run::python_deltas_by).
pub const PYTHON_DELTA_FILES: [(&str, &str); 7] = [
    ("run_delta.py", include_str!("python/run_delta.py")),
    ("pum_version.py", include_str!("python/pum_version.py")),
    (
        "package/pum/__init__.py",
        include_str!("python/package/pum/__init__.py"),
    ),
    (
        "package/pum/core/__init__.py",
        include_str!("python/package/pum/core/__init__.py"),
    ),
    (
        "package/pum/core/deltapy.py",
        include_str!("python/package/pum/core/deltapy.py"),
    ),
    (
        "package/pum/core/exceptions.py",
        include_str!("python/package/pum/core/exceptions.py"),
    ),
    (
        "fallback/pkg_resources.py",
        include_str!("python/fallback/pkg_resources.py"),
    ),
];

/// Deltas ask `pkg_resources.get_distribution("pum")` for the version (pum 0.10 was a package).
const METADATA: &str = concat!(
    "Metadata-Version: 2.1\nName: pum\nVersion: ",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

/// Keywords that a service file may hold for every libpq since 10; what else a session needs goes in the environment.
const SERVICE_KEYWORDS: [&str; 17] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "passfile",
    "connect_timeout",
    "options",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "requirepeer",
    "krbsrvname",
    "gsslib",
    "target_session_attrs",
];

const INSTALL_PYTHON: &str =
    "install Python 3.7 or later so that python3 is in PATH (Debian, Ubuntu: apt-get install python3)";

/// A Python delta and what its classes are told.
pub(crate) struct PythonDelta<'a> {
    /// The file.
    pub(crate) path: &'a Path,
    /// The directory of deltas that it lies in.
    pub(crate) directory: &'a Path,
    /// All directories of deltas.
    pub(crate) directories: &'a [PathBuf],
    /// The version of the database before the upgrade, when it has one.
    pub(crate) current_version: Option<String>,
    /// The upgrades table as the user names it.
    pub(crate) upgrades_table: &'a str,
    /// The variables of the run.
    pub(crate) variables: &'a Variables,
    /// The interpreter; without it `python3` of PATH.
    pub(crate) python: Option<&'a Path>,
}

/// Runs every subclass of `pum.core.deltapy.DeltaPy` in the file, in the order of their names.
///
/// # Errors
/// `python3` is missing; the file holds no such class; an exception, with the line of the delta where it came from;
/// the delta ended Python; the run was cancelled.
///
/// Asterisks stand for the password that the delta is given, wherever it writes it.
pub(crate) fn run_python_delta(delta: &PythonDelta<'_>, connection: &Connection, run: &Run) -> Result<()> {
    let secrets: Vec<String> = connection.password().into_iter().collect();
    let (outer, told) = (run.clone(), secrets.clone());
    let run = run.clone().on_event(move |event| {
        outer.emit(match event {
            Event::Output { from, line } => Event::Output {
                from,
                line: hidden(&line, &told),
            },
            event => event,
        });
    });
    run_with_password(delta, connection, &run).map_err(|error| error.without(&secrets))
}

fn run_with_password(delta: &PythonDelta<'_>, connection: &Connection, run: &Run) -> Result<()> {
    run.go_on()?;
    let directory = PrivateDirectory::create()?;
    if let Some(python) = run.python() {
        let _taken = environment::take(run)?;
        let (service, environment) = reach(connection, &directory)?;
        let call = PythonCall {
            request: request(delta, &service)?.to_string(),
            environment,
        };
        let name = file_name(delta.path);
        let Some(outcome) = python(call)?.and_then(|text| serde_json::from_str::<Outcome>(&text).ok()) else {
            run.go_on()?;
            return Err(Error::new(
                ErrorKind::Program,
                format!("{name} was broken off before it was finished"),
            ));
        };
        // Also of a run that was cancelled meanwhile: what is done is done.
        return judge(delta.path, &name, Some(outcome), ExitStatus::default(), run);
    }
    let (service, environment) = {
        let _shared = environment::shared(run)?;
        reach(connection, &directory)?
    };
    run_in(delta, &directory, &service, &environment, run)
}

/// The interpreter for Python deltas: the given one, or `python3` of PATH.
///
/// # Errors
/// It is not there.
pub(crate) fn find_python(given: Option<&Path>) -> Result<PathBuf> {
    let name = given.unwrap_or(Path::new("python3"));
    let found = if name.components().count() > 1 {
        Some(name.to_owned()).filter(|path| path.is_file())
    } else {
        in_path(name)
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Program,
            format!("the program \"{}\" is not there", name.display()),
        )
        .with_hint(INSTALL_PYTHON)
    })
}

type Environment = Vec<(String, Option<String>)>;

/// The name of a service that means the connection's database, and the environment that makes it known.
/// `None` removes a variable: it is not ours to reach the database.
fn reach(connection: &Connection, directory: &PrivateDirectory) -> Result<(String, Environment)> {
    let mut environment = Vec::new();
    let known = connection.environment().into_iter();
    let target = connection.target();
    let service = match target.service() {
        // The service and nothing else, a password apart: the delta's libpq finds it as ours did.
        Some(service) if service == target.name() => {
            if target.value("password").is_some() {
                environment.extend(known.filter(|(name, _)| name == "PGPASSWORD"));
            }
            service.to_owned()
        }
        _ => {
            let others = service_files()
                .first()
                .and_then(|path| fs::read(path).ok())
                .unwrap_or_default();
            let text = String::from_utf8_lossy(&others);
            let mut service = "pum".to_owned();
            while text.contains(&format!("[{service}]")) {
                service.push('_');
            }
            let mut file = format!("[{service}]\n").into_bytes();
            for keyword in SERVICE_KEYWORDS {
                if let Some(value) = connection.parameter(keyword) {
                    file.extend(service_line(keyword, &value)?.into_bytes());
                }
            }
            file.push(b'\n');
            file.extend(others);
            let path = directory.write("pg_service.conf", &file)?;
            let in_file: Vec<String> = SERVICE_KEYWORDS.iter().map(|keyword| variable(keyword)).collect();
            environment.extend(known.filter(|(name, value)| value.is_none() || !in_file.contains(name)));
            environment.push(("PGSERVICEFILE".to_owned(), Some(text_of(&path)?.to_owned())));
            service
        }
    };
    // For the programs that the delta starts.
    environment.push(("PGSERVICE".to_owned(), Some(service.clone())));
    Ok((service, environment))
}

/// The environment variable of a keyword (PostgreSQL documentation, "Environment Variables").
fn variable(keyword: &str) -> String {
    match keyword {
        "dbname" => "PGDATABASE".to_owned(),
        "target_session_attrs" => "PGTARGETSESSIONATTRS".to_owned(),
        _ => format!("PG{}", keyword.replace('_', "").to_uppercase()),
    }
}

/// A service file has no quotes: what stands after `=` counts, but for spaces at the end.
fn service_line(keyword: &str, value: &str) -> Result<String> {
    if value.contains('\n') || value.trim_end() != value {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("a Python delta cannot be told the {keyword} {value:?}: no service file can hold it"),
        )
        .with_hint("name the database by a service"));
    }
    Ok(format!("{keyword}={value}\n"))
}

fn run_in(
    delta: &PythonDelta<'_>,
    directory: &PrivateDirectory,
    service: &str,
    environment: &[(String, Option<String>)],
    run: &Run,
) -> Result<()> {
    directory.write_files()?;
    let name = file_name(delta.path);
    let outcome = directory.path().join("outcome.json");
    let mut command = Command::new(delta.python.unwrap_or(Path::new("python3")));
    command
        .arg(directory.path().join("run_delta.py"))
        .arg("--result")
        .arg(&outcome);
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let input = format!("{}\n", request(delta, service)?);
    let status = supervise(command, &name, input.as_bytes(), run).map_err(|error| match error.kind() {
        ErrorKind::Program => Error::new(
            ErrorKind::Program,
            format!("{name} is a Python delta, and {}", error.message()),
        )
        .with_hint(INSTALL_PYTHON),
        _ => error,
    })?;
    let outcome = fs::read(&outcome)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    judge(delta.path, &name, outcome, status, run)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn request(delta: &PythonDelta<'_>, service: &str) -> Result<Json> {
    let directories = delta
        .directories
        .iter()
        .map(|directory| text_of(directory))
        .collect::<Result<Vec<&str>>>()?;
    let variables: serde_json::Map<String, Json> = delta
        .variables
        .iter()
        .map(|(name, value)| {
            // As text: JSON's numbers are not Python's.
            let (kind, text) = match value {
                Value::Int(digits) => ("int", digits.clone()),
                Value::Float(number) => ("float", number.to_string()),
                Value::Text(text) => ("str", text.clone()),
            };
            (name.to_owned(), json!({"type": kind, "value": text}))
        })
        .collect();
    Ok(json!({
        "path": text_of(delta.path)?,
        "current_db_version": delta.current_version,
        "delta_dir": text_of(delta.directory)?,
        "delta_dirs": directories,
        "pg_service": service,
        "upgrades_table": delta.upgrades_table,
        "variables": variables,
    }))
}

fn text_of(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!(
                "the path \"{}\" is not UTF-8, and Python deltas need that",
                path.display()
            ),
        )
    })
}

/// What the runner tells.
#[derive(Debug, Deserialize)]
struct Outcome {
    ok: bool,
    exception: Option<String>,
    #[serde(default)]
    message: String,
    missing_module: Option<String>,
    #[serde(default)]
    python: String,
    line: Option<usize>,
    column: Option<usize>,
    #[serde(default)]
    traceback: String,
}

fn judge(path: &Path, name: &str, outcome: Option<Outcome>, status: ExitStatus, run: &Run) -> Result<()> {
    let error = |message: String| Error::new(ErrorKind::Program, message);
    let Some(outcome) = outcome else {
        return Err(match status.signal() {
            Some(signal) => error(format!("{name} was ended by signal {signal} before it was finished")),
            None => error(format!(
                "{name} ended Python with code {} before it was finished",
                status.code().unwrap_or_default()
            ))
            .with_hint("os._exit() does this, and a crash of an extension module"),
        });
    };
    if outcome.ok {
        if !status.success() {
            run.emit(Event::Warning(format!(
                "{name} was finished, then Python failed: {status}"
            )));
        }
        return Ok(());
    }
    if outcome.exception.is_some() {
        for line in outcome.traceback.lines() {
            run.emit(Event::Output {
                from: name.to_owned(),
                line: line.to_owned(),
            });
        }
    }
    let mut error = error(match outcome.exception.as_deref() {
        None => format!("{name} cannot be run: {}", outcome.message),
        Some("SystemExit") => format!("{name} ended with sys.exit({}) before it was finished", outcome.message),
        Some(exception) if outcome.message.is_empty() => format!("{name} failed: {exception}"),
        Some(exception) => format!("{name} failed: {exception}: {}", outcome.message),
    });
    if let Some(module) = &outcome.missing_module {
        error = error.with_hint(missing_module(module, &outcome.python));
    }
    if let Some(line) = outcome.line {
        error = error.at(Location {
            path: path.to_owned(),
            line,
            column: outcome.column.unwrap_or(1).max(1),
            text: line_of(path, line),
        });
    }
    Err(error)
}

fn missing_module(module: &str, python: &str) -> String {
    let package = match module.split('.').next().unwrap_or(module) {
        "psycopg2" => "psycopg2-binary",
        "yaml" => "PyYAML",
        top => top,
    };
    format!("{python} -m pip install {package}, or run pum in the virtual environment that has it")
}

fn line_of(path: &Path, line: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .nth(line.saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// A directory that only we may enter, removed when dropped. What a killed run leaves, the next one removes: there may be a
/// password in it.
struct PrivateDirectory(server::PrivateDirectory);

impl PrivateDirectory {
    fn create() -> Result<PrivateDirectory> {
        server::PrivateDirectory::new()
            .map(PrivateDirectory)
            .map_err(|error| error.within("the Python delta needs files"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write_files(&self) -> Result<()> {
        for (name, text) in PYTHON_DELTA_FILES {
            self.write(name, text.as_bytes())?;
        }
        let metadata = format!("package/pum-{}.dist-info/METADATA", env!("CARGO_PKG_VERSION"));
        self.write(&metadata, METADATA.as_bytes()).map(drop)
    }

    /// Writes a file, with its directories, that only we may read.
    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.path().join(name);
        let parent = path.parent().unwrap_or(self.path());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path))
            .and_then(|mut file| file.write_all(content))
            .map_err(|error| Error::io(format_args!("cannot write \"{}\"", path.display()), &error))?;
        Ok(path)
    }
}
