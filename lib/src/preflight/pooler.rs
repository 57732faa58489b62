//! A pooler between pum and the server: the process of the handshake is not the one that answers.

use super::{Found, Severity};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};

/// How often the sessions are asked which process serves them.
const ROUNDS: usize = 3;

/// Looks for a pooler. Whether anything else can be looked at is returned: what is set in one session must be there in the next
/// statement.
///
/// # Errors
/// A session is lost or the run cancelled.
pub(super) fn look(connection: &mut Connection, sessions: u32, found: &mut Found) -> Result<bool> {
    let process = match process(connection) {
        Ok(process) => process,
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => return Err(error.within("the server does not say which process serves the session")),
    };
    if process == connection.backend_pid().to_string() {
        return Ok(true);
    }
    if !shares(connection, &process)? {
        found.concern(
            Severity::Know,
            "pooler",
            format!(
                "a pooler stands between pum and the server: the handshake named process {}, and process {process} answers",
                connection.backend_pid()
            ),
            format!(
                "each of up to {sessions} sessions of the upgrade holds one of its connections to the server all the time; with \
                 fewer than that it waits for itself"
            ),
            "connect to the server itself, or see that the pool is large enough".to_owned(),
        );
        return Ok(true);
    }
    found.concern(
        Severity::Blocks,
        "transaction_pooler",
        "a pooler that hands each transaction to another process stands between pum and the server".to_owned(),
        "the lock of the upgrade and its settings belong to a session, and nothing would keep them".to_owned(),
        "connect to the server itself, or to a pool with pool_mode = session".to_owned(),
    );
    found.not_seen(
        "everything else",
        "through this pooler the statements of one session do not reach one process",
    );
    Ok(false)
}

/// Whether two sessions that are open at the same time are served by one process, or one by several.
fn shares(connection: &mut Connection, first: &str) -> Result<bool> {
    let mut other = match Connection::open(&connection.target().clone(), &connection.run().clone()) {
        Ok(other) => other,
        Err(error) if error.kind() == ErrorKind::Connection => return Ok(false),
        Err(error) => return Err(error),
    };
    let others = process(&mut other)?;
    for _ in 0..ROUNDS {
        let now = [process(connection)?, process(&mut other)?];
        if now[0] == now[1] || now[0] != first || now[1] != others {
            return Ok(true);
        }
    }
    Ok(false)
}

fn process(connection: &mut Connection) -> Result<String> {
    let rows = connection.query("select pg_backend_pid()::text", &[])?;
    let process = rows.value(0, 0).map(str::to_owned);
    process.ok_or_else(|| Error::new(ErrorKind::Server, "pg_backend_pid() returned nothing"))
}
