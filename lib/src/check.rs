//! The comparison of two databases: both read at once, compared, and told apart from mere spelling.

use std::thread;

use crate::catalog::{Catalog, Filter, NOT_READABLE};
use crate::class;
use crate::connection::Connection;
use crate::diff::Diff;
use crate::error::{Error, ErrorKind, Result};
use crate::report::Report;
use crate::rows::{self, Compared};
use crate::run::Run;
use crate::spelling;
use crate::target::Target;

/// A side of a comparison.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A database.
    Database(&'a Target),
    /// A catalog that was read before, as from a snapshot file.
    Catalog(&'a Catalog),
}

impl Origin<'_> {
    fn is_catalog(&self) -> bool {
        matches!(self, Origin::Catalog(_))
    }
}

impl<'a> From<&'a Target> for Origin<'a> {
    fn from(target: &'a Target) -> Origin<'a> {
        Origin::Database(target)
    }
}

impl<'a> From<&'a Catalog> for Origin<'a> {
    fn from(catalog: &'a Catalog) -> Origin<'a> {
        Origin::Catalog(catalog)
    }
}

/// A catalog, and the database it comes from as long as that can be asked.
pub(crate) type Side = (Catalog, Option<Connection>);

fn read(origin: Origin<'_>, filter: &Filter, run: &Run) -> Result<Side> {
    match origin {
        Origin::Database(target) => {
            let mut connection = Connection::open(target, run)?;
            let catalog = if filter.compares_rows() {
                Catalog::read_and_stay(&mut connection, filter)?
            } else {
                Catalog::read(&mut connection, filter)?
            };
            Ok((catalog, Some(connection)))
        }
        Origin::Catalog(catalog) => Ok((catalog.filtered(filter)?, None)),
    }
}

/// Compares two databases, or a database with a catalog that was read before.
///
/// Rows of the tables that the filter names are read in the snapshot in which the catalog was.
///
/// Definitions whose texts differ are parsed again, as temporary objects in a transaction that is rolled back, on the
/// right side when it may be written to, else on the left: PostgreSQL's own text of an expression can change when it
/// is restored from a dump. Nothing else is ever written.
///
/// # Errors
/// A side that cannot be reached or read, a pattern of the filter that is not valid, the run cancelled; a table whose rows
/// are to be compared and cannot be read, or a pattern that names no table.
pub fn check<'l, 'r>(
    left: impl Into<Origin<'l>>,
    right: impl Into<Origin<'r>>,
    filter: &Filter,
    run: &Run,
) -> Result<Report> {
    filter.validate()?;
    let (left, right) = (left.into(), right.into());
    if filter.compares_rows() && (left.is_catalog() || right.is_catalog()) {
        return Err(rows::no_rows());
    }
    let (left, right) = thread::scope(|scope| {
        let other = scope.spawn(|| read(right, filter, run));
        let left = read(left, filter, run);
        let right = other.join().unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Server,
                "reading the right side ended unexpectedly",
            ))
        });
        (left, right)
    });
    let (mut left, mut right) = (left?, right?);
    let mut diff = Diff::between(&left.0, &right.0);
    let rows = match (&mut left.1, &mut right.1) {
        (Some(left), Some(right)) if filter.compares_rows() => {
            let compared = rows::compare(left, right, filter)?;
            left.rollback();
            right.rollback();
            compared
        }
        _ => Compared::default(),
    };
    let mut warnings = spelling::settle(&mut diff, &mut left, &mut right)?;
    warnings.extend(missing_attributes([&left.0, &right.0]));
    for (side, (catalog, _)) in [("left", &left), ("right", &right)] {
        warnings.extend(unreadable(side, catalog));
    }
    warnings.extend(rows.warnings);
    if left.0.is_of_the_same_database(&right.0) {
        warnings.push("both sides are one and the same database".to_owned());
    }
    for (side, (catalog, _)) in [("left", &left), ("right", &right)] {
        if catalog.is_torn() {
            warnings.push(format!(
                "the structure of the {side} database was changed while it was read, each time: compare again when it is at rest"
            ));
        }
    }
    let apart = class::classify(&mut diff, [&left.0, &right.0], filter);
    let mut differences = diff.take();
    differences.extend(rows.differences);
    let compared = |kind| [&left.0, &right.0].iter().all(|side| side.objects(kind).is_some());
    let divided = filter.expected.divide(differences, &apart, compared, filter);
    diff.put(divided.news);
    Ok(Report::new([&left.0, &right.0], diff, &apart, warnings, filter)
        .expecting(divided.known, divided.reasons, divided.gone)
        .with_more_rows(rows.more))
}

/// How many objects are named that the role could not read whole.
const MAX_UNREADABLE: usize = 5;

/// What the role of one side may not see: equal on both sides, it would look the same.
fn unreadable(side: &str, catalog: &Catalog) -> Option<String> {
    let mut found = Vec::new();
    for (kind, objects) in catalog.kinds().filter(|(_, objects)| objects.hold(NOT_READABLE)) {
        for object in objects.iter() {
            let attributes = objects.attributes().iter().enumerate();
            let hidden = attributes.filter(|(number, _)| object.attribute_at(*number) == Some(NOT_READABLE));
            found.extend(hidden.map(|(_, name)| format!("{name} of {}", object.id(kind))));
        }
    }
    let more = found.len().saturating_sub(MAX_UNREADABLE);
    found.truncate(MAX_UNREADABLE);
    (!found.is_empty()).then(|| {
        format!(
            "not compared, because the role on the {side} side may not read it: {}{}",
            found.join(", "),
            if more == 0 {
                String::new()
            } else {
                format!(", and {more} more")
            }
        )
    })
}

/// Attributes that one side was not read with, because another version of pum wrote the snapshot.
fn missing_attributes(catalogs: [&Catalog; 2]) -> Option<String> {
    let [left, right] = catalogs;
    let mut missing = Vec::new();
    for (kind, objects) in left.kinds() {
        let Some(others) = right.objects(kind) else { continue };
        let [ours, theirs] = [objects, others].map(|objects| objects.attributes());
        let only = |some: &[String], others: &[String]| -> Vec<String> {
            let some = some.iter().filter(|name| !others.contains(name));
            some.map(|name| format!("{kind}.{name}")).collect()
        };
        missing.extend(only(ours, theirs));
        missing.extend(only(theirs, ours));
    }
    (!missing.is_empty()).then(|| {
        format!(
            "not compared, because a snapshot of another version of pum does not hold them: {}",
            missing.join(", ")
        )
    })
}
