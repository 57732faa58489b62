//! The report for a person: how many of what first, then the differences by object.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::escape::{ended, escape, marked};
use super::outline::{Item, contents, groups, nothing};
use super::{Count, Report};
use crate::catalog::Kind;
use crate::diff::{AttributeChange, Change, Difference};

/// How a report is written for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// 0: the summary only; 1: the differences; 2: whole definitions, also of what exists on one side only.
    pub verbosity: u8,
    /// Characters in a line that are to be filled.
    pub width: usize,
    /// Whether colours (ANSI escape sequences) may be used.
    pub color: bool,
}

impl Default for TextOptions {
    fn default() -> TextOptions {
        TextOptions {
            verbosity: 1,
            width: 100,
            color: false,
        }
    }
}

/// How long one pair of definitions may be compared line by line before the rest is given as a block.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many rows of a table are told unless everything is.
const ROWS: usize = 20;

/// How many rows of a summary need their sum by kind before them.
const MANY: usize = 40;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

pub(super) fn render(report: &Report, options: &TextOptions) -> String {
    let mut writer = Writer {
        text: String::new(),
        options: *options,
    };
    writer.head(report);
    if !report.same() {
        writer.summary(report);
        if options.verbosity > 0 {
            writer.differences(report);
        }
    }
    writer.tail(report);
    writer.text
}

/// What stands around the differences: the two sides, the verdict, and what is not counted.
pub(super) fn frame(report: &Report) -> String {
    let mut writer = Writer::plain();
    writer.head(report);
    writer.tail(report);
    writer.text
}

/// One difference with all that is known about it.
pub(super) fn difference(difference: &Difference) -> String {
    let mut writer = Writer::plain();
    writer.difference(&Item {
        difference,
        named: true,
        parts: Vec::new(),
    });
    writer.text
}

struct Writer {
    text: String,
    options: TextOptions,
}

