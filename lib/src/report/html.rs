//! The report as a page of HTML: one file that needs nothing else, made to be read by someone who was not there.
//!
//! Every name and text from the databases is escaped twice: `escape` for what hides or turns what follows, the template
//! for HTML. Should something pass nevertheless, the page's own policy lets no script run and no style apply but the two
//! whose digests it names.

mod compare;
pub(crate) mod differences;

use std::time::SystemTime;

use askama::Template;

use self::differences::{Notes, Place, places};
use super::escape::escape;
use super::page::{Moment, SCRIPT, STYLE, moment, policy, thousands};
use super::{Count, Report};
use crate::Kind;

/// How a report is written as a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HtmlOptions {
    /// The moment of the comparison or of the writing, which the page tells.
    pub moment: Option<SystemTime>,
}

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

pub(super) fn render(report: &Report, options: &HtmlOptions) -> String {
    let counts = report.counts();
    let (places, firsts) = places(report, ["only left", "only right"], |_, _| None);
    let first = |count: &Count<'_>| firsts.get(&(count.schema, count.kind)).copied().unwrap_or_default();
    let total = report.total();
    let page = Page {
        policy: policy(STYLE, SCRIPT),
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
        notes: Notes::of(report),
    };
    // The template only writes into a string: this cannot fail.
    page.render().unwrap_or_default()
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

fn side(side: &super::Side) -> Side {
    Side {
        target: escape(&side.target),
        version: escape(&side.server_version),
    }
}
