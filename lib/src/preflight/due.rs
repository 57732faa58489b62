//! What is plain to see in the deltas that are due, without running them.

use std::collections::BTreeSet;

use crate::delta::Language;
use crate::error::Result;
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

#[cfg(test)]
mod tests {
    use super::*;

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
