//! The built command, run as a user runs it: in a directory of its own, with an environment of its own, against a
//! throw-away server.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod databases;
mod fleet;
mod fleet_rehearsal;
mod interrupted;
mod rehearsal;
#[path = "../../../lib/tests/support/mod.rs"]
mod support;
mod terminal;
mod towns;
mod usage;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pum::{Connection, Run, Target};

/// The exit code and what was written.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// Fails with everything that was written, when the code is another one.
    #[track_caller]
    fn with(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "\n--- out\n{}--- err\n{}", self.out, self.err);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        use std::os::unix::process::ExitStatusExt;
        Ended {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap()),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A directory in which the command runs.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file, with the directories that it needs.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command with words parted by spaces; `'` holds words together.
    fn command(&self, line: &str) -> Command {
        let mut command = self.hermetic(env!("CARGO_BIN_EXE_pum"));
        command.args(words(line));
        command
    }

    /// Another program in the same environment.
    fn hermetic(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("PGSERVICEFILE", self.path("pg_service.conf"))
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ended {
        self.command(line).output().unwrap().into()
    }

    /// Runs with this on standard input.
    fn answer(&self, line: &str, input: &str) -> Ended {
        use std::io::Write;
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever needs no answer may have gone.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// A new empty database and its service, whose name begins with `name`.
    fn database(&self, name: &str) -> String {
        let target = support::database(name);
        let service = value(&target, "dbname");
        let section = format!(
            "[{service}]\nhost={}\nport={}\nuser={}\ndbname={service}\n",
            value(&target, "host"),
            value(&target, "port"),
            value(&target, "user"),
        );
        let path = self.path("pg_service.conf");
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, known + &section).unwrap();
        service
    }
}

/// What a connection of the target uses for a keyword.
fn value(target: &Target, keyword: &str) -> String {
    Connection::open(target, &Run::new())
        .unwrap()
        .parameter(keyword)
        .unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Opens a database of the server of these tests.
fn open(database: &str) -> Connection {
    Connection::open(&support::server().target(database), &Run::new()).unwrap()
}

/// Runs statements in a database.
fn execute(database: &str, sql: &str) {
    open(database).execute(sql).unwrap();
}

/// The first value that a query returns.
fn ask(database: &str, sql: &str) -> String {
    let rows = open(database).query(sql, &[]).unwrap();
    rows.value(0, 0).unwrap_or_default().to_owned()
}

/// The repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
