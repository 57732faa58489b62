//! The catalog of a database as values: objects of every kind with their attributes as text.
//!
//! What a kind is stands in `catalog/<kind>.sql`, a query that runs in psql as it is. The columns `schema`, `relation`
//! and `name` (those that exist) are the identity of an object, every other column is an attribute to compare; null
//! and the empty text both mean none. A kind is added by its query and a word in the list below. The column `address`
//! is no attribute: by it the queries in `catalog/every/` give objects of every kind what all can have.

mod filter;
mod moment;
mod objects;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::class::Class;
use crate::connection::{Connection, Rows, ServerVersion, TransactionStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::fleet::DatabaseId;

pub use filter::{Filter, Pattern};
use moment::Moment;
pub(crate) use objects::{IDENTITY, OWNER_TABLE, Object, Objects};

/// A kind of objects, such as `tables`. The order of [`KINDS`] is the order of every list of kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(usize);

/// Every kind of a catalog: the nine elements of pum 0.10 and all others.
pub const KINDS: &[Kind] = &kinds();

struct Entry {
    name: &'static str,
    query: &'static str,
    /// Attributes whose text PostgreSQL spells otherwise once it has parsed it again, with the statements that do so.
    spelled: &'static [(&'static str, &'static str)],
}

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
    tables { partition_key }
    columns { default, expression }
    constraints { expression, expressions, predicate }
    views { definition }
    sequences {}
    indexes { expressions, predicate }
    triggers { condition }
    functions { arguments, sql_body }
    rules { definition }
    policies { using, check }
    extended_statistics { expressions }
    types {}
    domains { default }
    domain_constraints { expression }
    collations {}
    conversions {}
    casts {}
    operators {}
    operator_classes {}
    operator_families {}
    access_methods {}
    languages {}
    transforms {}
    text_search_configurations {}
    text_search_dictionaries {}
    text_search_parsers {}
    text_search_templates {}
    schemas {}
    extensions {}
    event_triggers {}
    foreign_data_wrappers {}
    foreign_servers {}
    user_mappings {}
    publications {}
    publication_tables { row_filter }
    subscriptions {}
    large_objects {}
    default_privileges {}
    system_privileges {}
    database {}
    settings {}
}

/// What objects of every kind can have: the attribute, its class, and the query that reads it by address.
const EVERY: &[(&str, Class, &str)] = &[
    ("comment", Class::Comments, include_str!("catalog/every/comment.sql")),
    (
        "privileges",
        Class::Privileges,
        include_str!("catalog/every/privileges.sql"),
    ),
    (
        "security_labels",
        Class::SecurityLabels,
        include_str!("catalog/every/security_labels.sql"),
    ),
];

/// The column by which objects are known to the queries of [`EVERY`].
const ADDRESS: &str = "address";

/// What the queries say in place of an attribute that the role may not read.
pub(crate) const NOT_READABLE: &str = "(not readable)";

/// The name of the kind of rows, which no catalog holds.
const DATA: &str = "data";

const fn kinds() -> [Kind; ENTRIES.len()] {
    let mut kinds = [Kind(0); ENTRIES.len()];
    let mut number = 0_usize;
    while number < kinds.len() {
        kinds[number] = Kind(number);
        number += 1;
    }
    kinds
}

impl Kind {
    /// Rows of tables, when they are compared too; see [`Filter::data`]. No catalog holds them.
    pub const DATA: Kind = Kind(ENTRIES.len());

