//! The points at which an upgrade can be disturbed, and among them its COMMITs, where the outcome can be in doubt.

use crate::proxy::{From, Point, Seen};

/// The points of an undisturbed run. The session that only looks on is left out, because it comes when it likes. Of the
/// sessions that only read before anything is begun, and of the answers but for the last one to each question, one in so
/// many is taken.
pub fn points(seen: &[Seen]) -> Vec<Point> {
    let says = |connection: usize, what: &str| {
        seen.iter()
            .any(|seen| seen.connection == connection && seen.head.contains(what))
    };
    let mut points = Vec::new();
    for (number, seen) in seen.iter().enumerate() {
        if says(seen.connection, "pg_blocking_pids") {
            continue;
        }
        let works = says(seen.connection, "pg_try_advisory_lock")
            || says(seen.connection, "begin isolation level read committed");
        let answer = seen.from == From::Server && seen.kind != b'Z';
        if (!works && number % 10 != 0) || (answer && number % 5 != 0) {
            continue;
        }
        points.extend([false, true].map(|passed| seen.point(passed)));
    }
    points
}

/// What the server answers with COMMIT, with the message that asked for it and the end of its answer, before and after each.
pub fn commits(seen: &[Seen]) -> Vec<Point> {
    let done = |seen: &Seen| seen.from == From::Server && seen.kind == b'C' && seen.head.starts_with("COMMIT\0");
    let mut points = Vec::new();
    for (number, answer) in seen.iter().enumerate().filter(|(_, seen)| done(seen)) {
        let here = |other: &&Seen| other.connection == answer.connection;
        let asked = seen[..number]
            .iter()
            .rev()
            .filter(here)
            .find(|other| other.from == From::Client);
        let ready = seen[number..]
            .iter()
            .filter(here)
            .find(|other| other.from == From::Server && other.kind == b'Z');
        for message in [asked, Some(answer), ready].into_iter().flatten() {
            points.extend([false, true].map(|passed| message.point(passed)));
        }
    }
    points.sort_unstable();
    points.dedup();
    points
}

/// The client's COMMIT of the transaction in which it says this, and the server's answer, both before they are passed on.
pub fn commit_of(seen: &[Seen], text: &str) -> Option<(Point, Point)> {
    let at = seen
        .iter()
        .position(|seen| seen.from == From::Client && seen.head.contains(text))?;
    let mut after = seen[at..]
        .iter()
        .filter(|later| later.connection == seen[at].connection);
    let commit = after.find(|later| later.from == From::Client && later.head.starts_with("commit\0"))?;
    let answer = after.find(|later| later.from == From::Server && later.kind == b'C')?;
    Some((commit.point(false), answer.point(false)))
}
