//! The differences of a report, and what was left out of it, as pages show them: by schema and object.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::compare::Comparison;
use crate::catalog::{Kind, ObjectId};
use crate::diff::{AttributeChange, Change, Difference};
use crate::report::Report;
use crate::report::escape::{escape, marked};
use crate::report::outline::{Item, contents, groups, nothing};
use crate::report::page::thousands;

/// How long all definitions together may be compared line by line before the rest is given as blocks.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows of definitions that are unfolded from the beginning, in one definition and in all.
const UNFOLDED: [usize; 2] = [80, 1500];
/// From how many differences on no definition is unfolded.
const MANY: usize = 200;
/// How many expected differences are unfolded from the beginning.
const ROWS: usize = 40;

/// A schema with its differences.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) groups: Vec<Object>,
}

pub(crate) struct Object {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) touched: Option<Touched>,
    pub(crate) items: Vec<Shown>,
}

/// By what an object was last touched.
pub(crate) struct Touched {
    /// The step, counted from 1.
    pub(crate) step: usize,
    pub(crate) words: String,
}

pub(crate) struct Shown {
    pub(crate) change: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) words: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) place: &'static str,
    pub(crate) contents: String,
    pub(crate) remarks: Vec<String>,
    pub(crate) values: Vec<Values>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) definition: Vec<Piece>,
}

/// An attribute that fits into a line.
pub(crate) struct Values {
    /// What stands where there is no value.
    pub(crate) nothing: &'static str,
    pub(crate) name: String,
    pub(crate) left: Option<String>,
    pub(crate) right: Option<String>,
}

/// A part of a definition: a heading and what is under it.
pub(crate) struct Piece {
    pub(crate) title: String,
    pub(crate) text: String,
}

pub(crate) struct Notes {
    pub(crate) not_counted: Vec<Apart>,
    pub(crate) known: String,
    pub(crate) expected: Vec<Plain>,
    pub(crate) gone: Vec<String>,
    pub(crate) ignored: String,
    pub(crate) left_out: String,
    pub(crate) not_compared: String,
    pub(crate) unfolded: bool,
}

pub(crate) struct Apart {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) differences: String,
}

pub(crate) struct Plain {
    pub(crate) mark: &'static str,
    pub(crate) object: String,
    pub(crate) change: &'static str,
    pub(crate) reason: String,
}

