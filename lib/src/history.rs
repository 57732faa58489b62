//! The upgrades table: what was applied to a database, in the form that pum 0.10 made and reads.

pub(crate) mod record;
mod shape;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::connection::{Connection, Row, quote_identifier};
use crate::delta::{Delta, Version};
use crate::error::{Error, ErrorKind, Result};
use shape::{add_own_columns, columns, fits, has_own_columns};
pub(crate) use shape::{create_table, other_table, own_columns, refuse_unwritable};

/// The name of the upgrades table, such as `water_sys.upgrades`.
///
/// Read as PostgreSQL reads a qualified name: a part without double quotes folds to lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
}

impl TableName {
    /// Both parts in double quotes, to be put into a statement.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let shown = |part: &str| {
            if plain(part) {
                part.to_owned()
            } else {
                quote_identifier(part)
            }
        };
        write!(f, "{}.{}", shown(&self.schema), shown(&self.name))
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<TableName> {
        let wrong = |why: &str| {
            Error::new(
                ErrorKind::Usage,
                format!("the upgrades table \"{text}\" is not a name: {why}"),
            )
            .with_hint(
                "give schema and table, such as water_sys.upgrades; names with other characters in double quotes",
            )
        };
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, after) = next_part(rest).map_err(wrong)?;
            if part.len() > 63 {
                return Err(wrong("a part is longer than 63 bytes, which PostgreSQL would cut"));
            }
            parts.push(part);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return Err(wrong("there is something after it")),
            }
        }
        let [schema, name] = <[String; 2]>::try_from(parts).map_err(|parts| {
            wrong(if parts.len() == 1 {
                "the schema is missing"
            } else {
                "it has more than two parts"
            })
        })?;
        if schema == "information_schema" || schema.starts_with("pg_") {
            return Err(wrong("that schema belongs to the system"));
        }
        Ok(TableName { schema, name })
    }
}

/// One part of a qualified name, as PostgreSQL reads it, and what follows it.
pub(crate) fn next_part(text: &str) -> Result<(String, &str), &'static str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut part = String::new();
        let mut characters = quoted.char_indices().peekable();
        while let Some((index, character)) = characters.next() {
            if character != '"' {
                part.push(character);
            } else if characters.next_if(|(_, next)| *next == '"').is_some() {
                part.push('"');
            } else if part.is_empty() {
                return Err("a part is empty");
            } else if part.contains('\0') {
                return Err("a part holds a NUL character");
            } else {
                return Ok((part, &quoted[index + 1..]));
            }
        }
        return Err("a double quote is not closed");
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(text.len());
    let part = &text[..end];
    match part.chars().next() {
        None if text.is_empty() => Err("a part is empty"),
        None => Err("it holds a character that needs double quotes"),
        Some(first) if first.is_ascii_digit() || first == '$' => Err("a part begins with a digit"),
        // The server folds ASCII only, in UTF-8.
        Some(_) => Ok((part.to_ascii_lowercase(), &text[end..])),
    }
}

/// The codes of the column `type` (pum 0.10).
pub(crate) const BASELINE: i32 = 0;

/// How far a step is, in the column `state` that pum 2 adds. Rows of pum 0.10 have none, and `success` says all.
pub(crate) mod state {
    pub(crate) const STARTED: &str = "started";
    pub(crate) const FAILED: &str = "failed";
    pub(crate) const DONE: &str = "done";
    /// Done, and its run had deltas of lower versions to come, from another directory.
    pub(crate) const MORE: &str = "more";
}

/// One row of the upgrades table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The row's number, in the order of recording.
    pub id: i64,
    /// The version.
    pub version: Version,
    /// The delta's name; `baseline` for a baseline.
    pub name: String,
    /// The code of its kind: 0 baseline, 5 and 9 pre, 4 and 8 delta, 6 and 10 post (Python and SQL).
    pub code: i32,
    /// The path as it was given.
    pub script: String,
    /// MD5 of the file's bytes, in hexadecimal.
    pub checksum: String,
    /// The database user.
    pub installed_by: String,
    /// When, in the server's time, as text; without a time zone in tables of pum 0.10.
    pub installed_on: String,
    /// How long it took, in milliseconds; 1 in rows of pum 0.10.
    pub execution_time_ms: i64,
    /// Whether it is applied.
    pub success: bool,
    /// The run that applied it (pum 2).
    pub run: Option<String>,
    /// SHA-256 of the text with line feeds and without a byte-order mark (pum 2).
    pub digest: Option<String>,
    /// `started`, `failed`, `done`, or `more`: done, and deltas of lower versions were to come in the same run (pum 2).
    pub state: Option<String>,
    /// How many statements of a delta without a transaction are done (pum 2).
    pub statements_done: usize,
    /// The rehearsal that stood behind it (pum 2); see [`crate::Contract::id`].
    pub rehearsal: Option<String>,
}

