//! Expected differences: a file of known differences with reasons, so that a comparison fails on news only.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::{Filter, Kind, ObjectId, Objects};
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
    /// Where in the list those with a hash of object and change are.
    places: HashMap<u64, Vec<usize>>,
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

    fn hash(&self) -> u64 {
        let names = [&*self.kind, &self.schema, &self.relation, &self.name];
        hash(names, self.change)
    }

    /// The object; none of a kind that there is not.
    fn object(&self) -> Option<ObjectId> {
        Some(ObjectId {
            kind: self.kind.parse().ok()?,
            schema: self.schema.clone(),
            relation: self.relation.clone(),
            name: self.name.clone(),
        })
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

fn hash(names: [&str; 4], change: Change) -> u64 {
    let mut hasher = DefaultHasher::new();
    (names, change).hash(&mut hasher);
    hasher.finish()
}

impl Expectations {
    fn new(path: Option<PathBuf>, expected: Vec<Expected>) -> Expectations {
        let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, expected) in expected.iter().enumerate() {
            places.entry(expected.hash()).or_default().push(place);
        }
        Expectations { path, expected, places }
    }

    /// Which one knows a difference.
    fn place(&self, difference: &Difference) -> Option<usize> {
        let object = &difference.object;
        let names = [object.kind.name(), &object.schema, &object.relation, &object.name];
        let places = self.places.get(&hash(names, difference.change))?;
        let is = |place: &usize| {
            self.expected
                .get(*place)
                .is_some_and(|expected| expected.is(difference))
        };
        places.iter().copied().find(is)
    }

    /// What a comparison found, to be written into a file. The reasons of those that were known are kept.
    pub fn of(differences: &[Difference], known: &Expectations) -> Expectations {
        let expected = differences.iter().map(|difference| {
            let before = known.place(difference).and_then(|place| known.expected.get(place));
            before.cloned().unwrap_or_else(|| Expected::of(difference))
        });
        Expectations::new(known.path.clone(), expected.collect())
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
        Ok(Expectations::new(Some(path.to_owned()), document.differences))
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
        self.place(difference).is_some()
    }

    /// The names of what is known of a kind in a table.
    pub(crate) fn names(&self, kind: Kind, schema: &str, relation: &str) -> HashSet<&str> {
        let expected = self.expected.iter();
        let of_table = expected.filter(|expected| {
            (&*expected.kind, &*expected.schema, &*expected.relation) == (kind.name(), schema, relation)
        });
        of_table.map(|expected| &*expected.name).collect()
    }

    /// Divides differences into news and known ones, and names what was expected and does not differ any more: not what
    /// differs otherwise, and not what was not compared.
    pub(crate) fn divide(
        &self,
        differences: Vec<Difference>,
        apart: &[Difference],
        compared: impl Fn(Kind) -> bool,
        filter: &Filter,
    ) -> Divided {
        let mut divided = Divided::default();
        if self.is_empty() {
            divided.news = differences;
            return divided;
        }
        let mut occurred = BTreeSet::new();
        for difference in differences {
            match self.place(&difference) {
                Some(place) => {
                    occurred.insert(place);
                    let reason = self.expected.get(place).map(|expected| expected.reason.clone());
                    divided.reasons.push(reason.unwrap_or_default());
                    divided.known.push(difference);
                }
                None => divided.news.push(difference),
            }
        }
        let others = divided.news.iter().chain(apart).map(|difference| &difference.object);
        let others: BTreeSet<&ObjectId> = others.collect();
        let gone = self.expected.iter().enumerate();
        let gone = gone.filter(|(place, _)| !occurred.contains(place));
        let gone = gone.filter_map(|(_, expected)| expected.object());
        let gone: Vec<ObjectId> = gone
            .filter(|object| !others.contains(object) && was_compared(object, &compared, filter))
            .collect();
        divided.gone = gone;
        divided
    }
}

/// Whether an object was compared, if it is there.
fn was_compared(object: &ObjectId, compared: impl Fn(Kind) -> bool, filter: &Filter) -> bool {
    let (schema, relation) = (&*object.schema, &*object.relation);
    if object.kind == Kind::DATA {
        return filter.compares_rows()
            && !filter.leaves_out_table(schema, relation)
            && filter.data.iter().any(|pattern| pattern.matches(schema, relation));
    }
    let mut alone = Objects::new(Vec::new());
    if alone.push([schema, relation, &*object.name].into_iter()).is_err() {
        return true;
    }
    alone.sort();
    compared(object.kind) && !alone.iter().any(|alone| filter.leaves_out(object.kind, &alone))
}

/// What became of differences that were held against what was expected.
#[derive(Default)]
pub(crate) struct Divided {
    pub(crate) news: Vec<Difference>,
    pub(crate) known: Vec<Difference>,
    /// Why each of the known ones is right.
    pub(crate) reasons: Vec<String>,
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

/// The error of a JSON file of another form: one of ours in the wrong place, or perhaps a newer one.
pub(crate) fn other_form(path: &Path, found: &str, wanted: &str) -> Error {
    let (what, hint) = match found {
        "pum/check/1" => (
            "a report of check",
            "give the file that check --write-expected or snapshot wrote",
        ),
        "pum/snapshot/1" => (
            "a snapshot",
            "it stands in the place of a database, as in check -p2 FILE.json",
        ),
        FORM => ("a file of known differences", "it is given with --expect"),
        _ => ("", "a newer version of pum may read it"),
    };
    let path = path.display();
    let message = if what.is_empty() {
        let found = found.escape_debug();
        format!("\"{path}\" is of the form \"{found}\", and this version of pum reads {wanted}")
    } else {
        format!("\"{path}\" is {what}, and a file of the form {wanted} is needed")
    };
    Error::new(ErrorKind::Usage, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ours_in_the_wrong_place_is_called_what_it_is() {
        for (found, what) in [
            ("pum/check/1", "a report of check"),
            ("pum/snapshot/1", "a snapshot"),
            (FORM, "known differences"),
            ("pum/snapshot/2", "this version of pum reads"),
        ] {
            let error = other_form(Path::new("f"), found, "x");
            assert!(error.message().contains(what), "{error}");
            assert_eq!(error.hint().unwrap().contains("newer"), found.ends_with('2'));
        }
    }
}
