//! The outcome of a comparison, for a person and for a program.

mod json;
mod text;

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Filter, Kind};
use crate::diff::{Diff, Difference};

pub use text::TextOptions;

/// The outcome of comparing two databases.
#[derive(Debug, Clone)]
pub struct Report {
    left: Side,
    right: Side,
    diff: Diff,
    ignored: Vec<Kind>,
    not_compared: Vec<NotCompared>,
    warnings: Vec<String>,
}

/// One of the two databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// As the user named it, without a password.
    pub target: String,
    /// The version of its server, such as `15.18`.
    pub server_version: String,
}

/// A kind of objects that exists and is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCompared {
    /// The kind, such as `enum types`.
    pub kind: String,
    /// How many there are on the left side.
    pub left: u64,
    /// How many there are on the right side.
    pub right: u64,
}

impl Report {
    pub(crate) fn new(left: &Catalog, right: &Catalog, diff: Diff, warnings: Vec<String>, filter: &Filter) -> Report {
        let side = |catalog: &Catalog| Side {
            target: catalog.target().to_owned(),
            server_version: catalog.server_version().to_string(),
        };
        let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for (place, catalog) in [left, right].into_iter().enumerate() {
            for (kind, count) in catalog.not_compared() {
                counts.entry(kind).or_default()[place] = *count;
            }
        }
        let mut ignored = filter.ignore.clone();
        ignored.sort();
        ignored.dedup();
        Report {
            left: side(left),
            right: side(right),
            diff,
            ignored,
            not_compared: counts
                .into_iter()
                .map(|(kind, [left, right])| NotCompared {
                    kind: kind.to_owned(),
                    left,
                    right,
                })
                .collect(),
            warnings,
        }
    }

    /// The same report with other names for the two databases, for those that nobody named.
    pub(crate) fn named(mut self, left: String, right: String) -> Report {
        self.left.target = left;
        self.right.target = right;
        self
    }

    /// Whether no difference was found.
    pub fn same(&self) -> bool {
        self.diff.is_empty()
    }

    /// Whether all differences are such that the databases behave the same for their users; see [`crate::Class`].
    pub fn behaves_the_same(&self) -> bool {
        self.differences().iter().all(|difference| difference.class.is_some())
    }

    /// The left database.
    pub fn left(&self) -> &Side {
        &self.left
    }

    /// The right database.
    pub fn right(&self) -> &Side {
        &self.right
    }

    /// The differences, by kind and then by name.
    pub fn differences(&self) -> &[Difference] {
        self.diff.differences()
    }

    /// Kinds that exist on a side and are not compared.
    pub fn not_compared(&self) -> &[NotCompared] {
        &self.not_compared
    }

    /// What should be known besides, such as differences that may be spelling only.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// For a person. Names and texts from the databases are escaped: no control or direction character gets through.
    pub fn to_text(&self, options: &TextOptions) -> String {
        text::render(self, options)
    }

    /// As JSON of the form `pum/check/1`, ending with a line end.
    pub fn to_json(&self) -> String {
        json::render(self)
    }
}