/// What the upgrades table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    table: TableName,
    entries: Vec<Entry>,
    /// Where in `entries` the rows of a delta are, by version and code and then by name: with thousands of deltas and as
    /// many rows, nobody looks for each among all.
    rows: BTreeMap<(Version, i32), BTreeMap<String, Vec<usize>>>,
    extended: bool,
}

impl History {
    /// Reads the upgrades table; `None` when there is none.
    ///
    /// # Errors
    /// The name belongs to something that cannot serve (a view, an unlogged table, a table without the columns of
    /// pum 0.10), or the user may not read it.
    pub fn read(connection: &mut Connection, table: &TableName) -> Result<Option<History>> {
        let Some(columns) = columns(connection, table)? else {
            return Ok(None);
        };
        fits(table, &columns)?;
        let own = |name: &str| {
            if columns.iter().any(|column| column.name == name) {
                format!("{name}::text")
            } else {
                "null".to_owned()
            }
        };
        let rows = connection
            .query(
                &format!(
                    "select id::text, version::text, description::text, type::text, coalesce(script, '')::text, \
                 coalesce(checksum, '')::text, coalesce(installed_by, '')::text, coalesce(installed_on::text, ''), \
                 coalesce(execution_time, 0)::text, coalesce(success, false)::text, {}, {}, {}, {}, {} \
                 from {} u order by u.id",
                    own("run_id"),
                    own("digest"),
                    own("state"),
                    own("statements_done"),
                    own("rehearsal"),
                    table.quoted()
                ),
                &[],
            )
            .map_err(|error| match error.sqlstate() {
                // Row security would hide rows from this user, and pum asks not to be answered then.
                Some("42501") => error
                    .within(format_args!("the upgrades table {table} cannot be read whole"))
                    .with_hint("run pum as the owner of the table, or take its row security away"),
                _ => error,
            })?;
        let mut entries: Vec<Entry> = Vec::new();
        for row in rows.iter() {
            let entry = entry(&row, table)?;
            // A table without its primary key: which of the two a later statement means is not known.
            if entries.last().is_some_and(|before| before.id == entry.id) {
                return Err(wrong_row(table, &row, format_args!("is not the only one with that id")));
            }
            entries.push(entry);
        }
        Ok(Some(History {
            extended: has_own_columns(&columns),
            ..History::from_entries(table.clone(), entries)
        }))
    }

    /// A history from entries, for planning without a database.
    pub fn from_entries(table: TableName, entries: Vec<Entry>) -> History {
        let mut rows: BTreeMap<_, BTreeMap<_, Vec<usize>>> = BTreeMap::new();
        for (row, entry) in entries.iter().enumerate() {
            let named = rows.entry((entry.version, entry.code)).or_default();
            named.entry(entry.name.clone()).or_default().push(row);
        }
        History {
            table,
            entries,
            rows,
            extended: true,
        }
    }

    /// The history of a database that has none yet and is to be baselined at a version.
    pub(crate) fn baselined(table: TableName, version: Version) -> History {
        let entry = Entry {
            id: 1,
            version,
            name: "baseline".to_owned(),
            code: BASELINE,
            script: String::new(),
            checksum: String::new(),
            installed_by: String::new(),
            installed_on: String::new(),
            execution_time_ms: 0,
            success: true,
            run: None,
            digest: None,
            state: None,
            statements_done: 0,
            rehearsal: None,
        };
        History::from_entries(table, vec![entry])
    }

    /// Whether nothing is recorded but that baseline.
    pub(crate) fn is_baseline_alone(&self, version: Version) -> bool {
        matches!(&self.entries[..], [entry] if entry.code == BASELINE && entry.version == version)
    }

    /// The table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// All rows in the order of recording.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The highest version that was applied or baselined, in numeric order; `None` for an empty table.
    pub fn current_version(&self) -> Option<Version> {
        self.entries
            .iter()
            .filter(|entry| entry.success)
            .map(|entry| entry.version)
            .max()
    }

