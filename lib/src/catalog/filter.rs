//! What is left out of a catalog and of a comparison.

use std::fmt;
use std::str::FromStr;

use super::objects::{OWNER_TABLE, Object};
use super::{KINDS, Kind};
use crate::class::Class;
use crate::error::{Error, ErrorKind, Result};
use crate::expectation::Expectations;

/// What is left out of a catalog, and which classes of differences count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Kinds that are not read.
    pub ignore: Vec<Kind>,
    /// Classes that count besides those that count by default.
    pub include_classes: Vec<Class>,
    /// Classes that are neither counted nor told; they win over `include_classes`.
    pub ignore_classes: Vec<Class>,
    /// Schemas whose objects are left out.
    pub exclude_schemas: Vec<String>,
    /// Objects that are left out by name, with all that belongs to them. Columns, constraints, indexes and the like go
    /// with their table and not by their own names.
    pub exclude: Vec<Pattern>,
    /// Tables whose rows are compared too.
    pub data: Vec<Pattern>,
    /// Differences that are known and do not count.
    pub expected: Expectations,
    /// Columns of tables whose name is like one of these patterns are left out (`%`, `_` and `\`, as SQL's `LIKE`).
    pub exclude_fields: Vec<String>,
    /// Schema and name of the table of upgrades, which is left out with all that belongs to it; the schema's contents
    /// are compared, the schema itself is not.
    pub upgrades_table: Option<(String, String)>,
}

impl Filter {
    /// Takes words as `--ignore` has them: kinds and classes.
    ///
    /// # Errors
    /// A word that is neither.
    pub fn ignore_words<S: AsRef<str>>(&mut self, words: &[S]) -> Result<()> {
        for word in words.iter().map(AsRef::as_ref) {
            match (word.parse::<Kind>(), word.parse::<Class>()) {
                (Err(_), Err(_)) => {
                    let kinds = KINDS.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
                    let classes = Class::ALL.map(Class::name).join(", ");
                    return Err(Error::new(
                        ErrorKind::Usage,
                        format!(
                            "\"{}\" is neither a kind of objects nor a class of differences",
                            word.escape_debug()
                        ),
                    )
                    .with_hint(format!("the kinds are {kinds}; the classes are {classes}")));
                }
                (kind, class) => {
                    self.ignore.extend(kind);
                    self.ignore_classes.extend(class);
                }
            }
        }
        Ok(())
    }

    /// Takes words as `--include` has them: classes, and `all` for every one.
    ///
    /// # Errors
    /// A word that is no class.
    pub fn include_words<S: AsRef<str>>(&mut self, words: &[S]) -> Result<()> {
        for word in words.iter().map(AsRef::as_ref) {
            if word == "all" {
                self.include_classes.extend(Class::ALL);
            } else {
                self.include_classes.push(word.parse()?);
            }
        }
        Ok(())
    }

    /// Whether differences of a class count.
    pub fn counts(&self, class: Class) -> bool {
        !self.ignore_classes.contains(&class) && (class.on_by_default() || self.include_classes.contains(&class))
    }

