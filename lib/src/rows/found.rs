//! What was found to differ in a table: kept up to a limit, and counted beyond it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use super::stream::{Field, Line, fields};
use super::tables::Layout;
use crate::catalog::{Kind, ObjectId};
use crate::class::quoted;
use crate::diff::{AttributeChange, Change, Difference};
use crate::expectation::Expectations;

/// How many rows of a table are told: more cannot be read by anybody.
const ROWS: usize = 1_000;
/// How much is kept of all tables' rows, in bytes.
const BYTES: usize = 64 << 20;
/// How many characters of a value are told in the name of a row, and in an attribute; the digest of the whole follows.
const IN_NAME: usize = 100;
const IN_ATTRIBUTE: usize = 10_000;
/// The attribute of a row without a key that tells how often it is there.
const TIMES: &str = "rows";

/// Rows of a table that differ besides those that are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoreRows {
    /// The schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// Rows on the left side only.
    pub only_left: usize,
    /// Rows on the right side only.
    pub only_right: usize,
    /// Rows on both sides that differ.
    pub changed: usize,
}

impl MoreRows {
    /// How many there are in all.
    pub fn rows(&self) -> usize {
        self.only_left + self.only_right + self.changed
    }
}

/// Such as `5 more rows of s.t differ than are listed: 3 only left, 2 changed`.
impl fmt::Display for MoreRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, differ) = if self.rows() == 1 {
            ("row", "differs")
        } else {
            ("rows", "differ")
        };
        write!(
            f,
            "{} more {rows} of {}.{} {differ} than are listed: ",
            self.rows(),
            quoted(&self.schema),
            quoted(&self.table)
        )?;
        let parts = [
            (self.only_left, "only left"),
            (self.only_right, "only right"),
            (self.changed, "changed"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, place)| format!("{count} {place}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// What is left of the memory for the rows of all tables.
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Room {
        Room(BYTES)
    }
}

/// What was found in one table.
pub(super) struct Found<'a> {
    layout: &'a Layout,
    expected: &'a Expectations,
    /// The names of the rows that may be known to differ.
    names: HashSet<&'a str>,
    told: Vec<Difference>,
    /// How many of those are news.
    news: usize,
    more: MoreRows,
    room: &'a mut Room,
    same: Same,
}

/// Rows without a key that are one and the same, and how many of them each side has.
#[derive(Default)]
struct Same {
    line: Vec<u8>,
    times: [usize; 2],
}