    fn entry(self) -> Option<&'static Entry> {
        ENTRIES.get(self.0)
    }

    /// The name, as `--ignore` and the reports have it.
    pub fn name(self) -> &'static str {
        self.entry().map_or(DATA, |entry| entry.name)
    }

    /// The name in a sentence, such as `foreign servers`.
    pub fn title(self) -> String {
        self.name().replace('_', " ")
    }

    /// The name of one object of this kind, such as `table`.
    pub fn singular(self) -> String {
        let title = self.title();
        let plural = [
            ("statistics", "statistics"),
            ("privileges", "privileges"),
            ("data", "row"),
            ("ies", "y"),
            ("xes", "x"),
            ("sses", "ss"),
            ("s", ""),
        ];
        let found = plural
            .into_iter()
            .find_map(|(end, one)| Some(title.strip_suffix(end)?.to_owned() + one));
        found.unwrap_or(title)
    }

    /// The query that reads the objects of this kind; empty for rows.
    pub fn query(self) -> &'static str {
        self.entry().map_or("", |entry| entry.query)
    }

    /// The statements that parse an attribute's text again, when that can change it.
    pub(crate) fn spelling(self, attribute: &str) -> Option<&'static str> {
        let (_, statements) = self.entry()?.spelled.iter().find(|(name, _)| *name == attribute)?;
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
        let wanted = name.replace('-', "_");
        let mut kinds = KINDS.iter().copied().chain([Kind::DATA]);
        kinds.find(|kind| kind.name() == wanted).ok_or_else(|| {
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

/// Everything that is compared of a database, read at one moment.
#[derive(Debug, Clone)]
pub struct Catalog {
    target: String,
    server_version: ServerVersion,
    /// Which database it is, when it was read from one.
    database: Option<DatabaseId>,
    /// Whether the structure was changed while it was read, however often.
    torn: bool,
    kinds: BTreeMap<Kind, Objects>,
}

/// Texts depend on these settings, which a database or a role may set otherwise. PostgreSQL's own functions lock some of
/// what they describe as every reader does; whoever keeps readers out is not waited for without end.
const SETTINGS: &str = "set local search_path = pg_catalog, pg_temp; \
     set local jit = off; set local max_parallel_workers_per_gather = 0; set local work_mem = '64MB'; \
     set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = postgres; \
     set local extra_float_digits = 1; set local bytea_output = hex; set local lc_monetary = 'C'; \
     set local quote_all_identifiers = off; set local standard_conforming_strings = on; ";

/// How often the catalog is read when the structure is changed meanwhile.
const ATTEMPTS: usize = 3;

impl Catalog {
    /// Reads the catalog in one read-only snapshot. In a transaction that is open already (where a snapshot that
    /// another session exported may have been adopted) it reads there, sets `search_path` and the like until its end,
    /// and leaves it open.
    ///
    /// # Errors
    /// What the server refused, the connection lost, the run cancelled; a pattern of the filter that `LIKE` refuses.
    pub fn read(connection: &mut Connection, filter: &Filter) -> Result<Catalog> {
        Catalog::read_until(connection, filter, &format!("; commit{}", moment::END))
    }

    /// Reads the catalog and leaves its transaction open, so that more can be read of the same moment and with the same
    /// settings.
    ///
    /// # Errors
    /// As [`Catalog::read`].
    pub(crate) fn read_and_stay(connection: &mut Connection, filter: &Filter) -> Result<Catalog> {
        Catalog::read_until(connection, filter, "")
    }

    fn read_until(connection: &mut Connection, filter: &Filter, end: &str) -> Result<Catalog> {
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
            return read_here(connection, filter, "", "").map_err(|error| described(error, connection));
        }
        let mut attempt = 1;
        loop {
            let begin = "begin isolation level repeatable read read only; ";
            match read_here(connection, filter, begin, end) {
                Ok(catalog) if !catalog.torn || attempt == ATTEMPTS => return Ok(catalog),
                Ok(_) => attempt += 1,
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

    /// Whether another catalog was read from the same database.
    pub(crate) fn is_of_the_same_database(&self, other: &Catalog) -> bool {
        self.database.is_some() && self.database == other.database
    }

    /// Whether the structure was changed while it was read, and some of its texts may be of a later moment than others.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
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
                object.values().for_each(&mut add);
            }
        }
        Fingerprint(hash.finalize().into())
    }

    /// The objects of a kind; `None` when the kind was not read.
    pub(crate) fn objects(&self, kind: Kind) -> Option<&Objects> {
        self.kinds.get(&kind)
    }

    /// The kinds that were read, with their objects.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Kind, &Objects)> {
        self.kinds.iter().map(|(kind, objects)| (*kind, objects))
    }

    /// The catalog without what a filter leaves out.
    ///
    /// # Errors
    /// A pattern of the filter that `LIKE` refuses.
    pub fn filtered(&self, filter: &Filter) -> Result<Catalog> {
        filter.validate()?;
        let mut kinds = BTreeMap::new();
        for (kind, objects) in self.kinds.iter().filter(|(kind, _)| !filter.ignore.contains(kind)) {
            kinds.insert(*kind, objects.filtered(|object| !filter.leaves_out(*kind, object))?);
        }
        Ok(Catalog {
            target: self.target.clone(),
            server_version: self.server_version.clone(),
            database: self.database.clone(),
            torn: self.torn,
            kinds,
        })
    }

    /// A catalog from its parts, as a snapshot file holds them.
    pub(crate) fn from_parts(target: String, server_version: ServerVersion, kinds: BTreeMap<Kind, Objects>) -> Catalog {
        Catalog {
            target,
            server_version,
            database: None,
            torn: false,
            kinds,
        }
    }
}