    /// # Errors
    /// A pattern that ends with its escape character, which `LIKE` refuses too; rows without columns.
    pub(crate) fn validate(&self) -> Result<()> {
        // Rows are compared in the columns that both sides have; that there are others would go unsaid.
        if self.compares_rows() && self.ignore.iter().any(|kind| kind.name() == "columns") {
            return Err(Error::new(
                ErrorKind::Usage,
                "rows are compared by their columns, and columns are to be ignored",
            )
            .with_hint("leave out single columns with -P, or compare without rows (--ignore data)"));
        }
        for pattern in &self.exclude_fields {
            let backslashes = pattern.chars().rev().take_while(|character| *character == '\\').count();
            if backslashes % 2 == 1 {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "the pattern \"{}\" ends with an escape character",
                        pattern.escape_debug()
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn leaves_out(&self, kind: Kind, object: &Object<'_>) -> bool {
        let [schema, relation, name] = object.identity();
        if self.excludes_schema(if kind.name() == "schemas" { name } else { schema }) {
            return true;
        }
        let owner_table = object.attribute(OWNER_TABLE);
        if let Some((upgrades_schema, table)) = &self.upgrades_table {
            let owner = object.relation_or_name();
            if schema == upgrades_schema && (owner == table || owner_table == Some(table)) {
                return true;
            }
            // pum makes the schema too, when it is missing.
            if kind.name() == "schemas" && name == upgrades_schema {
                return true;
            }
        }
        // What belongs to a table goes with the table, whatever its own name.
        let own = Some(bare(name)).filter(|_| relation.is_empty());
        let names = [Some(relation).filter(|name| !name.is_empty()), owner_table, own];
        let matches = |pattern: &Pattern| names.into_iter().flatten().any(|name| pattern.matches(schema, name));
        self.exclude.iter().any(matches) || kind.name() == "columns" && self.leaves_out_column(name)
    }

    /// Whether a table is left out, with all that belongs to it.
    pub(crate) fn leaves_out_table(&self, schema: &str, table: &str) -> bool {
        let upgrades = self.upgrades_table.as_ref();
        self.excludes_schema(schema)
            || upgrades.is_some_and(|(upgrades, name)| upgrades == schema && name == table)
            || self.exclude.iter().any(|pattern| pattern.matches(schema, table))
    }

    /// Whether a column is left out by its name.
    pub(crate) fn leaves_out_column(&self, name: &str) -> bool {
        self.exclude_fields.iter().any(|pattern| like(name, pattern))
    }

    /// Whether rows are compared.
    pub(crate) fn compares_rows(&self) -> bool {
        !self.data.is_empty() && !self.ignore.contains(&Kind::DATA)
    }

    pub(crate) fn excludes_schema(&self, schema: &str) -> bool {
        self.exclude_schemas.iter().any(|excluded| excluded == schema)
    }
}

/// The name of a routine without its argument types and without the word before it; other names as they are.
fn bare(name: &str) -> &str {
    let Some((name, _)) = name.split_once('(').filter(|(name, _)| !name.is_empty()) else {
        return name;
    };
    let name = ["procedure ", "aggregate ", "window "]
        .iter()
        .find_map(|word| name.strip_prefix(word))
        .unwrap_or(name);
    name.strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name)
}

/// A pattern for qualified names as psql and `pg_dump -t` take it (PostgreSQL documentation, psql, "Patterns"): `*` is
/// any text, `?` one character, letters fold to lower case, double quotes keep what they hold as it is. Without a dot it
/// matches the name in every schema.
///
/// ```
/// let local: pum::Pattern = "usr_*".parse()?;
/// assert!(local.matches("water", "usr_pipe") && !local.matches("water", "pipe"));
/// let imported: pum::Pattern = "import.\"T?\"".parse()?;
/// assert!(imported.matches("import", "T?") && !imported.matches("import", "Tx"));
/// # Ok::<(), pum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    schema: Option<Vec<Piece>>,
    name: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    One(char),
    AnyOne,
    Any,
}

impl Pattern {
    /// Whether a name in a schema matches.
    pub fn matches(&self, schema: &str, name: &str) -> bool {
        self.schema.as_ref().is_none_or(|pattern| pieces_match(pattern, schema)) && pieces_match(&self.name, name)
    }

    /// A pattern in which only `*` and `?` stand for something else than themselves.
    pub(crate) fn of_wildcards(text: &str) -> Pattern {
        let piece = |character| match character {
            '*' => Piece::Any,
            '?' => Piece::AnyOne,
            other => Piece::One(other),
        };
        Pattern {
            text: text.to_owned(),
            schema: None,
            name: text.chars().map(piece).collect(),
        }
    }

