//! `pg_restore` that talks to the server itself: with several jobs, and for text in other encodings than UTF-8.

use std::path::{Path, PathBuf};

use crate::connection::Connection;
use crate::dump::archive::Archive;
use crate::dump::child::{Child, Complaint, Ended, command};
use crate::dump::connect;
use crate::dump::contents::exclude;
use crate::dump::load::note;
use crate::dump::restore::{PassedOver, RestoreOptions};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::server::PrivateDirectory;

/// What of an archive is restored.
#[derive(Clone, Copy, Default)]
pub(super) struct Chosen<'a> {
    /// The lines of its list; without them all.
    pub(super) lines: Option<&'a [&'a str]>,
    /// Its sections, as `pg_restore --section` names them; without them all.
    pub(super) sections: &'a [&'a str],
}

/// Lets `pg_restore` restore the archive, or what is chosen of it.
pub(super) fn pg_restore(
    archive: &Archive,
    program: &Path,
    chosen: Chosen<'_>,
    connection: &Connection,
    options: &RestoreOptions,
    passed_over: &mut Vec<PassedOver>,
    run: &Run,
) -> Result<()> {
    let mut command = command(program);
    connect(&mut command, "pg_restore", connection);
    let database = connection.parameter("dbname").unwrap_or_default();
    // A name with `=` alone would be read as a connection string.
    command.arg(format!(
        "--dbname=dbname='{}'",
        database.replace('\\', "\\\\").replace('\'', "\\'")
    ));
    command.args(["--no-owner", "--no-password"]);
    exclude(&mut command, &options.exclude_schemas);
    if options.clean {
        command.args(["--clean", "--if-exists"]);
    }
    if options.jobs > 1 {
        command.arg(format!("--jobs={}", options.jobs));
    } else if !options.ignore_errors {
        command.arg("--single-transaction");
    }
    if !options.ignore_errors {
        command.arg("--exit-on-error");
    }
    command.args(chosen.sections.iter().map(|section| format!("--section={section}")));
    let list = chosen.lines.map(list_file).transpose()?;
    if let Some(list) = &list {
        command.arg("--use-list").arg(&list.file);
    }
    command.arg("--").arg(archive.path());
    let mut child = Child::start(command, run, |_| {})?;
    if let Some(list) = &list {
        list.directory.note(child.id());
    }
    let ended = child.wait(run, || {})?;
    if !(ended.status.success() || options.ignore_errors && went_on(&ended)) {
        return Err(ended.error("pg_restore"));
    }
    for complaint in &ended.said.complaints {
        let (class, harmless) = class(complaint);
        note(passed_over, class, harmless, 1, complaint.sentence());
    }
    let kept = ended.said.complaints.len() as u64;
    if ended.said.count > kept {
        let first = format!("only the first {kept} errors were looked at");
        note(passed_over, "not looked at", false, ended.said.count - kept, first);
    }
    Ok(())
}

/// A file for `--use-list`.
pub(super) struct List {
    directory: PrivateDirectory,
    pub(super) file: PathBuf,
}

/// Lines of a list in a file of their own.
pub(super) fn list_file(lines: &[&str]) -> Result<List> {
    let directory = PrivateDirectory::new()?;
    let file = directory.path().join("list");
    std::fs::write(&file, lines.join("\n") + "\n")
        .map_err(|error| Error::io("cannot write a temporary file", &error))?;
    Ok(List { directory, file })
}

/// Whether pg_restore came to its end in spite of errors: it ends with 1 then, and all of them are of statements.
fn went_on(ended: &Ended) -> bool {
    const OF_STATEMENTS: [&str; 3] = [
        "could not execute query",
        "COPY failed",
        "error returned by PQputCopyData",
    ];
    ended.status.code() == Some(1)
        && !ended.said.complaints.is_empty()
        && ended
            .said
            .complaints
            .iter()
            .all(|complaint| OF_STATEMENTS.iter().any(|start| complaint.message.starts_with(start)))
}

/// pg_restore tells no SQLSTATE, so the server's English words decide.
fn class(complaint: &Complaint) -> (&'static str, bool) {
    let message = complaint.message.as_str();
    let statement = complaint
        .more
        .iter()
        .find_map(|line| line.strip_prefix("Command was: "))
        .unwrap_or("");
    let about = |text: &str| statement.starts_with(text);
    if message.contains("already exists") {
        ("already exists", about("CREATE SCHEMA "))
    } else if message.contains("duplicate key value") {
        ("duplicate rows", message.contains("spatial_ref_sys"))
    } else if message.contains("role \"") && message.contains("does not exist") {
        ("role missing", false)
    } else if about("CREATE EXTENSION ") {
        ("extension missing", false)
    } else if message.contains("unrecognized configuration parameter") {
        ("setting unknown to this server", about("SET "))
    } else if message.contains("must be owner of") || message.contains("permission denied") {
        (
            "not permitted",
            about("COMMENT ON EXTENSION ") || about("COMMENT ON SCHEMA "),
        )
    } else if message.contains("does not exist") {
        ("missing object", false)
    } else if message.contains("violates") {
        ("constraint violated", false)
    } else {
        ("other", false)
    }
}
