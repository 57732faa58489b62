//! The report as a page of HTML: one file that needs nothing else, made to be read by someone who was not there.
//!
//! Every name and text from the databases is escaped twice: `escape` for what hides or turns what follows, the template
//! for HTML. Should something pass nevertheless, the page's own policy lets no script run and no style apply but the two
//! whose digests it names.

mod compare;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use askama::Template;
use sha2::{Digest, Sha256};

use self::compare::Comparison;
use super::escape::{escape, marked};
use super::outline::{Group, Item, contents, groups, nothing};
use super::{Count, Report};
use crate::diff::{AttributeChange, Change, Difference};
use crate::{Kind, ObjectId};

/// How a report is written as a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HtmlOptions {
    /// The moment of the comparison, which the page tells.
    pub moment: Option<SystemTime>,
}

const STYLE: &str = include_str!("../../templates/report.css");
const SCRIPT: &str = include_str!("../../templates/report.js");

/// How long all definitions together may be compared line by line before the rest is given as blocks.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows of definitions that are unfolded from the beginning, in one definition and in all.
const UNFOLDED: [usize; 2] = [80, 1500];
/// From how many differences on no definition is unfolded.
const MANY: usize = 200;
/// Rows of a summary that are unfolded from the beginning.
const ROWS: usize = 40;
/// How wide the bar of the longest row of a chart is.
const BAR: usize = 240;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    policy: String,
    style: &'static str,
    script: &'static str,
    version: &'static str,
    moment: Option<Moment>,
    left: Side,
    right: Side,
    total: usize,
    verdict: String,
    whole: Numbers,
    by_kind: Vec<Row>,
    by_schema: Vec<Schema>,
    rows: usize,
    schemas: Vec<Place>,
    warnings: Vec<String>,
    notes: Notes,
}

struct Side {
    target: String,
    version: String,
}

struct Moment {
    machine: String,
    person: String,
}

/// How many there are of each change, and how long their bars are.
#[derive(Default)]
struct Numbers {
    figures: [String; 3],
    bars: [Bar; 3],
}

#[derive(Default, Clone, Copy)]
struct Bar {
    start: usize,
    length: usize,
}

struct Row {
    kind: String,
    /// The number of the first group that holds one of these.
    place: usize,
    numbers: Numbers,
}

struct Schema {
    name: String,
    rows: Vec<Row>,
}

/// A schema with its differences.
struct Place {
    name: String,
    groups: Vec<Object>,
}

struct Object {
    number: usize,
    name: String,
    items: Vec<Shown>,
}

struct Shown {
    change: &'static str,
    mark: &'static str,
    words: String,
    kind: String,
    name: String,
    place: &'static str,
    contents: String,
    remarks: Vec<String>,
    values: Vec<Values>,
    comparisons: Vec<Comparison>,
    definition: Vec<Piece>,
}

/// An attribute that fits into a line.
struct Values {
    /// What stands where there is no value.
    nothing: &'static str,
    name: String,
    left: Option<String>,
    right: Option<String>,
}

/// A part of a definition: a heading and what is under it.
struct Piece {
    title: String,
    text: String,
}

struct Notes {
    not_counted: Vec<Apart>,
    known: String,
    expected: Vec<Plain>,
    gone: Vec<String>,
    ignored: String,
    left_out: String,
    not_compared: String,
}

struct Apart {
    name: &'static str,
    meaning: &'static str,
    differences: String,
}

struct Plain {
    mark: &'static str,
    object: String,
    change: &'static str,
    reason: String,
}

pub(super) fn render(report: &Report, options: &HtmlOptions) -> String {
    let mut budget = Budget {
        until: Instant::now().checked_add(PATIENCE),
        rows: if report.differences().len() > MANY {
            0
        } else {
            UNFOLDED[1]
        },
    };
    let counts = report.counts();
    let (places, firsts) = places(report, &mut budget);
    let first = |count: &Count<'_>| firsts.get(&(count.schema, count.kind)).copied().unwrap_or_default();
    let total = report.total();
    let page = Page {
        policy: policy(),
        style: STYLE,
        script: SCRIPT,
        version: env!("CARGO_PKG_VERSION"),
        moment: options.moment.and_then(moment),
        left: side(&report.left),
        right: side(&report.right),
        total,
        verdict: match total {
            0 => "No differences".to_owned(),
            1 => "1 difference".to_owned(),
            _ => format!("{} differences", thousands(total)),
        },
        whole: Numbers::of(sum(&counts), total),
        by_kind: by_kind(&counts, first),
        rows: counts.len(),
        by_schema: by_schema(&counts, first),
        schemas: places,
        warnings: report.warnings.iter().map(|warning| escape(warning)).collect(),
        notes: notes(report),
    };
    // The template only writes into a string: this cannot fail.
    page.render().unwrap_or_default()
}

/// What may still be spent on definitions.
struct Budget {
    until: Option<Instant>,
    rows: usize,
}

impl Budget {
    fn unfolds(&mut self, rows: usize) -> bool {
        let unfolds = rows <= UNFOLDED[0] && rows <= self.rows;
        self.rows -= if unfolds { rows } else { 0 };
        unfolds
    }
}