impl<'a> Found<'a> {
    pub(super) fn new(layout: &'a Layout, expected: &'a Expectations, room: &'a mut Room) -> Found<'a> {
        Found {
            layout,
            expected,
            names: expected.names(Kind::DATA, &layout.schema, &layout.table),
            told: Vec::new(),
            news: 0,
            more: MoreRows {
                schema: layout.schema.clone(),
                table: layout.table.clone(),
                only_left: 0,
                only_right: 0,
                changed: 0,
            },
            room,
            same: Same::default(),
        }
    }

    /// Takes the rows that have one key, or the row of one side whose key the other has not.
    pub(super) fn rows(&mut self, left: Option<&Line>, right: Option<&Line>) {
        if self.layout.has_key() {
            if left != right {
                self.add([left, right], [1, 1]);
            }
            return;
        }
        let Some(line) = left.or(right) else { return };
        if self.same.times == [0, 0] || self.same.line != line {
            self.end_of_same();
            self.same.line.clear();
            self.same.line.extend_from_slice(line);
        }
        self.same.times[0] += usize::from(left.is_some());
        self.same.times[1] += usize::from(right.is_some());
    }

    fn end_of_same(&mut self) {
        let Same { line, times } = std::mem::take(&mut self.same);
        if times[0] != times[1] {
            self.add(times.map(|times| (times > 0).then_some(&*line)), times);
        }
        self.same.line = line;
    }

    /// Adds a difference, unless there are too many already: then it is counted.
    fn add(&mut self, rows: [Option<&Line>; 2], times: [usize; 2]) {
        let full = self.news >= ROWS || self.room.0 == 0;
        if full && self.names.is_empty() {
            self.count(rows);
            return;
        }
        let name = self.name(rows[0].or(rows[1]).unwrap_or_default(), times);
        let may_be_known = self.names.contains(&*name);
        if full && !may_be_known {
            self.count(rows);
            return;
        }
        let difference = self.difference(name, rows, times);
        // What is known takes no place: it cannot be more than the file holds.
        if !(may_be_known && self.expected.know(&difference)) {
            if full {
                self.count(rows);
                return;
            }
            self.news += 1;
            let texts = difference
                .attributes
                .iter()
                .flat_map(|attribute| [&attribute.left, &attribute.right]);
            let bytes: usize = texts.flatten().map(String::len).sum();
            self.room.0 = self.room.0.saturating_sub(bytes + difference.object.name.len());
        }
        self.told.push(difference);
    }

    fn count(&mut self, rows: [Option<&Line>; 2]) {
        match rows.map(|row| row.is_some()) {
            [true, false] => self.more.only_left += 1,
            [false, true] => self.more.only_right += 1,
            _ => self.more.changed += 1,
        }
    }

    fn difference(&self, name: String, rows: [Option<&Line>; 2], times: [usize; 2]) -> Difference {
        let [left, right] = rows;
        let change = match (left, right) {
            (_, None) => Change::OnlyLeft,
            (None, _) => Change::OnlyRight,
            _ => Change::Changed,
        };
        let fields_of = |row: Option<&'_ Line>| row.map(|row| fields(row).map(shown_value).collect::<Vec<_>>());
        let mut attributes: Vec<AttributeChange> = if change == Change::Changed && times != [1, 1] {
            vec![AttributeChange {
                name: TIMES.to_owned(),
                left: Some(times[0].to_string()),
                right: Some(times[1].to_string()),
            }]
        } else {
            let (mut left, mut right) = (fields_of(left), fields_of(right));
            let value = |side: &mut Option<Vec<Option<String>>>, place: usize| {
                side.as_mut()
                    .and_then(|values| values.get_mut(place))
                    .and_then(Option::take)
            };
            let columns = self.layout.columns.iter().enumerate();
            columns
                .map(|(place, column)| AttributeChange {
                    name: column.name.clone(),
                    left: value(&mut left, place),
                    right: value(&mut right, place),
                })
                .collect()
        };
        if change == Change::Changed {
            attributes.retain(|attribute| attribute.left != attribute.right);
        }
        Difference {
            object: ObjectId {
                kind: Kind::DATA,
                schema: self.layout.schema.clone(),
                relation: self.layout.table.clone(),
                name,
            },
            change,
            attributes,
            maybe_spelling: false,
            class: None,
        }
    }

    /// What a row is known by, such as `id=5` or `code=A, language='en US'`. No two rows have one name.
    fn name(&self, row: &Line, times: [usize; 2]) -> String {
        let mut name = String::new();
        for (column, field) in self.layout.known_by().iter().zip(fields(row)) {
            if !name.is_empty() {
                name.push_str(", ");
            }
            let _ = write!(name, "{}={}", quoted(&column.name), in_name(field));
        }
        if let [0, times] | [times, 0] = times
            && times > 1
        {
            let _ = write!(name, " ({times} times)");
        }
        name
    }

    /// Hands over what was found, and what was only counted.
    pub(super) fn end(mut self, differences: &mut Vec<Difference>) -> Option<MoreRows> {
        self.end_of_same();
        differences.append(&mut self.told);
        (self.more.rows() > 0).then_some(self.more)
    }
}

/// A value, cut when it is too long to be read; the digest tells whether two of them are one.
fn cut(value: String, limit: usize) -> String {
    let Some((end, _)) = value.char_indices().nth(limit).filter(|_| value.len() > limit) else {
        return value;
    };
    let digest = Sha256::digest(&value);
    let mut cut = value[..end].to_owned();
    let _ = write!(cut, "… ({} bytes, sha256 ", value.len());
    digest.iter().take(8).for_each(|byte| {
        let _ = write!(cut, "{byte:02x}");
    });
    cut.push(')');
    cut
}

fn shown_value(field: Field<'_>) -> Option<String> {
    Some(cut(field.text()?, IN_ATTRIBUTE))
}

/// A value in a name: in quotes, unless it is a plain word or number.
fn in_name(field: Field<'_>) -> Cow<'static, str> {
    let Some(value) = field.text() else {
        return "null".into();
    };
    let plain = |character: char| character.is_alphanumeric() || "-+_.:/".contains(character);
    let value = cut(value, IN_NAME);
    if !value.is_empty() && value != "null" && value.chars().all(plain) {
        value.into()
    } else {
        format!("'{}'", value.replace('\'', "''")).into()
    }
}