    /// The version below which nothing is due: the current one, unless the last run ended with deltas of lower versions to
    /// come. Then it is the one that was current before that run.
    pub(crate) fn floor(&self) -> Option<Version> {
        let ended = |entry: &&Entry| entry.success && entry.state.as_deref() != Some(state::MORE);
        self.entries.iter().filter(ended).map(|entry| entry.version).max()
    }

    /// The row that says that a delta is applied.
    pub fn applied(&self, delta: &Delta) -> Option<&Entry> {
        self.rows_of(delta).find(|entry| entry.success)
    }

    /// The row of a delta that was begun and not finished.
    pub fn unfinished(&self, delta: &Delta) -> Option<&Entry> {
        self.rows_of(delta)
            .find(|entry| !entry.success && entry.state.is_some())
    }

    /// What is recorded of a delta, the last row first.
    fn rows_of(&self, delta: &Delta) -> impl Iterator<Item = &Entry> {
        let named = self.rows.get(&(delta.version, delta.code()));
        let rows = named.and_then(|named| named.get(&delta.name));
        rows.into_iter()
            .flatten()
            .rev()
            .filter_map(|row| self.entries.get(*row))
    }

    /// Adds the columns of pum 2 when they are missing. They are null by default, so nothing is rewritten.
    pub(crate) fn extend(&mut self, connection: &mut Connection) -> Result<()> {
        if !self.extended {
            add_own_columns(connection, &self.table)?;
            self.extended = true;
        }
        Ok(())
    }
}

/// What stands in a row. Null counts as nothing where pum 0.10 allowed no null.
///
/// # Errors
/// A number is none, or larger than what it counts can be.
fn entry(row: &Row<'_>, table: &TableName) -> Result<Entry> {
    let version = row.text(1).parse().map_err(|_| {
        wrong_row(
            table,
            row,
            format_args!("has the version \"{}\", which is not of the form X.Y.Z", row.text(1)),
        )
    })?;
    Ok(Entry {
        id: number(row, 0, "id", table)?
            .ok_or_else(|| wrong_row(table, row, format_args!("has no id by which it could be named")))?,
        version,
        name: row.text(2).to_owned(),
        code: number(row, 3, "type", table)?.unwrap_or(-1),
        script: row.text(4).to_owned(),
        checksum: row.text(5).to_owned(),
        installed_by: row.text(6).to_owned(),
        installed_on: row.text(7).to_owned(),
        execution_time_ms: number(row, 8, "execution_time", table)?.unwrap_or(0),
        success: row.text(9) == "true",
        run: row.value(10).map(str::to_owned),
        digest: row.value(11).map(str::to_owned),
        state: row.value(12).map(str::to_owned),
        statements_done: number(row, 13, "statements_done", table)?.unwrap_or(0),
        rehearsal: row.value(14).map(str::to_owned),
    })
}

fn number<N: FromStr>(row: &Row<'_>, column: usize, name: &str, table: &TableName) -> Result<Option<N>> {
    let text = row.value(column);
    let wrong = |text| wrong_row(table, row, format_args!("has {text} in its column {name}"));
    text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn wrong_row(table: &TableName, row: &Row<'_>, what: fmt::Arguments<'_>) -> Error {
    let id = row.value(0).unwrap_or("null");
    Error::new(ErrorKind::Refused, format!("the row with id {id} of {table} {what}"))
        .with_hint("correct or delete that row")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_is_read_as_postgresql_reads_it() {
        let parsed = |text: &str| text.parse::<TableName>().map(|table| (table.schema, table.name));
        let pair = |schema: &str, name: &str| (schema.to_owned(), name.to_owned());
        assert_eq!(parsed("qwat_sys.info").unwrap(), pair("qwat_sys", "info"));
        assert_eq!(parsed("Public.Upgrades").unwrap(), pair("public", "upgrades"));
        assert_eq!(
            parsed("\"My Schema\".\"a\"\"b.c\"").unwrap(),
            pair("My Schema", "a\"b.c")
        );
        for wrong in [
            "",
            "info",
            "a.b.c",
            "a.",
            ".b",
            "a.\"b",
            "a.b;drop table t--",
            "pg_catalog.x",
            "1a.b",
            "a b.c",
        ] {
            let error = parsed(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{wrong}");
        }
        assert!(parsed(&format!("a.{}", "é".repeat(40))).is_err());
        assert_eq!("a.\"B\"".parse::<TableName>().unwrap().to_string(), "a.\"B\"");
    }
}
