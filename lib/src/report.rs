//! The outcome of a comparison, for a person and for a program.

pub(crate) mod escape;
pub(crate) mod html;
mod json;
mod junit;
mod outline;
pub(crate) mod page;
mod text;

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Filter, KINDS, Kind, ObjectId};
use crate::class::Class;
use crate::diff::{Change, Diff, Difference};
use crate::rows::MoreRows;

pub use html::HtmlOptions;
pub use text::TextOptions;

/// The outcome of comparing two databases.
#[derive(Debug, Clone)]
pub struct Report {
    left: Side,
    right: Side,
    diff: Diff,
    ignored: Vec<&'static str>,
    left_out: LeftOut,
    not_counted: Vec<NotCounted>,
    not_compared: Vec<Kind>,
    expected: Vec<Difference>,
    reasons: Vec<String>,
    gone: Vec<ObjectId>,
    more_rows: Vec<MoreRows>,
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

/// What was left out by name, on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Schemas.
    pub schemas: Vec<String>,
    /// Patterns for objects.
    pub objects: Vec<String>,
    /// Patterns for columns.
    pub columns: Vec<String>,
    /// Schema and name of the table of upgrades.
    pub upgrades_table: Option<(String, String)>,
}

impl LeftOut {
    fn of(filter: &Filter) -> LeftOut {
        let mut schemas = filter.exclude_schemas.clone();
        schemas.sort();
        schemas.dedup();
        LeftOut {
            schemas,
            objects: filter.exclude.iter().map(ToString::to_string).collect(),
            columns: filter.exclude_fields.clone(),
            upgrades_table: filter.upgrades_table.clone(),
        }
    }

    /// Such as `schemas lk; objects public.*; columns zz%`, escaped; empty when it is nothing.
    fn told(&self) -> String {
        let table: Vec<String> = self
            .upgrades_table
            .iter()
            .map(|(schema, table)| format!("{schema}.{table}"))
            .collect();
        let parts = [
            ("schemas", &self.schemas),
            ("objects", &self.objects),
            ("columns", &self.columns),
            ("table", &table),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what} {}", escape::escape(&names.join(", "))))
            .collect();
        parts.join("; ")
    }
}

/// Differences that were found and do not count, because their class is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotCounted {
    /// The class.
    pub class: Class,
    /// How many differences there are.
    pub differences: usize,
}

/// How many objects of a kind differ in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<'a> {
    /// The schema; empty for what belongs to none.
    pub schema: &'a str,
    /// The kind.
    pub kind: Kind,
    /// Objects on the left side only.
    pub only_left: usize,
    /// Objects on the right side only.
    pub only_right: usize,
    /// Objects on both sides that differ.
    pub changed: usize,
}

impl Report {
    pub(crate) fn new(
        catalogs: [&Catalog; 2],
        diff: Diff,
        apart: &[Difference],
        warnings: Vec<String>,
        filter: &Filter,
    ) -> Report {
        let [left, right] = catalogs.map(|catalog| Side {
            target: catalog.target().to_owned(),
            server_version: catalog.server_version().to_string(),
        });
        let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
        for class in apart.iter().filter_map(|difference| difference.class) {
            if !filter.ignore_classes.contains(&class) {
                *counts.entry(class).or_default() += 1;
            }
        }
        let ignored = |kind: &Kind| filter.ignore.contains(kind);
        let kinds = KINDS.iter().filter(|kind| ignored(kind)).map(|kind| kind.name());
        let classes = Class::ALL.iter().filter(|class| filter.ignore_classes.contains(class));
        let mut names: Vec<&str> = kinds.chain(classes.map(|class| class.name())).collect();
        names.dedup();
        let compared = |kind: &Kind| catalogs.iter().all(|catalog| catalog.objects(*kind).is_some());
        Report {
            left,
            right,
            diff,
            ignored: names,
            left_out: LeftOut::of(filter),
            not_counted: counts
                .into_iter()
                .map(|(class, differences)| NotCounted { class, differences })
                .collect(),
            not_compared: KINDS
                .iter()
                .filter(|kind| !ignored(kind) && !compared(kind))
                .copied()
                .collect(),
            expected: Vec::new(),
            reasons: Vec::new(),
            gone: Vec::new(),
            more_rows: Vec::new(),
            warnings,
        }
    }

    /// The same report with the differences that were expected and why each is right, and the objects that were expected
    /// to differ and do not.
    pub(crate) fn expecting(mut self, expected: Vec<Difference>, reasons: Vec<String>, gone: Vec<ObjectId>) -> Report {
        self.expected = expected;
        self.reasons = reasons;
        self.gone = gone;
        self
    }