impl Writer {
    fn plain() -> Writer {
        Writer {
            text: String::new(),
            options: TextOptions {
                verbosity: 2,
                ..TextOptions::default()
            },
        }
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    fn painted(&self, color: &str, text: &str) -> String {
        if self.options.color {
            format!("{color}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    fn head(&mut self, report: &Report) {
        for (mark, side) in [("left ", &report.left), ("right", &report.right)] {
            let target = escape(&side.target);
            self.line(format!(
                "{mark}  {}  (PostgreSQL {})",
                self.painted(BOLD, &target),
                escape(&side.server_version)
            ));
        }
        if !report.ignored.is_empty() {
            self.line(format!("ignored: {}", report.ignored.join(", ")));
        }
        let left_out = report.left_out.told();
        if !left_out.is_empty() {
            self.line(format!("left out: {left_out}"));
        }
        self.line("");
        let verdict = match report.total() {
            0 => self.painted(GREEN, "No differences."),
            1 => self.painted(RED, "1 difference."),
            count => self.painted(RED, &format!("{count} differences.")),
        };
        self.line(verdict);
    }

    /// A table of schemas and kinds; the names of schemas are cut where the terminal is narrow.
    fn summary(&mut self, report: &Report) {
        const NUMBERS: usize = 10 + 12 + 9;
        let mut counts = report.counts();
        if counts.len() > MANY {
            counts.splice(0..0, totals(&counts));
        }
        let shown = |count: usize| if count == 0 { ".".to_owned() } else { count.to_string() };
        let width = |names: &mut dyn Iterator<Item = usize>| names.max().unwrap_or(0);
        let kinds = width(&mut counts.iter().map(|count| count.kind.title().len())).max(12);
        let room = self.options.width.saturating_sub(NUMBERS + kinds + 4).max(8);
        let schemas = width(&mut counts.iter().map(|count| escape(count.schema).chars().count())).min(room);
        self.line("");
        self.line(format!(
            "  {:schemas$}  {:kinds$} {:>9} {:>11} {:>9}",
            "", "", "only left", "only right", "changed"
        ));
        let mut last = None;
        for count in counts {
            let mut schema = escape(count.schema);
            if schema.chars().count() > room {
                schema = schema.chars().take(room - 1).chain(['…']).collect();
            }
            let repeated = last.replace(count.schema) == Some(count.schema);
            self.line(format!(
                "  {:schemas$}  {:kinds$} {:>9} {:>11} {:>9}",
                if repeated { "" } else { &schema },
                count.kind.title(),
                shown(count.only_left),
                shown(count.only_right),
                shown(count.changed)
            ));
        }
    }

    fn differences(&mut self, report: &Report) {
        for group in groups(report.differences()) {
            self.line("");
            self.line(self.painted(BOLD, &escape(&group.name())));
            let shown = if self.options.verbosity > 1 { usize::MAX } else { ROWS };
            let mut rows = 0;
            for item in &group.items {
                if item.difference.object.kind == Kind::DATA {
                    rows += 1;
                    if rows > shown {
                        continue;
                    }
                }
                self.difference(item);
            }
            let more = rows.saturating_sub(shown);
            if more > 0 {
                let differ = if more == 1 { "row differs" } else { "rows differ" };
                self.line(format!("    ... {more} more {differ}, see -v 2"));
            }
        }
    }

    fn difference(&mut self, item: &Item<'_>) {
        let (difference, parts) = (item.difference, &item.parts);
        let object = &difference.object;
        let mut title = object.kind.singular();
        if item.named {
            let _ = write!(title, " {}", escape(&object.name));
        }
        let (mark, color, place) = match difference.change {
            Change::OnlyLeft => ("-", RED, "  only left"),
            Change::OnlyRight => ("+", GREEN, "  only right"),
            Change::Changed => ("~", YELLOW, ""),
        };
        let contents = contents(parts);
        let remark = match difference.class {
            Some(class) => format!("  ({class})"),
            None if difference.maybe_spelling => "  (may be spelling only)".to_owned(),
            None => String::new(),
        };
        self.line(format!(
            "  {} {title}{place}{contents}{remark}",
            self.painted(color, mark)
        ));
        match difference.change {
            Change::Changed => {
                for attribute in &difference.attributes {
                    self.attribute(&told(difference, attribute), nothing(difference, &attribute.name));
                }
            }
            _ if self.options.verbosity > 1 => {
                self.definition(difference, "      ");
                for part in parts {
                    self.line(format!(
                        "      {} {}",
                        part.object.kind.singular(),
                        escape(&part.object.name)
                    ));
                    self.definition(part, "        ");
                }
            }
            _ => {}
        }
    }

    /// Everything that an object on one side only has.
    fn definition(&mut self, difference: &Difference, indent: &str) {
        for attribute in &difference.attributes {
            let attribute = told(difference, attribute);
            let value = attribute.left.as_ref().or(attribute.right.as_ref());
            let value = value.map_or("", String::as_str);
            if value.contains('\n') {
                self.line(format!("{indent}{}:", escape(&attribute.name)));
                for line in value.lines() {
                    self.line(format!("{indent}  {}", escape(line)));
                }
            } else {
                self.line(format!("{indent}{}: {}", escape(&attribute.name), escape(value)));
            }
        }
    }

    fn attribute(&mut self, attribute: &AttributeChange, nothing: &str) {
        let name = escape(&attribute.name);
        let value = |value: &Option<String>| value.as_deref().map_or(nothing.to_owned(), marked);
        let (left, right) = (
            attribute.left.as_deref().unwrap_or(""),
            attribute.right.as_deref().unwrap_or(""),
        );
        if !left.contains('\n') && !right.contains('\n') {
            let (left, right) = (value(&attribute.left), value(&attribute.right));
            let length = name.chars().count() + left.chars().count() + right.chars().count() + 11;
            if length <= self.options.width {
                let (left, right) = (self.painted(RED, &left), self.painted(GREEN, &right));
                self.line(format!("      {name}: {left} → {right}"));
            } else {
                self.line(format!("      {name}:"));
                self.line(format!("        {}", self.painted(RED, &format!("- {left}"))));
                self.line(format!("        {}", self.painted(GREEN, &format!("+ {right}"))));
            }
            return;
        }
        self.line(format!("      {name}:"));
        let [left, right] = ended([attribute.left.as_deref(), attribute.right.as_deref()]);
        let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&*left, &*right);
        let context = if self.options.verbosity > 1 { usize::MAX / 4 } else { 3 };
        let mut end = None;
        for group in &diff.grouped_ops(context) {
            let start = group.first().map_or(0, |operation| operation.old_range().start);
            if let Some(end) = end {
                self.line(format!("        ... {} equal lines", start.saturating_sub(end)));
            }
            end = group.last().map(|operation| operation.old_range().end);
            for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
                let value = change.value();
                let end = if value.ends_with("\r\n") { "\\r" } else { "" };
                let line = value
                    .strip_suffix('\n')
                    .map_or(value, |line| line.strip_suffix('\r').unwrap_or(line));
                let line = match change.tag() {
                    ChangeTag::Delete => self.painted(RED, &format!("- {}{end}", marked(line))),
                    ChangeTag::Insert => self.painted(GREEN, &format!("+ {}{end}", marked(line))),
                    ChangeTag::Equal => format!("  {}", escape(line)),
                };
                self.line(format!("        {line}"));
            }
        }
    }

    fn tail(&mut self, report: &Report) {
        if !report.expected.is_empty() {
            let count = report.expected.len();
            let differences = if count == 1 { "difference" } else { "differences" };
            self.line("");
            self.line(format!("{count} expected {differences} not counted"));
            if self.options.verbosity > 1 {
                for (difference, reason) in report.known() {
                    let mark = match difference.change {
                        Change::OnlyLeft => "-",
                        Change::OnlyRight => "+",
                        Change::Changed => "~",
                    };
                    let reason = reason.map_or(String::new(), |reason| format!(": {}", escape(reason)));
                    self.line(format!("  {mark} {}{reason}", escape(&difference.object.to_string())));
                }
            }
        }
        if !report.gone.is_empty() {
            let objects: Vec<String> = report.gone.iter().map(|object| escape(&object.to_string())).collect();
            self.line("");
            self.wrapped("expected to differ, and no longer does: ", &objects);
        }
        if !report.not_counted.is_empty() {
            let classes: Vec<String> = report
                .not_counted
                .iter()
                .map(|apart| format!("{} in {}", apart.differences, apart.class))
                .collect();
            let count: usize = report.not_counted.iter().map(|apart| apart.differences).sum();
            let names: Vec<&str> = report.not_counted.iter().map(|apart| apart.class.name()).collect();
            let differences = if count == 1 { "difference" } else { "differences" };
            self.line("");
            match classes.as_slice() {
                [_] => self.line(format!(
                    "{count} {differences} in {} not counted, see --include {}",
                    names[0], names[0]
                )),
                _ => {
                    self.wrapped(&format!("{count} {differences} not counted: "), &classes);
                    self.line(format!("see --include {}", names.join(" ")));
                }
            }
        }
        if !report.not_compared.is_empty() {
            let kinds: Vec<String> = report.not_compared.iter().map(|kind| kind.title()).collect();
            self.line("");
            self.wrapped("not compared, because a snapshot does not hold them: ", &kinds);
        }
        for warning in &report.warnings {
            self.line("");
            self.line(format!("{} {}", self.painted(YELLOW, "warning:"), escape(warning)));
        }
    }

    fn wrapped(&mut self, start: &str, words: &[String]) {
        let mut line = start.to_owned();
        for (number, word) in words.iter().enumerate() {
            let comma = if number + 1 < words.len() { ", " } else { "" };
            if line.chars().count() + word.chars().count() > self.options.width && line.len() > 4 {
                self.line(&line);
                line = "    ".to_owned();
            }
            line = line + word + comma;
        }
        self.line(line);
    }
}

/// A value of a row so that null, nothing and white space can be told apart; what is no row has none of them.
fn told<'a>(difference: &Difference, attribute: &'a AttributeChange) -> Cow<'a, AttributeChange> {
    if difference.object.kind != Kind::DATA {
        return Cow::Borrowed(attribute);
    }
    let (left, right) = match difference.change {
        Change::Changed => (Some(&attribute.left), Some(&attribute.right)),
        Change::OnlyLeft => (Some(&attribute.left), None),
        Change::OnlyRight => (None, Some(&attribute.right)),
    };
    let value = |value: &Option<String>| match value {
        None => "null".to_owned(),
        Some(text) if text.trim() != text || matches!(&**text, "" | "null") => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Some(text) => text.clone(),
    };
    Cow::Owned(AttributeChange {
        name: escape(&attribute.name),
        left: left.map(value),
        right: right.map(value),
    })
}

/// The counts of all schemas together, by kind.
fn totals(counts: &[Count<'_>]) -> Vec<Count<'static>> {
    let mut totals: BTreeMap<Kind, Count<'static>> = BTreeMap::new();
    for count in counts {
        let total = totals.entry(count.kind).or_insert(Count {
            schema: "(all schemas)",
            kind: count.kind,
            only_left: 0,
            only_right: 0,
            changed: 0,
        });
        total.only_left += count.only_left;
        total.only_right += count.only_right;
        total.changed += count.changed;
    }
    totals.into_values().collect()
}
