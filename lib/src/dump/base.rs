//! `pg_basebackup`: the files of a whole cluster.

use std::path::Path;

use crate::connection::Connection;
use crate::dump::child::{Child, command};
use crate::dump::{connect, program};
use crate::error::{ErrorKind, Result};
use crate::programs::program_version;
use crate::run::{Event, Run};
use crate::server::{DATA, PrivateDirectory, TABLESPACES};

/// A tablespace with a directory of its own.
#[derive(Debug, Clone)]
pub(crate) struct Tablespace {
    /// Its number.
    pub(crate) oid: String,
    /// Its directory on the server.
    pub(crate) location: String,
}

/// Copies the cluster that `source` is connected to into `data` of a private directory, its tablespaces beside it. The
/// server makes a checkpoint at once, and keeps its WAL by a temporary slot, which goes with the session.
///
/// # Errors
/// [`ErrorKind::Program`] with the words of `pg_basebackup`.
pub(crate) fn base_backup(
    source: &mut Connection,
    directory: &PrivateDirectory,
    tablespaces: &[Tablespace],
    given: Option<&Path>,
    run: &Run,
) -> Result<()> {
    let pg_basebackup = program("pg_basebackup", given, &source.server_version(), run)?;
    let slots = source.query("select current_setting('max_replication_slots')", &[])?;
    let mut command = command(&pg_basebackup);
    connect(&mut command, "pg_basebackup", source);
    command.args([
        "--no-password",
        "--format=plain",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-sync",
        "--progress",
    ]);
    if slots.value(0, 0) == Some("0") {
        command.arg("--no-slot");
    }
    if program_version(&pg_basebackup)?.0 >= 13 {
        command.arg("--no-manifest");
    }
    for tablespace in tablespaces {
        let place = directory.path().join(TABLESPACES).join(&tablespace.oid);
        command.arg(format!(
            "--tablespace-mapping={}={}",
            tablespace.location.replace('=', "\\="),
            place.display().to_string().replace('=', "\\=")
        ));
    }
    command.arg("--pgdata").arg(directory.path().join(DATA));
    let teller = run.clone();
    let mut child = Child::start(command, run, move |line| {
        if let Some((done, total)) = position(line) {
            teller.emit(Event::Progress {
                done,
                total: Some(total.max(done)),
                unit: "bytes",
            });
        }
    })?;
    directory.note(child.id());
    let ended = child.wait(run, || {})?;
    if ended.status.success() {
        return Ok(());
    }
    let error = ended.error("pg_basebackup");
    Err(if ended.complained_of("no pg_hba.conf entry for replication") {
        error.with_hint(
            "the server's pg_hba.conf needs a line that lets this user in from here with the database replication",
        )
    } else if ended.complained_of("no password supplied") || ended.complained_of("fe_sendauth") {
        error.with_hint("the passfile needs a line for this user with the database replication, or * in its place")
    } else if ended.complained_of("No space left") {
        error.with_hint("make room, or set TMPDIR to a directory with more")
    } else if ended.complained_of("number of requested standby connections exceeds") {
        error.with_hint("two WAL senders are needed: wait until some are free, or raise max_wal_senders on the server")
    } else if ended.complained_of("all replication slots are in use") {
        error.with_hint("wait until one is free, or raise max_replication_slots on the server")
    } else {
        error
    }
    .with_kind(ErrorKind::Program))
}

/// Bytes done and in all, of a line such as `  123/4567 kB (2%), 0/1 tablespace`.
fn position(line: &str) -> Option<(u64, u64)> {
    let (done, rest) = line.trim_start().split_once('/')?;
    let (total, _) = rest.split_once(" kB")?;
    let bytes = |text: &str| text.trim().parse::<u64>().ok()?.checked_mul(1024);
    Some((bytes(done)?, bytes(total)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_read() {
        assert_eq!(
            position("    12/3456 kB (0%), 0/1 tablespace"),
            Some((12_288, 3_538_944))
        );
        assert_eq!(
            position(" 3456/3456 kB (100%), 0/1 tablespace (...p/data/base/5)"),
            Some((3_538_944, 3_538_944))
        );
        assert_eq!(position("waiting for checkpoint"), None);
    }
}