    /// Whether it names a schema too.
    pub(crate) fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    /// Whether it names one thing, and no others that are like it.
    pub(crate) fn is_a_name(&self) -> bool {
        self.name.iter().all(|piece| matches!(piece, Piece::One(_)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Pattern> {
        let wrong = |why: &str| {
            Error::new(
                ErrorKind::Usage,
                format!("the pattern \"{}\" {why}", text.escape_debug()),
            )
            .with_hint("a pattern is a name or schema.name, with * for any text and ? for one character, as in psql")
        };
        let mut parts = vec![Vec::new()];
        let mut quoted = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let piece = match character {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    Piece::One('"')
                }
                '"' => {
                    quoted = !quoted;
                    continue;
                }
                '.' if !quoted => {
                    parts.push(Vec::new());
                    continue;
                }
                '*' if !quoted => Piece::Any,
                '?' if !quoted => Piece::AnyOne,
                _ if quoted => Piece::One(character),
                _ => {
                    let pieces = character.to_lowercase().map(Piece::One);
                    if let Some(part) = parts.last_mut() {
                        part.extend(pieces);
                    }
                    continue;
                }
            };
            if let Some(part) = parts.last_mut() {
                part.push(piece);
            }
        }
        if quoted {
            return Err(wrong("has a double quote that is not closed"));
        }
        if parts.iter().any(Vec::is_empty) {
            return Err(wrong("has an empty part"));
        }
        match <[Vec<Piece>; 2]>::try_from(parts) {
            Ok([schema, name]) => Ok(Pattern {
                text: text.to_owned(),
                schema: Some(schema),
                name,
            }),
            Err(mut parts) if parts.len() == 1 => Ok(Pattern {
                text: text.to_owned(),
                schema: None,
                name: parts.remove(0),
            }),
            Err(_) => Err(wrong("has too many parts")),
        }
    }
}

/// SQL's `LIKE` (PostgreSQL documentation, "Pattern Matching").
fn like(text: &str, pattern: &str) -> bool {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        pieces.push(match character {
            '%' => Piece::Any,
            '_' => Piece::AnyOne,
            '\\' => characters.next().map_or(Piece::AnyOne, Piece::One),
            other => Piece::One(other),
        });
    }
    pieces_match(&pieces, text)
}

fn pieces_match(pieces: &[Piece], text: &str) -> bool {
    // reached[n]: the first n pieces can be found in the text so far.
    let mut reached = vec![false; pieces.len() + 1];
    reached[0] = true;
    let skip = |reached: &mut [bool]| {
        for (number, piece) in pieces.iter().enumerate() {
            if *piece == Piece::Any && reached[number] {
                reached[number + 1] = true;
            }
        }
    };
    skip(&mut reached);
    for character in text.chars() {
        for number in (0..pieces.len()).rev() {
            reached[number + 1] = match pieces[number] {
                Piece::One(wanted) => reached[number] && wanted == character,
                Piece::AnyOne => reached[number],
                Piece::Any => reached[number] || reached[number + 1],
            };
        }
        reached[0] = false;
        skip(&mut reached);
    }
    reached[pieces.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_follows_sql() {
        for (text, pattern, expected) in [
            ("fk_meter", "fk%", true),
            ("FK_meter", "fk%", false),
            ("fk", "fk_", false),
            ("a_b", r"a\_b", true),
            ("axb", r"a\_b", false),
            ("a%b", r"a\%b", true),
            ("abcabc", "%abc", true),
            ("abcab", "%abc", false),
            ("", "%", true),
            ("", "", true),
            ("x", "", false),
            ("usr_é", "usr__", true),
            ("aXbXc", "a%b%c", true),
            ("mississippi", "%iss%ip_i", true),
            ("ab", "a%%b", true),
            ("ab", "%a%b%", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn a_pattern_may_not_end_with_its_escape() {
        let filter = |pattern: &str| Filter {
            exclude_fields: vec![pattern.to_owned()],
            ..Filter::default()
        };
        assert!(filter(r"a\").validate().is_err());
        assert!(filter(r"a\\").validate().is_ok());
    }

    #[test]
    fn patterns_follow_psql() {
        for (pattern, schema, name, expected) in [
            ("usr_*", "any", "usr_x", true),
            ("usr_*", "usr_s", "x", false),
            ("USR_?", "s", "usr_x", true),
            ("USR_?", "s", "usr_xy", false),
            ("s*.t*", "sch", "tab", true),
            ("s*.t*", "other", "tab", false),
            ("\"A b\".*", "A b", "x", true),
            ("\"a*\"", "s", "ab", false),
            ("\"a\"\"b\"", "s", "a\"b", true),
            ("a.b", "a", "b", true),
        ] {
            let pattern_value: Pattern = pattern.parse().unwrap();
            assert_eq!(
                pattern_value.matches(schema, name),
                expected,
                "{pattern} on {schema}.{name}"
            );
        }
        for pattern in ["", "a.", ".a", "a.b.c", "\"a"] {
            let error = pattern.parse::<Pattern>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{pattern}");
        }
    }

    #[test]
    fn routines_are_known_by_their_bare_names() {
        for (name, expected) in [
            ("f(integer)", "f"),
            ("procedure p(text)", "p"),
            ("aggregate \"A b\"(*)", "A b"),
            ("plain", "plain"),
        ] {
            assert_eq!(bare(name), expected);
        }
    }
}
