//! The catalog of a database as values: objects of every kind with their attributes as text.
//!
//! What a kind is stands in `catalog/<kind>.sql`, a query that runs in psql as it is. The columns `schema`, `relation`
//! and `name` (those that exist) are the identity of an object, every other column is an attribute to compare; null
//! and the empty text both mean none. A kind is added by its query and a word in the list below.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::connection::{Connection, Rows, ServerVersion, TransactionStatus};
use crate::error::{Error, ErrorKind, Result};

/// A kind of objects, such as `tables`. The order of [`KINDS`] is the order of every list of kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(usize);

/// Every kind that is compared, the nine elements of pum 0.10.
pub const KINDS: &[Kind] = &kinds();

struct Entry {
    name: &'static str,
    query: &'static str,
    /// Attributes whose text PostgreSQL spells otherwise once it has parsed it again, with the statements that do so.
    spelled: &'static [(&'static str, &'static str)],
}

/// Attributes in which databases differ that behave the same.
pub(crate) enum Habit {
    /// The order of the columns in this attribute, a `SELECT`.
    ColumnOrder {
        /// The attribute.
        definition: &'static str,
    },
    /// These attributes, as long as the one named `serves`, which is not compared itself, is the same on both sides.
    Serial {
        /// The attribute that is the same.
        serves: &'static str,
        /// The attributes that may differ.
        attributes: &'static [&'static str],
    },
}

/// What kinds have habits.
const HABITS: &[(&str, Habit)] = &[
    (
        "views",
        Habit::ColumnOrder {
            definition: "definition",
        },
    ),
    (
        "sequences",
        Habit::Serial {
            serves: "serves",
            attributes: &["type", "maximum", "owner_table", "owner_column", "ownership"],
        },
    ),
];

// In braces: attributes with a file `catalog/spelling/<kind>.<attribute>.sql`.
macro_rules! kinds {
    ($($kind:ident { $($attribute:ident),* })*) => {
        const ENTRIES: &[Entry] = &[$(Entry {
            name: stringify!($kind),
            query: include_str!(concat!("catalog/", stringify!($kind), ".sql")),
            spelled: &[$((
                stringify!($attribute),
                include_str!(concat!("catalog/spelling/", stringify!($kind), ".", stringify!($attribute), ".sql")),
            )),*],
        }),*];
    };
}

kinds! {
    tables {}
    columns { default, expression }
    constraints { expression, predicate }
    views { definition }
    sequences {}
    indexes { expressions, predicate }
    triggers { condition }
    functions { arguments, sql_body }
    rules { definition }
}

const NOT_COMPARED: &str = include_str!("catalog/not_compared.sql");

const fn kinds() -> [Kind; ENTRIES.len()] {
    let mut kinds = [Kind(0); ENTRIES.len()];
    let mut number = 0;
    while number < kinds.len() {
        kinds[number] = Kind(number);
        number += 1;
    }
    kinds
}

impl Kind {
    /// The name, as `--ignore` and the reports have it.
    pub fn name(self) -> &'static str {
        ENTRIES[self.0].name
    }

    /// The name of one object of this kind, such as `table`.
    pub fn singular(self) -> &'static str {
        let name = self.name();
        name.strip_suffix("es")
            .filter(|stem| stem.ends_with('x'))
            .or_else(|| name.strip_suffix('s'))
            .unwrap_or(name)
    }

    /// The query that reads the objects of this kind.
    pub fn query(self) -> &'static str {
        ENTRIES[self.0].query
    }

    /// In what objects of this kind differ that behave the same.
    pub(crate) fn habit(self) -> Option<&'static Habit> {
        HABITS
            .iter()
            .find(|(name, _)| *name == self.name())
            .map(|(_, habit)| habit)
    }

    /// Whether an attribute is compared, or is only there to judge the others by.
    pub(crate) fn compares(self, attribute: &str) -> bool {
        !matches!(self.habit(), Some(Habit::Serial { serves, .. }) if *serves == attribute)
    }

    /// The statements that parse an attribute's text again, when that can change it.
    pub(crate) fn spelling(self, attribute: &str) -> Option<&'static str> {
        let (_, statements) = ENTRIES[self.0].spelled.iter().find(|(name, _)| *name == attribute)?;
        Some(statements)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Kind> {
        KINDS.iter().find(|kind| kind.name() == name).copied().ok_or_else(|| {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name()).collect();
            Error::new(
                ErrorKind::Usage,
                format!("\"{}\" is no kind of objects", name.escape_debug()),
            )
            .with_hint(format!("the kinds are {}", known.join(", ")))
        })
    }
}