/// What may still be spent on definitions, and how what is on one side only is called.
struct Budget {
    until: Option<Instant>,
    rows: usize,
    only: [&'static str; 2],
}

impl Budget {
    fn of(report: &Report, only: [&'static str; 2]) -> Budget {
        let many = report.differences().len() > MANY;
        Budget {
            until: Instant::now().checked_add(PATIENCE),
            rows: if many { 0 } else { UNFOLDED[1] },
            only,
        }
    }

    fn unfolds(&mut self, rows: usize) -> bool {
        let unfolds = rows <= UNFOLDED[0] && rows <= self.rows;
        self.rows -= if unfolds { rows } else { 0 };
        unfolds
    }
}

pub(crate) type Firsts<'a> = BTreeMap<(&'a str, Kind), usize>;

/// The differences by schema and object, and which group is the first that holds one of a schema and a kind. `only` are
/// the words for what is on one side only; `touched` tells by what an object of a schema was last touched, where that is
/// known.
pub(crate) fn places<'a>(
    report: &'a Report,
    only: [&'static str; 2],
    touched: impl Fn(&str, &str) -> Option<Touched>,
) -> (Vec<Place>, Firsts<'a>) {
    let mut budget = Budget::of(report, only);
    let mut places: Vec<Place> = Vec::new();
    let mut firsts = Firsts::new();
    let mut last = None;
    for (number, group) in groups(report.differences()).into_iter().enumerate() {
        for item in &group.items {
            for difference in item.parts.iter().chain([&item.difference]) {
                firsts.entry((group.schema, difference.object.kind)).or_insert(number);
            }
        }
        if last.replace(group.schema) != Some(group.schema) {
            places.push(Place {
                name: escape(group.schema),
                groups: Vec::new(),
            });
        }
        if let Some(place) = places.last_mut() {
            place.groups.push(Object {
                number,
                name: escape(group.owner),
                touched: touched(group.schema, group.owner),
                items: group.items.iter().map(|item| shown(item, &mut budget)).collect(),
            });
        }
    }
    (places, firsts)
}

fn shown(item: &Item<'_>, budget: &mut Budget) -> Shown {
    let difference = item.difference;
    let (class, mark, place) = appearance(difference.change, budget.only);
    let mut shown = Shown {
        change: class,
        mark,
        words: format!("{} {}", difference.object.kind.title(), words(difference.change)),
        kind: difference.object.kind.singular(),
        name: if item.named {
            escape(&difference.object.name)
        } else {
            String::new()
        },
        place,
        contents: contents(&item.parts).trim_start().to_owned(),
        remarks: Vec::new(),
        values: Vec::new(),
        comparisons: Vec::new(),
        definition: Vec::new(),
    };
    shown.remarks.extend(difference.class.map(|class| class.to_string()));
    if difference.maybe_spelling {
        shown.remarks.push("may be spelling only".to_owned());
    }
    if difference.change == Change::Changed {
        for attribute in &difference.attributes {
            let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\n'));
            if long(&attribute.left) || long(&attribute.right) {
                let mut comparison = Comparison::of(attribute, budget.until);
                comparison.unfolded = budget.unfolds(comparison.shown_rows());
                shown.comparisons.push(comparison);
            } else {
                shown
                    .values
                    .push(values(attribute, nothing(difference, &attribute.name)));
            }
        }
    } else {
        shown.definition.push(Piece {
            title: String::new(),
            text: definition(difference, ""),
        });
        shown.definition.extend(item.parts.iter().map(|part| Piece {
            title: format!("{} {}", part.object.kind.singular(), escape(&part.object.name)),
            text: definition(part, "  "),
        }));
    }
    shown
}

fn appearance(change: Change, [left, right]: [&'static str; 2]) -> (&'static str, &'static str, &'static str) {
    match change {
        Change::OnlyLeft => ("left", "\u{2212}", left),
        Change::OnlyRight => ("right", "+", right),
        Change::Changed => ("changed", "~", "changed"),
    }
}

/// What may be written into the filter box for a change, as the other forms of the report call it.
fn words(change: Change) -> &'static str {
    match change {
        Change::OnlyLeft => "only_left missing",
        Change::OnlyRight => "only_right missing",
        Change::Changed => "changed",
    }
}

fn values(attribute: &AttributeChange, nothing: &'static str) -> Values {
    Values {
        nothing,
        name: escape(&attribute.name),
        left: attribute.left.as_deref().map(marked),
        right: attribute.right.as_deref().map(marked),
    }
}

/// Everything that an object on one side only has, a line each.
fn definition(difference: &Difference, indent: &str) -> String {
    let mut text = String::new();
    for attribute in &difference.attributes {
        let Some(value) = attribute.left.as_ref().or(attribute.right.as_ref()) else {
            continue;
        };
        let name = escape(&attribute.name);
        if value.contains('\n') {
            text += &format!("{indent}{name}:\n");
            for line in value.lines() {
                text += &format!("{indent}    {}\n", escape(line));
            }
        } else {
            text += &format!("{indent}{name}: {}\n", escape(value));
        }
    }
    text
}

impl Notes {
    pub(crate) fn of(report: &Report) -> Notes {
        Notes {
            not_counted: report
                .not_counted
                .iter()
                .map(|apart| Apart {
                    name: apart.class.name(),
                    meaning: apart.class.meaning(),
                    differences: thousands(apart.differences),
                })
                .collect(),
            known: thousands(report.expected.len()),
            expected: report.known().map(plain).collect(),
            gone: report
                .gone
                .iter()
                .map(ObjectId::to_string)
                .map(|name| escape(&name))
                .collect(),
            ignored: report.ignored.join(", ").replace('_', " "),
            left_out: report.left_out.told(),
            not_compared: report
                .not_compared
                .iter()
                .map(|kind| kind.title())
                .collect::<Vec<_>>()
                .join(", "),
            unfolded: report.expected.len() <= ROWS,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.not_counted.is_empty()
            && self.expected.is_empty()
            && self.gone.is_empty()
            && self.ignored.is_empty()
            && self.left_out.is_empty()
            && self.not_compared.is_empty()
    }
}

fn plain((difference, reason): (&Difference, Option<&str>)) -> Plain {
    let (_, mark, change) = appearance(difference.change, ["only left", "only right"]);
    Plain {
        mark,
        object: escape(&difference.object.to_string()),
        change,
        reason: reason.map(escape).unwrap_or_default(),
    }
}