    /// The same report with the tables of which more rows differ than are told.
    pub(crate) fn with_more_rows(mut self, more_rows: Vec<MoreRows>) -> Report {
        self.warnings.extend(more_rows.iter().map(MoreRows::to_string));
        self.more_rows = more_rows;
        self
    }

    /// The same report with other names for the two databases, for those that nobody named.
    pub(crate) fn named(mut self, left: String, right: String) -> Report {
        self.left.target = left;
        self.right.target = right;
        self
    }

    /// Whether no difference was found.
    pub fn same(&self) -> bool {
        self.diff.is_empty() && self.more_rows.is_empty()
    }

    /// Whether all differences are such that a rehearsal goes on, the left side being what was upgraded: those of
    /// [`Class::Serial`], and types of [`Class::UnusedTypes`] that were left over. A type that is missing is none of them:
    /// the text of a function may name it.
    pub fn behaves_the_same(&self) -> bool {
        let harmless = |difference: &Difference| match difference.class {
            Some(Class::Serial) => true,
            Some(Class::UnusedTypes) => difference.change == Change::OnlyLeft,
            _ => false,
        };
        self.differences().iter().all(harmless) && self.more_rows.is_empty()
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

    /// How many differences there are, with the rows that are only counted.
    pub(crate) fn total(&self) -> usize {
        self.differences().len() + self.more_rows.iter().map(MoreRows::rows).sum::<usize>()
    }

    /// The tables of which more rows differ than are among the differences.
    pub fn more_rows(&self) -> &[MoreRows] {
        &self.more_rows
    }

    /// The differences and the rows beyond them, counted by schema and kind, in that order.
    pub fn counts(&self) -> Vec<Count<'_>> {
        fn count<'a, 'b>(
            counts: &'b mut BTreeMap<(&'a str, Kind), Count<'a>>,
            schema: &'a str,
            kind: Kind,
        ) -> &'b mut Count<'a> {
            counts.entry((schema, kind)).or_insert(Count {
                schema,
                kind,
                only_left: 0,
                only_right: 0,
                changed: 0,
            })
        }
        let mut counts = BTreeMap::new();
        for difference in self.differences() {
            let count = count(&mut counts, &difference.object.schema, difference.object.kind);
            match difference.change {
                Change::OnlyLeft => count.only_left += 1,
                Change::OnlyRight => count.only_right += 1,
                Change::Changed => count.changed += 1,
            }
        }
        for more in &self.more_rows {
            let count = count(&mut counts, &more.schema, Kind::DATA);
            count.only_left += more.only_left;
            count.only_right += more.only_right;
            count.changed += more.changed;
        }
        counts.into_values().collect()
    }

    /// The differences that were expected, and do not count.
    pub fn expected(&self) -> &[Difference] {
        &self.expected
    }

    /// Why each of the [expected](Report::expected) differences is right, in the same order; empty where nobody said.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// The differences that were expected, each with the reason that was given.
    fn known(&self) -> impl Iterator<Item = (&Difference, Option<&str>)> {
        let reasons = self
            .reasons
            .iter()
            .map(|reason| Some(&**reason).filter(|reason| !reason.is_empty()));
        self.expected.iter().zip(reasons.chain(std::iter::repeat(None)))
    }

    /// The objects that were expected to differ, and do not any more.
    pub fn expected_and_gone(&self) -> &[ObjectId] {
        &self.gone
    }

    /// What was found in the classes that are off.
    pub fn not_counted(&self) -> &[NotCounted] {
        &self.not_counted
    }

    /// Kinds that could not be compared, because a snapshot does not hold them.
    pub fn not_compared(&self) -> &[Kind] {
        &self.not_compared
    }

    /// Whether a kind was compared. Of rows the report knows only what differs.
    fn compared(&self, kind: Kind) -> bool {
        kind != Kind::DATA && !self.ignored.contains(&kind.name()) && !self.not_compared.contains(&kind)
    }

    /// Kinds and classes that were left out, by name.
    pub fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }

    /// What was left out by name.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// What should be known besides, such as differences that may be spelling only.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// For a person. Names and texts from the databases are escaped: no control or direction character gets through.
    pub fn to_text(&self, options: &TextOptions) -> String {
        text::render(self, options)
    }

    /// As a page of HTML in one file, which loads nothing. Names and texts from the databases are escaped, and the page's
    /// policy lets no script run but its own.
    pub fn to_html(&self, options: &HtmlOptions) -> String {
        html::render(self, options)
    }

    /// As JUnit XML: a test suite for each kind that was compared, a failing test case for each object that differs.
    pub fn to_junit(&self) -> String {
        junit::render(self)
    }

    /// As JSON of the form `pum/check/1`, ending with a line end.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// The report that [`Report::to_json`] wrote; none when another version of pum wrote what this one does not know.
    pub(crate) fn of_json(document: &serde_json::Value) -> Option<Report> {
        json::read(document)
    }
}
