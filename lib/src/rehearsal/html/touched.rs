//! By which step an object was last touched, as far as that was seen: locked as a change of the structure locks, written
//! anew, or named first by a statement that creates, alters or drops.

use std::collections::HashMap;

use crate::rehearsal::evidence::{Evidence, Place, first_word};
use crate::report::html::differences::Touched;

/// What locks a relation, and changes nothing of its structure.
const UNCHANGING: [&str; 7] = ["analyze", "cluster", "lock", "refresh", "reindex", "truncate", "vacuum"];
/// What names first what it changes.
const NAMING: [&str; 4] = ["alter", "comment", "create", "drop"];

/// By schema and name, without quotes.
pub(super) struct LastTouched<'a> {
    evidence: &'a Evidence,
    places: HashMap<(String, String), Place>,
}

impl<'a> LastTouched<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> LastTouched<'a> {
        let mut touched = LastTouched {
            evidence,
            places: HashMap::new(),
        };
        for lock in &evidence.locks {
            touched.see(lock.table.as_ref().unwrap_or(&lock.relation), &lock.taken_by);
        }
        for rewrite in &evidence.rewrites {
            touched.see(rewrite.table.as_ref().unwrap_or(&rewrite.relation), &rewrite.by);
        }
        for (number, step) in evidence.steps.iter().enumerate() {
            for statement in &step.statements {
                let place = Place {
                    step: number,
                    statement: Some(statement.number),
                    line: Some(statement.line),
                };
                if NAMING.contains(&&*first_word(&statement.text)) {
                    touched.see(&statement.text, &place);
                }
            }
        }
        touched
    }

    /// Takes in that the first object that a text names was touched.
    fn see(&mut self, text: &str, place: &Place) {
        let Some(name) = qualified(text) else { return };
        let statement = self.evidence.statement(place);
        if statement.is_some_and(|statement| UNCHANGING.contains(&&*first_word(&statement.text))) {
            return;
        }
        let order = |place: &Place| (place.step, place.statement);
        let known = self.places.entry(name).or_insert_with(|| place.clone());
        if order(known) < order(place) {
            *known = place.clone();
        }
    }

    /// None where it was not seen. A routine is known by its name without its arguments.
    pub(super) fn by(&self, schema: &str, name: &str) -> Option<Touched> {
        let name = name.split_once('(').map_or(name, |(name, _)| name);
        let name = name.strip_prefix("procedure ").unwrap_or(name);
        let place = self.places.get(&(schema.to_owned(), name.to_owned()))?;
        Some(Touched {
            step: place.step + 1,
            words: self.evidence.told(place),
        })
    }
}

/// The first `schema.name` of a text, as PostgreSQL reads it.
fn qualified(text: &str) -> Option<(String, String)> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| !begins_identifier(c));
        let (schema, after) = identifier(rest)?;
        if let Some(name) = after.trim_start().strip_prefix('.') {
            let (name, _) = identifier(name.trim_start())?;
            return Some((schema, name));
        }
        rest = after;
    }
}

fn begins_identifier(c: char) -> bool {
    c == '"' || c == '_' || c.is_alphabetic()
}

/// The identifier that a text begins with, and what follows.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !(begins_identifier(c) && c != '"' || c.is_numeric() || c == '$'));
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        return Some((word.to_lowercase(), rest)).filter(|_| text.starts_with(begins_identifier));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::qualified;

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        for (text, found) in [
            ("water.pipe", Some(("water", "pipe"))),
            ("ALTER TABLE IF EXISTS Water.Pipe ADD a int", Some(("water", "pipe"))),
            ("create index on \"A \"\"b\".\"x.y\" (z.q)", Some(("A \"b", "x.y"))),
            ("alter table \"plain\" add \"no end", None),
            ("create schema s", None),
            ("create view s.v as select 1.5 from t", Some(("s", "v"))),
        ] {
            let found = found.map(|(schema, name)| (schema.to_owned(), name.to_owned()));
            assert_eq!(qualified(text), found, "{text}");
        }
    }
}
