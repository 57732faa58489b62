//! The size of the database, and the free space where its files are, when they are on this machine.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Deserialize;

use super::{Found, Severity};
use crate::connection::Connection;
use crate::error::{ErrorKind, Result};

pub(super) const SIZES: &str = include_str!("sizes.sql");

#[derive(Deserialize)]
struct Sizes {
    database: u64,
    default_tablespace: bool,
    data_directory: Option<String>,
    largest: Vec<Sized>,
}

#[derive(Deserialize)]
struct Sized {
    name: String,
    bytes: Option<u64>,
}

const SUBJECT: &str = "the free space on the server's disk";

/// Tells when the largest table could not be written anew. `answer` is that of [`SIZES`].
///
/// # Errors
/// The connection is lost.
pub(super) fn look(connection: &Connection, answer: Result<String>, found: &mut Found) -> Result<()> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind() == ErrorKind::Server => {
            found.not_seen("the size of the database", error.message());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let sizes: Sizes = match serde_json::from_str(&answer) {
        Ok(sizes) => sizes,
        Err(error) => {
            found.not_seen(
                "the size of the database",
                format!("the server's answer cannot be read: {error}"),
            );
            return Ok(());
        }
    };
    let largest: Vec<String> = sizes
        .largest
        .iter()
        .map(|table| format!("{} {}", table.name, human(table.bytes.unwrap_or(0))))
        .collect();
    let largest = if largest.is_empty() {
        "no table".to_owned()
    } else {
        largest.join(", ")
    };
    let have = format!("the database has {}; its largest: {largest}", human(sizes.database));
    let free = match free_space(connection, &sizes) {
        Ok(free) => free,
        Err(because) => {
            found.not_seen(format!("{SUBJECT} ({have})"), because);
            return Ok(());
        }
    };
    let table = sizes.largest.first();
    let needed = table.and_then(|table| table.bytes).unwrap_or(0).saturating_mul(2);
    if let Some(table) = table.filter(|_| free < needed) {
        found.concern(
            Severity::Know,
            "disk_space",
            format!("{} are free where the server's files are; {have}", human(free)),
            format!(
                "a delta that writes {} anew (a changed type, a volatile default) takes as much again and as much of WAL, and the \
                 server stops when its disk is full",
                table.name
            ),
            "make room first, or see in a rehearsal which tables are written anew".to_owned(),
        );
    }
    Ok(())
}

/// The bytes that the server may still take, or why they are not known.
fn free_space(connection: &Connection, sizes: &Sizes) -> Result<u64, String> {
    let Some(directory) = &sizes.data_directory else {
        return Err("the role is no member of pg_read_all_settings, and may not know where the files are".to_owned());
    };
    let socket = connection
        .parameter("host")
        .filter(|host| host.starts_with('/') && connection.parameter("hostaddr").is_none());
    let Some(socket) = socket else {
        return Err("the server is reached by the network, and may be on another machine".to_owned());
    };
    if !sizes.default_tablespace {
        return Err("the database is in a tablespace of its own".to_owned());
    }
    // A socket can lead into a container, where the same path is another place: the server's user owns both.
    let port = connection.parameter("port").unwrap_or_default();
    let owner = |path: &Path| path.metadata().map(|metadata| metadata.uid()).ok();
    let sockets = owner(&Path::new(&socket).join(format!(".s.PGSQL.{port}")));
    if sockets.is_none() || sockets != owner(Path::new(directory)) {
        return Err(format!("\"{directory}\" cannot be looked at from here"));
    }
    match rustix::fs::statvfs(directory.as_str()) {
        Ok(space) => Ok(space.f_bavail.saturating_mul(space.f_frsize)),
        Err(error) => Err(format!(
            "\"{directory}\" cannot be looked at: {}",
            std::io::Error::from(error)
        )),
    }
}

/// Bytes for a person, as `pg_size_pretty` shows them.
fn human(bytes: u64) -> String {
    let mut rest = bytes;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if rest < 10_240 {
            return format!("{rest} {unit}");
        }
        rest = (rest + 512) / 1024;
    }
    format!("{rest} TB")
}
