//! Finds the programs of PostgreSQL: the right major version of `pg_dump`, `initdb` and their like.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, ErrorKind, Result};

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
    let candidate = in_path(Path::new(name));
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

fn in_path(name: &Path) -> Option<PathBuf> {
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
    let output = Command::new(path).arg("--version").output().map_err(|error| {
        Error::new(
            ErrorKind::Program,
            format!("cannot run \"{}\": {error}", path.display()),
        )
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