/// What an object is known by in every database. Parts that a kind does not have are empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The kind.
    pub kind: Kind,
    /// The schema.
    pub schema: String,
    /// The table or view that the object belongs to, as a column does.
    pub relation: String,
    /// The name; for a routine with its argument types, and before it what it is unless it is a plain function.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.singular())?;
        for part in [&self.schema, &self.relation] {
            if !part.is_empty() {
                write!(f, "{part}.")?;
            }
        }
        f.write_str(&self.name)
    }
}

/// What is left out of a catalog.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Kinds that are not read.
    pub ignore: Vec<Kind>,
    /// Schemas whose objects are left out.
    pub exclude_schemas: Vec<String>,
    /// Columns of tables whose name is like one of these patterns are left out (`%`, `_` and `\`, as SQL's `LIKE`).
    pub exclude_fields: Vec<String>,
    /// Schema and name of the table of upgrades, which is left out with all that belongs to it.
    pub upgrades_table: Option<(String, String)>,
}

impl Filter {
    /// # Errors
    /// A pattern that ends with its escape character, which `LIKE` refuses too.
    pub(crate) fn validate(&self) -> Result<()> {
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

    fn leaves_out(&self, kind: Kind, object: &Object<'_>) -> bool {
        if self.excludes_schema(object.schema()) {
            return true;
        }
        if let Some((schema, table)) = &self.upgrades_table {
            let owner = object.relation_or_name();
            if object.schema() == schema && (owner == table || object.attribute(OWNER) == Some(table)) {
                return true;
            }
        }
        kind.name() == "columns" && self.exclude_fields.iter().any(|pattern| like(object.name(), pattern))
    }

    fn excludes_schema(&self, schema: &str) -> bool {
        self.exclude_schemas.iter().any(|excluded| excluded == schema)
    }
}

/// The attribute that ties an object to a table of its schema without being part of its name.
pub(crate) const OWNER: &str = "owner_table";

/// SQL's `LIKE` (PostgreSQL documentation, "Pattern Matching").
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut wanted: Vec<Option<char>> = Vec::new(); // None: any one character
    let mut open: Vec<bool> = vec![false]; // whether any characters may stand before the wanted one
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => {
                if let Some(last) = open.last_mut() {
                    *last = true;
                }
                continue;
            }
            '_' => wanted.push(None),
            '\\' => wanted.push(characters.next()),
            other => wanted.push(Some(other)),
        }
        open.push(false);
    }
    // reached[n]: the first n wanted characters can be found in the text so far.
    let mut reached = vec![false; wanted.len() + 1];
    reached[0] = true;
    for character in text {
        for number in (0..reached.len()).rev() {
            let here = reached[number] && open[number];
            let step = number > 0 && reached[number - 1] && wanted[number - 1].is_none_or(|known| known == character);
            reached[number] = here || step;
        }
    }
    reached[wanted.len()]
}

/// The objects of one kind, sorted by identity.
///
/// All values lie in one text: a database of thousands of tables has some hundred thousand of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Objects {
    attributes: Vec<String>,
    text: String,
    /// Where each value ends in the text, row by row: schema, relation, name and then the attributes.
    ends: Vec<usize>,
    /// The rows in the order of their identity.
    order: Vec<u32>,
}

const IDENTITY: [&str; 3] = ["schema", "relation", "name"];

