//! A pooler between pum and the server, in session mode: through any other no session is opened at all.

use super::{Found, Severity};
use crate::connection::Connection;

pub(super) fn look(connection: &Connection, sessions: u32, found: &mut Found) {
    let (told, process) = (connection.backend_pid(), connection.process());
    if told == process {
        return;
    }
    found.concern(
        Severity::Know,
        "pooler",
        format!("a pooler stands between pum and the server: the handshake named process {told}, and process {process} answers"),
        format!(
            "each of up to {sessions} sessions of the upgrade holds one of its connections to the server all the time; with \
             fewer than that it waits for itself"
        ),
        "connect to the server itself, or see that the pool is large enough".to_owned(),
    );
}