type Firsts<'a> = std::collections::BTreeMap<(&'a str, Kind), usize>;

fn places<'a>(report: &'a Report, budget: &mut Budget) -> (Vec<Place>, Firsts<'a>) {
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
            place.groups.push(object(number, &group, budget));
        }
    }
    (places, firsts)
}

fn object(number: usize, group: &Group<'_>, budget: &mut Budget) -> Object {
    Object {
        number,
        name: escape(group.owner),
        items: group.items.iter().map(|item| shown(item, budget)).collect(),
    }
}

fn shown(item: &Item<'_>, budget: &mut Budget) -> Shown {
    let difference = item.difference;
    let (class, mark, place) = appearance(difference.change);
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

fn appearance(change: Change) -> (&'static str, &'static str, &'static str) {
    match change {
        Change::OnlyLeft => ("left", "\u{2212}", "only left"),
        Change::OnlyRight => ("right", "+", "only right"),
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

fn sum(counts: &[Count<'_>]) -> [usize; 3] {
    counts.iter().fold([0; 3], |[left, right, changed], count| {
        [
            left + count.only_left,
            right + count.only_right,
            changed + count.changed,
        ]
    })
}

impl Numbers {
    /// The bars for some counts, where `longest` fills the whole width. What is there is seen, however little it is.
    fn of(counts: [usize; 3], longest: usize) -> Numbers {
        let mut start = 0;
        let bars = counts.map(|count| {
            let length = match count {
                0 => 0,
                _ => (count * BAR / longest.max(1)).max(2),
            };
            let bar = Bar { start, length };
            start += length;
            bar
        });
        Numbers {
            figures: counts.map(thousands),
            bars,
        }
    }

    fn length(&self) -> usize {
        self.bars.iter().map(|bar| bar.length).sum()
    }

    fn label(&self) -> String {
        let [left, right, changed] = &self.figures;
        format!("{left} only left, {right} only right, {changed} changed")
    }
}

fn numbers(count: &Count<'_>) -> [usize; 3] {
    [count.only_left, count.only_right, count.changed]
}

fn by_kind(counts: &[Count<'_>], first: impl Fn(&Count<'_>) -> usize) -> Vec<Row> {
    let mut kinds: std::collections::BTreeMap<Kind, ([usize; 3], usize)> = std::collections::BTreeMap::new();
    for count in counts {
        let place = first(count);
        let (sum, first) = kinds.entry(count.kind).or_insert(([0; 3], place));
        for (sum, number) in sum.iter_mut().zip(numbers(count)) {
            *sum += number;
        }
        *first = place.min(*first);
    }
    let longest = longest(kinds.values().map(|(counts, _)| *counts));
    kinds
        .into_iter()
        .map(|(kind, (counts, place))| Row {
            kind: kind.title(),
            place,
            numbers: Numbers::of(counts, longest),
        })
        .collect()
}

fn by_schema(counts: &[Count<'_>], first: impl Fn(&Count<'_>) -> usize) -> Vec<Schema> {
    let longest = longest(counts.iter().map(numbers));
    counts
        .chunk_by(|one, other| one.schema == other.schema)
        .map(|counts| Schema {
            name: counts.first().map(|count| escape(count.schema)).unwrap_or_default(),
            rows: counts
                .iter()
                .map(|count| Row {
                    kind: count.kind.title(),
                    place: first(count),
                    numbers: Numbers::of(numbers(count), longest),
                })
                .collect(),
        })
        .collect()
}

fn longest(counts: impl Iterator<Item = [usize; 3]>) -> usize {
    counts.map(|counts| counts.iter().sum()).max().unwrap_or_default()
}

fn notes(report: &Report) -> Notes {
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
    }
}

impl Notes {
    fn is_empty(&self) -> bool {
        self.not_counted.is_empty()
            && self.expected.is_empty()
            && self.gone.is_empty()
            && self.ignored.is_empty()
            && self.left_out.is_empty()
            && self.not_compared.is_empty()
    }
}

fn plain((difference, reason): (&Difference, Option<&str>)) -> Plain {
    let (_, mark, change) = appearance(difference.change);
    Plain {
        mark,
        object: escape(&difference.object.to_string()),
        change,
        reason: reason.map(escape).unwrap_or_default(),
    }
}

fn side(side: &super::Side) -> Side {
    Side {
        target: escape(&side.target),
        version: escape(&side.server_version),
    }
}

/// What the page may do: apply its own style and run its own script.
fn policy() -> String {
    let [style, script] = [STYLE, SCRIPT].map(|text| base64(&Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, place| {
            number << 8 | chunk.get(place).copied().map_or(0, usize::from)
        });
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(DIGITS[number >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// A number with a thin space between thousands.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The moment in UTC, to the minute. None when it is before 1970.
fn moment(time: SystemTime) -> Option<Moment> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    // Years that begin in March have their odd day at the end; 719,468 days lie between March of year 0 and 1970.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year + u64::from(month < 2);
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    let name = MONTHS.get(usize::try_from(month).ok()?)?;
    Some(Moment {
        machine: format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}Z", month + 1),
        person: format!("{day} {name} {year}, {hour:02}:{minute:02} UTC"),
    })
}

#[cfg(test)]
mod tests;
