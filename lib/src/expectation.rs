//! Expected differences: a file of known differences with reasons, so that a comparison fails on news only.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::{Kind, ObjectId};
use crate::diff::{AttributeChange, Change, Difference};
use crate::error::{Error, ErrorKind, Location, Result};

/// The form of the file.
const FORM: &str = "pum/expected/1";

/// Differences that are known, with reasons.
///
/// In the file, `pum/expected/1`, each is an object of JSON with the keys `reason`, `kind`, `schema`, `relation`, `name`
/// and `change`, and, where an object differs, `attributes` with the values of both sides: another value is news again.
/// What exists on one side only is known by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    path: Option<PathBuf>,
    expected: Vec<Expected>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    differences: Vec<Expected>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default)]
    reason: String,
    kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    schema: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    relation: String,
    name: String,
    change: Change,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeChange>,
}

impl Expected {
    fn of(difference: &Difference) -> Expected {
        let object = &difference.object;
        Expected {
            reason: String::new(),
            kind: object.kind.name().to_owned(),
            schema: object.schema.clone(),
            relation: object.relation.clone(),
            name: object.name.clone(),
            change: difference.change,
            attributes: match difference.change {
                Change::Changed => difference.attributes.clone(),
                Change::OnlyLeft | Change::OnlyRight => Vec::new(),
            },
        }
    }

    fn is(&self, difference: &Difference) -> bool {
        let object = &difference.object;
        (&*self.kind, &self.schema, &self.relation, &self.name, self.change)
            == (
                object.kind.name(),
                &object.schema,
                &object.relation,
                &object.name,
                difference.change,
            )
            && (self.change != Change::Changed || self.attributes == difference.attributes)
    }
}

impl Expectations {
    /// What a comparison found, to be written into a file. The reasons of those that were known are kept.
    pub fn of(differences: &[Difference], known: &Expectations) -> Expectations {
        let expected = differences.iter().map(|difference| {
            let before = known.expected.iter().find(|expected| expected.is(difference));
            before.cloned().unwrap_or_else(|| Expected::of(difference))
        });
        Expectations {
            path: known.path.clone(),
            expected: expected.collect(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or holds something else; the place is told.
    pub fn read(path: &Path) -> Result<Expectations> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(format_args!("cannot read \"{}\"", path.display()), &error))?;
        let document: Document =
            serde_json::from_str(&text).map_err(|error| not_of_the_form(path, &text, &error, FORM))?;
        if document.schema != FORM {
            return Err(other_form(path, &document.schema, FORM));
        }
        for expected in &document.differences {
            expected
                .kind
                .parse::<Kind>()
                .map_err(|error| error.within(format_args!("in \"{}\"", path.display())))?;
        }
        Ok(Expectations {
            path: Some(path.to_owned()),
            expected: document.differences,
        })
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let document = Document {
            schema: FORM.to_owned(),
            differences: self.expected.clone(),
        };
        // Texts and lists only: this cannot fail.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }

    /// How many differences are known.
    pub fn len(&self) -> usize {
        self.expected.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// Whether a difference is known.
    pub(crate) fn know(&self, difference: &Difference) -> bool {
        self.expected.iter().any(|expected| expected.is(difference))
    }

    /// The names of what is known of a kind in a table.
    pub(crate) fn names(&self, kind: Kind, schema: &str, relation: &str) -> HashSet<&str> {
        let expected = self.expected.iter();
        let of_table = expected.filter(|expected| {
            (&*expected.kind, &*expected.schema, &*expected.relation) == (kind.name(), schema, relation)
        });
        of_table.map(|expected| &*expected.name).collect()
    }

    /// Divides differences into news and known ones, and names what was expected and did not occur.
    pub(crate) fn divide(&self, differences: Vec<Difference>) -> Divided {
        let mut occurred = BTreeSet::new();
        let (known, news) = differences.into_iter().partition(|difference| {
            let place = self.expected.iter().position(|expected| expected.is(difference));
            occurred.extend(place);
            place.is_some()
        });
        let gone = self
            .expected
            .iter()
            .enumerate()
            .filter(|(place, _)| !occurred.contains(place));
        Divided {
            news,
            known,
            gone: gone
                .filter_map(|(_, expected)| {
                    Some(ObjectId {
                        kind: expected.kind.parse().ok()?,
                        schema: expected.schema.clone(),
                        relation: expected.relation.clone(),
                        name: expected.name.clone(),
                    })
                })
                .collect(),
        }
    }
}

/// What became of differences that were held against what was expected.
pub(crate) struct Divided {
    pub(crate) news: Vec<Difference>,
    pub(crate) known: Vec<Difference>,
    pub(crate) gone: Vec<ObjectId>,
}

/// The error of a JSON file that does not hold what it should, with its place.
pub(crate) fn not_of_the_form(path: &Path, text: &str, error: &serde_json::Error, form: &str) -> Error {
    let line = error.line();
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    Error::new(ErrorKind::Usage, format!("this is no file of the form {form}: {words}")).at(Location {
        path: path.to_owned(),
        line,
        column: error.column().max(1),
        text: text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned(),
    })
}

/// The error of a JSON file of another form, perhaps a newer one.
pub(crate) fn other_form(path: &Path, found: &str, wanted: &str) -> Error {
    Error::new(
        ErrorKind::Usage,
        format!(
            "\"{}\" is of the form \"{}\", and this version of pum reads {wanted}",
            path.display(),
            found.escape_debug()
        ),
    )
    .with_hint("a newer version of pum may read it")
}