/// What objects of every kind can have, by address.
struct Annotations {
    values: Vec<HashMap<String, String>>,
}

/// Reads all queries in one message and one round trip, and, unless a transaction is open, in a transaction that the same
/// message begins and ends.
fn read_here(connection: &mut Connection, filter: &Filter, begin: &str, end: &str) -> Result<Catalog> {
    let read: Vec<Kind> = KINDS
        .iter()
        .filter(|kind| !filter.ignore.contains(kind))
        .copied()
        .collect();
    let every: Vec<&str> = EVERY.iter().map(|(_, _, query)| *query).collect();
    let queries: Vec<&str> = every.into_iter().chain(read.iter().map(|kind| kind.query())).collect();
    let mut message = format!("{begin}{SETTINGS}{}", moment::begin());
    for query in &queries {
        message.push_str(";\n");
        for line in query.lines().filter(|line| !line.trim_start().starts_with("--")) {
            message.push_str(line);
            message.push('\n');
        }
    }
    message.push_str(end);
    let mut annotations = Annotations { values: Vec::new() };
    let mut kinds = BTreeMap::new();
    let mut moment = Moment::default();
    let mut number = 0_usize;
    connection
        .queries(&message, |rows| {
            let place = number;
            number += 1;
            match place.checked_sub(1 + EVERY.len()) {
                _ if place == 0 => moment = Moment::begin(&rows),
                None => annotations.add(EVERY[place - 1].1, &rows, filter),
                Some(place) => match read.get(place) {
                    Some(kind) => {
                        kinds.insert(*kind, objects(*kind, &rows, &annotations, filter)?);
                    }
                    None => moment.end(&rows),
                },
            }
            Ok(())
        })
        .map_err(|error| {
            match number.checked_sub(1).and_then(|place| {
                let names = EVERY
                    .iter()
                    .map(|(name, ..)| *name)
                    .chain(read.iter().map(|kind| kind.name()));
                names.into_iter().nth(place)
            }) {
                Some(name) => error.within(format_args!("reading {name}")),
                None => error,
            }
        })?;
    Ok(Catalog {
        torn: moment.has_passed(connection)?,
        target: connection.target().to_string(),
        server_version: connection.server_version(),
        database: moment.database,
        kinds,
    })
}

impl Annotations {
    fn add(&mut self, class: Class, rows: &Rows, filter: &Filter) {
        let mut values = HashMap::new();
        if !filter.ignore_classes.contains(&class) {
            values.reserve(rows.len());
            for row in rows.iter() {
                values.insert(row.text(0).to_owned(), row.text(1).to_owned());
            }
        }
        self.values.push(values);
    }

    fn of<'a>(&'a self, address: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().map(move |values| {
            let value = if values.is_empty() { None } else { values.get(address) };
            value.map_or("", String::as_str)
        })
    }
}

fn objects(kind: Kind, rows: &Rows, annotations: &Annotations, filter: &Filter) -> Result<Objects> {
    let columns = rows.columns();
    let identity = IDENTITY.map(|part| columns.iter().position(|column| *column == part));
    let address = columns.iter().position(|column| *column == ADDRESS);
    let others: Vec<usize> = (0..columns.len())
        .filter(|column| !IDENTITY.contains(&columns[*column]) && Some(*column) != address)
        .collect();
    let every = EVERY.iter().map(|(name, ..)| *name).filter(|_| address.is_some());
    let attributes = others.iter().map(|column| columns[*column]).chain(every);
    let mut objects = Objects::new(attributes.map(str::to_owned).collect());
    for row in rows.iter() {
        let identity = identity
            .iter()
            .map(|column| column.map_or("", |column| row.text(column)));
        let attributes = others.iter().map(|column| row.text(*column));
        let every = address.into_iter().flat_map(|column| annotations.of(row.text(column)));
        objects.push(identity.chain(attributes).chain(every))?;
        if objects.last().is_some_and(|object| filter.leaves_out(kind, &object)) {
            objects.pop();
        }
    }
    objects.sort();
    Ok(objects)
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
    fn an_unknown_kind_is_told_the_known_ones() {
        let error = "tabels".parse::<Kind>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.hint().unwrap().contains("tables, columns, constraints"),
            "{error:?}"
        );
    }

    #[test]
    fn one_of_a_kind_has_a_name() {
        assert_eq!("indexes".parse::<Kind>().unwrap().singular(), "index");
        assert_eq!("tables".parse::<Kind>().unwrap().singular(), "table");
        assert_eq!(Kind::DATA.singular(), "row");
    }
}
