//! What is plain to see in the deltas that are due, without running them.

use std::collections::BTreeSet;

use crate::delta::Language;
use crate::error::Result;
use crate::history::next_part;
use crate::script::{Statements, Variables};
use crate::upgrade::Plan;

/// A name stands near the beginning of a statement that changes its object; rows of an INSERT follow far behind.
const CHARACTERS_READ: usize = 2_000;
const WORDS_KEPT: usize = 20_000;

/// What the queries of the pre-flight want to know of the deltas.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Whether one is recorded in the upgrades table.
    pub(super) records: bool,
    /// Whether one is written in Python, of which nothing else is known.
    pub(super) python: bool,
    /// Whether one runs without a transaction.
    pub(super) no_transaction: bool,
    /// Whether one has CREATE INDEX CONCURRENTLY or the like.
    pub(super) concurrently: bool,
    /// What they create of what needs the right to create in the database: `schema`, `extension`, `publication`.
    pub(super) creates: BTreeSet<&'static str>,
    /// The schemas in which they create something, where they name them.
    pub(super) creates_in: BTreeSet<String>,
    /// The relations that they alter or index, where their schema is named too; only an owner may.
    pub(super) alters: BTreeSet<(String, String)>,
    /// The extensions that they create.
    pub(super) extensions: BTreeSet<String>,
    /// The words of their statements in lower case: the name of a relation among them may mean it.
    pub(super) words: BTreeSet<String>,
}

impl Due {
    /// Reads the files of the plan.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn read(plan: &Plan, variables: &Variables) -> Result<Due> {
        let mut due = Due {
            records: plan.steps.iter().any(|step| step.delta().is_some()),
            ..Due::default()
        };
        for step in &plan.steps {
            if step.language() == Language::Python {
                due.python = true;
                continue;
            }
            let mut statements = Statements::of_file(step.path(), variables)?;
            while let Some(statement) = statements.next()? {
                due.concurrently |= statement
                    .outside_transaction()
                    .is_some_and(|command| command.contains("CONCURRENTLY"));
                due.statement(statement.text());
            }
            due.no_transaction |= statements.no_transaction();
        }
        Ok(due)
    }

    /// How many sessions an upgrade holds at a time: the lock's, that of the steps, that which sees who is in the way, and that
    /// of a Python delta.
    pub(super) fn sessions(&self) -> u32 {
        3 + u32::from(self.python)
    }

    fn statement(&mut self, text: &str) {
        if let Some((schema, name)) = altered(text) {
            self.alters.insert((schema, name));
        } else if let Some((schema, _)) = created(text) {
            self.creates_in.insert(schema);
        }
        let mut words = text.split_whitespace().map(str::to_ascii_lowercase);
        if words.next().as_deref() == Some("create") {
            let kind = words.next().unwrap_or_default();
            if let Some(kind) = ["schema", "extension", "publication"]
                .into_iter()
                .find(|known| *known == kind)
            {
                self.creates.insert(kind);
            }
            if kind == "extension" {
                let name = words.find(|word| !matches!(word.as_str(), "if" | "not" | "exists"));
                let name = name.unwrap_or_default();
                let name = name.trim_end_matches(';').trim_matches('"');
                if !name.is_empty() {
                    self.extensions.insert(name.to_owned());
                }
            }
        }
        let read = text
            .char_indices()
            .nth(CHARACTERS_READ)
            .map_or(text, |(end, _)| &text[..end]);
        for word in read.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')) {
            if self.words.len() < WORDS_KEPT && word.chars().next().is_some_and(|first| !first.is_ascii_digit()) {
                self.words.insert(word.to_lowercase());
            }
        }
    }
}

/// What follows words at the beginning of a text.
fn after<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().try_fold(text.trim_start(), |rest, word| {
        let (first, rest) = rest.split_at_checked(word.len())?;
        let ends = rest.starts_with(char::is_whitespace) || rest.starts_with('"');
        (first.eq_ignore_ascii_case(word) && ends).then(|| rest.trim_start())
    })
}

/// The same where they are there; else the text.
fn past<'a>(text: &'a str, words: &[&str]) -> &'a str {
    after(text, words).unwrap_or(text)
}

/// Schema and name at the beginning of a text, where both are there.
fn qualified(text: &str) -> Option<(String, String)> {
    let (schema, rest) = next_part(text).ok()?;
    let (name, _) = next_part(rest.strip_prefix('.')?).ok()?;
    Some((schema, name))
}

/// What a statement creates in a schema that it names.
fn created(text: &str) -> Option<(String, String)> {
    const KINDS: [&str; 8] = [
        "table",
        "view",
        "sequence",
        "function",
        "procedure",
        "type",
        "domain",
        "aggregate",
    ];
    let rest = past(after(text, &["create"])?, &["or", "replace"]);
    let rest = ["unlogged", "foreign", "recursive", "materialized"]
        .iter()
        .fold(rest, |rest, word| past(rest, &[word]));
    let rest = KINDS.iter().find_map(|kind| after(rest, &[kind]))?;
    qualified(past(rest, &["if", "not", "exists"]))
}

/// The relation that a statement alters or puts an index on.
fn altered(text: &str) -> Option<(String, String)> {
    if let Some(rest) = after(text, &["alter"]) {
        let rest = after(past(rest, &["foreign"]), &["table"])
            .or_else(|| after(past(rest, &["materialized"]), &["view"]))
            .or_else(|| after(rest, &["sequence"]))?;
        return qualified(past(past(rest, &["if", "exists"]), &["only"]));
    }
    let rest = after(past(after(text, &["create"])?, &["unique"]), &["index"])?;
    let rest = past(past(rest, &["concurrently"]), &["if", "not", "exists"]);
    let rest = after(rest, &["on"]).or_else(|| after(next_part(rest).ok()?.1, &["on"]))?;
    qualified(past(rest, &["only"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_needs_rights_for_is_seen() {
        for (text, schema) in [
            ("CREATE TABLE Water.pipe ()", "water"),
            ("create or replace  view \"My water\".v as select 1", "My water"),
            ("create unlogged table if not exists a.b (x int)", "a"),
            ("create materialized view a.b as select 1", "a"),
            ("create function a.b() returns int", "a"),
        ] {
            assert_eq!(created(text).unwrap().0, schema, "{text}");
        }
        for text in [
            "create table pipe ()",
            "create temp table a.b ()",
            "create schema a",
            "create",
            "create tablewater.x ()",
            "create table",
        ] {
            assert_eq!(created(text), None, "{text}");
        }
        for text in [
            "alter table a.b add column x int",
            "ALTER  TABLE if exists ONLY a.\"b\" drop column x",
            "alter materialized view a.b rename to c",
            "create unique index concurrently if not exists \"the on\" on only a.b (x)",
            "create index on a.b using gist (x)",
        ] {
            assert_eq!(altered(text), Some(("a".to_owned(), "b".to_owned())), "{text}");
        }
        for text in [
            "alter table b add c int",
            "create table a.b ()",
            "alter role a",
            "create index i",
            "é",
        ] {
            assert_eq!(altered(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_statement_creates_is_seen() {
        let mut due = Due::default();
        for text in [
            "CREATE  EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;",
            "create extension postgis;",
            "create schema a;",
            "create table extension ();",
            "alter table Water.\"Pipe\" add column x int",
        ] {
            due.statement(text);
        }
        assert_eq!(Vec::from_iter(&due.extensions), ["postgis", "uuid-ossp"]);
        assert_eq!(Vec::from_iter(&due.creates), [&"extension", &"schema"]);
        assert!(due.words.contains("pipe") && due.words.contains("water") && !due.words.contains(""));
    }
}