impl Objects {
    fn read(kind: Kind, rows: &Rows, filter: &Filter) -> Objects {
        let columns = rows.columns();
        let identity = IDENTITY.map(|part| columns.iter().position(|column| *column == part));
        let others: Vec<usize> = (0..columns.len())
            .filter(|column| !IDENTITY.contains(&columns[*column]))
            .collect();
        let mut objects = Objects {
            attributes: others.iter().map(|column| columns[*column].to_owned()).collect(),
            ..Objects::default()
        };
        for row in rows.iter() {
            let (text, ends) = (objects.text.len(), objects.ends.len());
            for column in identity.into_iter().chain(others.iter().map(|column| Some(*column))) {
                objects.text.push_str(column.map_or("", |column| row.text(column)));
                objects.ends.push(objects.text.len());
            }
            if filter.leaves_out(kind, &objects.row(ends / objects.width())) {
                objects.text.truncate(text);
                objects.ends.truncate(ends);
            }
        }
        objects.text.shrink_to_fit();
        objects.ends.shrink_to_fit();
        let count = u32::try_from(objects.ends.len() / objects.width()).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by(|left, right| {
            let (left, right) = (objects.row(*left as usize), objects.row(*right as usize));
            left.identity().cmp(&right.identity())
        });
        objects.order = order;
        objects
    }

    fn width(&self) -> usize {
        IDENTITY.len() + self.attributes.len()
    }

    fn row(&self, row: usize) -> Object<'_> {
        Object { objects: self, row }
    }

    /// The names of the attributes.
    pub(crate) fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// The objects in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Object<'_>> {
        self.order.iter().map(|row| self.row(*row as usize))
    }

    /// One object.
    pub(crate) fn find(&self, schema: &str, relation: &str, name: &str) -> Option<Object<'_>> {
        let place = self
            .order
            .binary_search_by(|row| self.row(*row as usize).identity().cmp(&[schema, relation, name]))
            .ok()?;
        Some(self.row(self.order[place] as usize))
    }
}

/// One object of a catalog.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    objects: &'a Objects,
    row: usize,
}

impl<'a> Object<'a> {
    fn value(&self, column: usize) -> &'a str {
        let place = self.row * self.objects.width() + column;
        let start = if place == 0 { 0 } else { self.objects.ends[place - 1] };
        &self.objects.text[start..self.objects.ends[place]]
    }

    pub(crate) fn identity(&self) -> [&'a str; 3] {
        [self.value(0), self.value(1), self.value(2)]
    }

    pub(crate) fn schema(&self) -> &'a str {
        self.value(0)
    }

    pub(crate) fn name(&self) -> &'a str {
        self.value(2)
    }

    fn relation_or_name(&self) -> &'a str {
        match self.value(1) {
            "" => self.value(2),
            relation => relation,
        }
    }

    /// The value of an attribute, by its place among the attributes.
    pub(crate) fn attribute_at(&self, number: usize) -> Option<&'a str> {
        Some(self.value(IDENTITY.len() + number)).filter(|value| !value.is_empty())
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        let number = self.objects.attributes.iter().position(|known| known == name)?;
        self.attribute_at(number)
    }

    /// The identity as a value of its own.
    pub(crate) fn id(&self, kind: Kind) -> ObjectId {
        let [schema, relation, name] = self.identity().map(str::to_owned);
        ObjectId {
            kind,
            schema,
            relation,
            name,
        }
    }
}

/// Everything that is compared of a database, read at one moment.
#[derive(Debug, Clone)]
pub struct Catalog {
    target: String,
    server_version: ServerVersion,
    kinds: BTreeMap<Kind, Objects>,
    not_compared: BTreeMap<String, u64>,
}

/// Texts depend on these settings, which a database or a role may set otherwise. PostgreSQL's own functions lock some of
/// what they describe as every reader does; whoever keeps readers out is not waited for without end.
const SETTINGS: &str = "set local search_path = pg_catalog, pg_temp; set local jit = off; \
     set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = postgres; \
     set local extra_float_digits = 1; set local bytea_output = hex; set local lc_monetary = 'C'; \
     set local quote_all_identifiers = off; set local standard_conforming_strings = on; \
     select set_config('lock_timeout', '30s', true) where current_setting('lock_timeout') = '0'";

