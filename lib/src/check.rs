//! The comparison of two databases: both read at once, compared, and told apart from mere spelling.

use std::thread;

use crate::catalog::{Catalog, Filter, ObjectId};
use crate::connection::Connection;
use crate::diff::Diff;
use crate::error::{Error, ErrorKind, Result};
use crate::habit;
use crate::report::Report;
use crate::run::Run;
use crate::spelling;
use crate::target::Target;

/// Compares two databases.
///
/// Definitions whose texts differ are parsed again, as temporary objects in a transaction that is rolled back, on the
/// right side when it may be written to, else on the left: PostgreSQL's own text of an expression can change when it
/// is restored from a dump. Nothing else is ever written.
///
/// # Errors
/// A side that cannot be reached or read, a pattern of the filter that is not valid, the run cancelled.
pub fn check(left: &Target, right: &Target, filter: &Filter, run: &Run) -> Result<Report> {
    filter.validate()?;
    let read = |target: &Target| -> Result<(Catalog, Connection)> {
        let mut connection = Connection::open(target, run)?;
        let catalog = Catalog::read(&mut connection, filter)?;
        Ok((catalog, connection))
    };
    let (left, right) = thread::scope(|scope| {
        let other = scope.spawn(|| read(right));
        let left = read(left);
        let right = other.join().unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Server,
                "reading the right side ended unexpectedly",
            ))
        });
        (left, right)
    });
    let ((left, mut left_connection), (right, mut right_connection)) = (left?, right?);
    let mut diff = Diff::between(&left, &right);
    let mut warnings = spelling::settle(
        &mut diff,
        (&left, &mut left_connection),
        (&right, &mut right_connection),
    )?;
    warnings.extend(column_order(&habit::classify(&mut diff, [&left, &right])));
    Ok(Report::new(&left, &right, diff, warnings, filter))
}

/// The order of columns is compared of no relation; of views it is told, since their text shows it.
fn column_order(views: &[ObjectId]) -> Option<String> {
    const NAMED: usize = 5;
    let names: Vec<String> = views
        .iter()
        .take(NAMED)
        .map(|view| format!("{}.{}", view.schema, view.name))
        .collect();
    let more = match views.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!views.is_empty()).then(|| {
        format!(
            "only the order of the columns differs in {}{more}, and that is not compared",
            names.join(", ")
        )
    })
}
