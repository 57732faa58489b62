//! The report for a person: how many of what first, then the differences by object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::Report;
use crate::catalog::{Kind, OWNER_TABLE};
use crate::diff::{AttributeChange, Change, Difference};

/// How a report is written for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// 0: the summary only; 1: the differences; 2: also the definitions of what exists on one side only.
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
    if !report.differences().is_empty() {
        writer.summary(report);
        if options.verbosity > 0 {
            writer.differences(report);
        }
    }
    writer.tail(report);
    writer.text
}

struct Writer {
    text: String,
    options: TextOptions,
}

impl Writer {
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
        self.line("");
        let verdict = match report.differences().len() {
            0 => self.painted(GREEN, "No differences."),
            1 => self.painted(RED, "1 difference."),
            count => self.painted(RED, &format!("{count} differences.")),
        };
        self.line(verdict);
    }

    /// A table of schemas and kinds; the names of schemas are cut where the terminal is narrow.
    fn summary(&mut self, report: &Report) {
        const NUMBERS: usize = 10 + 12 + 9;
        let counts = report.counts();
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
        let mut groups: BTreeMap<(&str, &str), Vec<&Difference>> = BTreeMap::new();
        for difference in report.differences() {
            let object = &difference.object;
            let owner = if object.relation.is_empty() {
                &object.name
            } else {
                &object.relation
            };
            groups.entry((&object.schema, owner)).or_default().push(difference);
        }
        let folded = folded(report.differences());
        for ((schema, owner), group) in groups {
            let group: Vec<&Difference> = group
                .into_iter()
                .filter(|difference| !folded.parts.contains(&key(difference)))
                .collect();
            if group.is_empty() {
                continue;
            }
            self.line("");
            let title = if schema.is_empty() {
                escape(owner)
            } else {
                escape(&format!("{schema}.{owner}"))
            };
            self.line(self.painted(BOLD, &title));
            for difference in group {
                self.difference(difference, folded.of.get(&key(difference)));
            }
        }
    }

    fn difference(&mut self, difference: &Difference, parts: Option<&Vec<&Difference>>) {
        let object = &difference.object;
        let mut title = object.kind.singular();
        if !object.relation.is_empty() {
            let _ = write!(title, " {}", escape(&object.name));
        }
        let (mark, color, place) = match difference.change {
            Change::OnlyLeft => ("-", RED, "  only left"),
            Change::OnlyRight => ("+", GREEN, "  only right"),
            Change::Changed => ("~", YELLOW, ""),
        };
        let contents = parts.map(|parts| contents(parts)).unwrap_or_default();
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
                    self.attribute(attribute);
                }
            }
            _ if self.options.verbosity > 1 => {
                self.definition(difference, "      ");
                for part in parts.into_iter().flatten() {
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
            let value = attribute.left.as_ref().or(attribute.right.as_ref());
            let value = value.map_or("", String::as_str);
            if value.contains('\n') {
                self.line(format!("{indent}{}:", attribute.name));
                for line in value.lines() {
                    self.line(format!("{indent}  {}", escape(line)));
                }
            } else {
                self.line(format!("{indent}{}: {}", attribute.name, escape(value)));
            }
        }
    }

    fn attribute(&mut self, attribute: &AttributeChange) {
        let name = &attribute.name;
        let value = |value: &Option<String>| value.as_deref().map_or("none".to_owned(), escape);
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
        let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(left, right);
        for (number, group) in diff.grouped_ops(3).iter().enumerate() {
            if number > 0 {
                self.line("        ...");
            }
            for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
                let value = change.value();
                let end = if value.ends_with("\r\n") { "\\r" } else { "" };
                let line = escape(
                    value
                        .strip_suffix('\n')
                        .map_or(value, |line| line.strip_suffix('\r').unwrap_or(line)),
                );
                let line = match change.tag() {
                    ChangeTag::Delete => self.painted(RED, &format!("- {line}{end}")),
                    ChangeTag::Insert => self.painted(GREEN, &format!("+ {line}{end}")),
                    ChangeTag::Equal => format!("  {line}"),
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

type Key<'a> = (Kind, &'a str, &'a str, &'a str);

fn key(difference: &Difference) -> Key<'_> {
    let object = &difference.object;
    (object.kind, &object.schema, &object.relation, &object.name)
}

/// The parts of tables and views that exist on one side only, which are told with their table.
#[derive(Default)]
struct Folded<'a> {
    parts: BTreeSet<Key<'a>>,
    of: BTreeMap<Key<'a>, Vec<&'a Difference>>,
}

fn folded(differences: &[Difference]) -> Folded<'_> {
    let one_sided = |difference: &&Difference| difference.change != Change::Changed;
    // Names of relations are unique in a schema, so that whichever kind bears the name is the owner of what names it.
    let owners: BTreeMap<(bool, &str, &str), &Difference> = differences
        .iter()
        .filter(one_sided)
        .filter(|difference| difference.object.relation.is_empty() && owner(difference).is_none())
        .map(|difference| {
            (
                (
                    is_right(difference),
                    &*difference.object.schema,
                    &*difference.object.name,
                ),
                difference,
            )
        })
        .collect();
    let mut folded = Folded::default();
    for difference in differences.iter().filter(one_sided) {
        if let Some(name) = owner(difference)
            && let Some(owner) = owners.get(&(is_right(difference), &*difference.object.schema, name))
        {
            folded.parts.insert(key(difference));
            folded.of.entry(key(owner)).or_default().push(difference);
        }
    }
    folded
}

fn is_right(difference: &Difference) -> bool {
    difference.change == Change::OnlyRight
}

/// The table or view that an object belongs to.
fn owner(difference: &Difference) -> Option<&str> {
    if !difference.object.relation.is_empty() {
        return Some(&difference.object.relation);
    }
    let attribute = difference
        .attributes
        .iter()
        .find(|attribute| attribute.name == OWNER_TABLE)?;
    attribute.left.as_deref().or(attribute.right.as_deref())
}

/// Such as ` (3 columns, 1 index)`.
fn contents(parts: &[&Difference]) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for part in parts {
        *counts.entry(part.object.kind).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(kind, count)| format!("{count} {}", if count == 1 { kind.singular() } else { kind.title() }))
        .collect();
    format!(" ({})", counts.join(", "))
}

/// A text from a database that cannot disturb a terminal: control characters, and those that turn or hide what follows,
/// are written as escapes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("    "),
            _ if character.is_control() || hides(character) => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Characters without a shape of their own (Unicode's general categories Cf, Zl and Zp, as far as they are in use).
fn hides(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