/// How often the catalog is read again when objects vanish meanwhile.
const ATTEMPTS: usize = 3;

impl Catalog {
    /// Reads the catalog in one read-only snapshot. In a transaction that is open already (where a snapshot that
    /// another session exported may have been adopted) it reads there, sets `search_path` and the like until its end,
    /// and leaves it open.
    ///
    /// # Errors
    /// What the server refused, the connection lost, the run cancelled; a pattern of the filter that `LIKE` refuses.
    pub fn read(connection: &mut Connection, filter: &Filter) -> Result<Catalog> {
        filter.validate()?;
        let described = |error: Error, connection: &Connection| {
            let locked = error.sqlstate() == Some("55P03");
            let error = error.within(format_args!("cannot read the catalog of {}", connection.target()));
            if locked {
                error.with_hint(
                    "another session keeps readers out of a table or view, as ALTER TABLE does: try again later",
                )
            } else {
                error
            }
        };
        if connection.transaction_status() != TransactionStatus::Idle {
            return read_here(connection, filter).map_err(|error| described(error, connection));
        }
        let mut attempt = 1;
        loop {
            let outcome = connection
                .execute("begin isolation level repeatable read read only")
                .and_then(|()| read_here(connection, filter));
            match outcome {
                Ok(catalog) => {
                    connection.execute("commit")?;
                    return Ok(catalog);
                }
                Err(error) => {
                    connection.rollback();
                    if attempt == ATTEMPTS || !vanished(&error) {
                        return Err(described(error, connection));
                    }
                    attempt += 1;
                }
            }
        }
    }

    /// The database as the user named it, without a password.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The server it was read from.
    pub fn server_version(&self) -> &ServerVersion {
        &self.server_version
    }

    /// A digest of every object and attribute that was read. Equal catalogs have equal fingerprints.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        for (kind, objects) in &self.kinds {
            add(kind.name());
            for attribute in objects.attributes() {
                add(attribute);
            }
            for object in objects.iter() {
                for column in 0..objects.width() {
                    add(object.value(column));
                }
            }
        }
        Fingerprint(hash.finalize().into())
    }

    /// The objects of a kind; `None` when the kind was not read.
    pub(crate) fn objects(&self, kind: Kind) -> Option<&Objects> {
        self.kinds.get(&kind)
    }

    /// How many objects there are of the kinds that are not compared.
    pub(crate) fn not_compared(&self) -> &BTreeMap<String, u64> {
        &self.not_compared
    }
}

fn read_here(connection: &mut Connection, filter: &Filter) -> Result<Catalog> {
    connection.execute(SETTINGS)?;
    let mut kinds = BTreeMap::new();
    for kind in KINDS {
        if !filter.ignore.contains(kind) {
            let rows = connection.query(kind.query(), &[])?;
            kinds.insert(*kind, Objects::read(*kind, &rows, filter));
        }
    }
    let mut not_compared = BTreeMap::new();
    for row in connection.query(NOT_COMPARED, &[])?.iter() {
        if !filter.excludes_schema(row.text(1)) {
            *not_compared.entry(row.text(0).to_owned()).or_default() += row.text(2).parse::<u64>().unwrap_or(0);
        }
    }
    Ok(Catalog {
        target: connection.target().to_string(),
        server_version: connection.server_version(),
        kinds,
        not_compared,
    })
}

/// Whether an object was dropped between the snapshot and the look at its text, which PostgreSQL takes from the newest
/// state: `cache lookup failed`, `could not open relation`, and the undefined ones.
fn vanished(error: &Error) -> bool {
    error
        .sqlstate()
        .is_some_and(|state| matches!(state, "XX000" | "42P01" | "42703" | "42704" | "42883"))
}

/// A digest of a catalog; its `Display` is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
    fn an_unknown_kind_is_told_the_known_ones() {
        let error = "tabels".parse::<Kind>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.hint().unwrap().contains("tables, columns, constraints"),
            "{error:?}"
        );
        assert_eq!("indexes".parse::<Kind>().unwrap().singular(), "index");
    }
}
