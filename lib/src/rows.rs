//! The rows of lookup tables: read on both sides in the order of their primary key, and merged.
//!
//! Neither side is ever held: each row is forgotten once it is compared, and of what differs only so much is kept as
//! somebody can read. Values are compared as the text that their type's output function writes; operators and casts that
//! somebody may have made are never called.

mod found;
mod stream;
mod tables;

use std::cmp::Ordering;

use crate::catalog::Filter;
use crate::connection::Connection;
use crate::diff::Difference;
use crate::error::{Error, ErrorKind, Result};

pub use found::MoreRows;
use found::{Found, Room};
use stream::Stream;
use tables::{Layout, Tables};

/// What became of a comparison of rows.
#[derive(Default)]
pub(crate) struct Compared {
    /// By table, and in it in the order of the key.
    pub(crate) differences: Vec<Difference>,
    /// The tables of which more rows differ than are told.
    pub(crate) more: Vec<MoreRows>,
    pub(crate) warnings: Vec<String>,
}

/// Compares the rows of the tables that the filter names. Both sides are in the transaction in which their catalog was
/// read, with its settings.
///
/// # Errors
/// A pattern that names no table; a table that cannot be read or was changed meanwhile, which is then named; the
/// connection lost, the run cancelled.
pub(crate) fn compare(left: &mut Connection, right: &mut Connection, filter: &Filter) -> Result<Compared> {
    for side in [&mut *left, &mut *right] {
        // Checks of partitions are of no use here, and planning would compute what is constant in them.
        side.execute("set local constraint_exclusion = off")?;
    }
    let tables = Tables::read(left, right, filter)?;
    let mut compared = Compared {
        warnings: tables.warnings,
        ..Compared::default()
    };
    let mut room = Room::default();
    for layout in &tables.layouts {
        let mut found = Found::new(layout, &filter.expected, &mut room);
        compare_table(left, right, layout, &mut found)?;
        compared.more.extend(found.end(&mut compared.differences));
    }
    Ok(compared)
}

fn compare_table(left: &mut Connection, right: &mut Connection, layout: &Layout, found: &mut Found<'_>) -> Result<()> {
    let mut lefts = Stream::open(left, layout, 0)?;
    let mut rights = Stream::open(right, layout, 1)?;
    let outcome = merge(&mut lefts, &mut rights, layout, found);
    // Whichever failed, the other side is stopped, too.
    let (left, right) = (lefts.end(), rights.end());
    outcome.and(left).and(right)
}

fn merge(lefts: &mut Stream<'_>, rights: &mut Stream<'_>, layout: &Layout, found: &mut Found<'_>) -> Result<()> {
    lefts.advance()?;
    rights.advance()?;
    loop {
        let order = match (lefts.row(), rights.row()) {
            (Some(left), Some(right)) if left == right => Ordering::Equal,
            (Some(left), Some(right)) => layout.compare(left, right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(()),
        };
        let left = lefts.row().filter(|_| order.is_le());
        let right = rights.row().filter(|_| order.is_ge());
        found.rows(left, right);
        if order.is_le() {
            lefts.advance()?;
        }
        if order.is_ge() {
            rights.advance()?;
        }
    }
}

/// The error of a side that has no rows.
pub(crate) fn no_rows() -> Error {
    Error::new(
        ErrorKind::Usage,
        "rows cannot be compared with a snapshot file, which holds none",
    )
    .with_hint("compare two databases, or leave the rows out (--ignore data)")
}
