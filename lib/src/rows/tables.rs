//! Which tables' rows are compared, by which columns and in which order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::stream::{Line, fields};
use crate::catalog::Filter;
use crate::class::quoted;
use crate::connection::{Connection, quote_identifier};
use crate::error::{Error, ErrorKind, Result};

/// The tables whose rows are compared.
pub(super) struct Tables {
    pub(super) layouts: Vec<Layout>,
    pub(super) warnings: Vec<String>,
}

/// How the rows of a table are compared.
pub(super) struct Layout {
    pub(super) schema: String,
    pub(super) table: String,
    /// The table on each side.
    pub(super) oids: [String; 2],
    /// Whether row security would hide rows on a side.
    pub(super) row_security: [bool; 2],
    /// Whether the rows are those of partitions.
    partitioned: [bool; 2],
    /// The columns that both sides have, those of the key first.
    pub(super) columns: Vec<Column>,
    /// How many columns make up the key; none when rows are compared whole.
    key: Option<usize>,
}

pub(super) struct Column {
    pub(super) name: String,
    orderings: [Sorting; 2],
}

/// How a server orders values as their text is ordered, or faster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sorting {
    /// As the integers that they are.
    Number,
    /// As the text that they are.
    Text,
    /// As they are, which is the order of their text.
    Uuid,
    /// By what the output function of their type writes.
    Output,
}

/// A relation, by schema and name.
type Relations = BTreeMap<(String, String), Relation>;

struct Relation {
    oid: String,
    kind: String,
    is_part: bool,
}

impl Relation {
    fn is_table(&self) -> bool {
        matches!(&*self.kind, "r" | "p")
    }

    fn word(&self) -> &'static str {
        match &*self.kind {
            "v" => "a view",
            "m" => "a materialized view",
            "f" => "a foreign table",
            _ if self.is_part => "a partition or part of an extension, and compared only when it is named",
            _ => "a table",
        }
    }
}

/// What a side tells of a table's columns.
#[derive(Default)]
struct Columns {
    columns: Vec<(String, Sorting)>,
    /// The columns of the primary key, in its order.
    key: BTreeMap<u32, String>,
    row_security: bool,
}

impl Tables {
    pub(super) fn read(left: &mut Connection, right: &mut Connection, filter: &Filter) -> Result<Tables> {
        let relations = [relations(left)?, relations(right)?];
        let mut chosen = Chosen::default();
        for pattern in &filter.data {
            chosen.add(pattern, &relations, filter)?;
        }
        let mut warnings = chosen.warnings(filter)?;
        let oids = |side: usize| {
            let oids = chosen.tables.iter().filter_map(|name| relations[side].get(name));
            let oids: Vec<&str> = oids.map(|relation| &*relation.oid).collect();
            format!("{{{}}}", oids.join(","))
        };
        let columns = [columns(left, &oids(0))?, columns(right, &oids(1))?];
        refuse_code_of_others(left, &oids(0), &relations[0])?;
        refuse_code_of_others(right, &oids(1), &relations[1])?;
        let mut layouts = Vec::new();
        let (mut other_key, mut no_key) = (Vec::new(), Vec::new());
        for name in &chosen.tables {
            let [Some(one), Some(other)] = [0, 1].map(|side| relations[side].get(name)) else {
                continue;
            };
            let none = Columns::default();
            let sides = [
                columns[0].get(&one.oid).unwrap_or(&none),
                columns[1].get(&other.oid).unwrap_or(&none),
            ];
            let layout = Layout::new(name, [one, other], sides, filter);
            if layout.key.is_none() {
                match sides.map(|side| side.key.is_empty()) {
                    [true, true] => {}
                    [false, false] => other_key.push(layout.to_string()),
                    _ => no_key.push(layout.to_string()),
                }
            }
            layouts.push(layout);
        }
        for (tables, why) in [
            (other_key, "the primary keys of both sides are not of the same columns"),
            (no_key, "only one side has a primary key"),
        ] {
            if !tables.is_empty() {
                warnings.push(format!("the rows of {} were compared whole: {why}", tables.join(", ")));
            }
        }
        Ok(Tables { layouts, warnings })
    }
}

/// What the patterns name.
#[derive(Default)]
struct Chosen {
    /// Tables on both sides.
    tables: BTreeSet<(String, String)>,
    /// Tables on one side only.
    only: [BTreeSet<String>; 2],
    /// What is no table, or whose rows are compared with another one's.
    others: BTreeMap<String, &'static str>,
}

impl Chosen {
    fn add(&mut self, pattern: &crate::Pattern, relations: &[Relations; 2], filter: &Filter) -> Result<()> {
        let mut names = BTreeSet::new();
        for side in relations {
            names.extend(side.keys().filter(|(schema, name)| pattern.matches(schema, name)));
        }
        let (mut found, mut left_out) = (false, false);
        let mut others = BTreeMap::new();
        for name in names {
            let (schema, table) = name;
            if filter.leaves_out_table(schema, table) {
                left_out = true;
                continue;
            }
            let comparable = |relation: &&Relation| relation.is_table() && (!relation.is_part || pattern.is_a_name());
            let sides = [0, 1].map(|side| relations[side].get(name));
            match sides.map(|relation| relation.filter(comparable).is_some()) {
                [true, true] => {
                    self.tables.insert(name.clone());
                    found = true;
                }
                [false, false] => {
                    let word = sides.into_iter().flatten().map(Relation::word).next();
                    others.insert(shown(schema, table), word.unwrap_or_default());
                }
                [on_left, _] => {
                    self.only[usize::from(!on_left)].insert(shown(schema, table));
                    found = true;
                }
            }
        }
        if !found {
            let why = match others.first_key_value() {
                Some((name, word)) => format!("{name} is {word}"),
                None if left_out => "what it names is left out of the comparison".to_owned(),
                None => "neither side has one".to_owned(),
            };
            return Err(Error::new(
                ErrorKind::Usage,
                format!("\"{pattern}\" names no table whose rows can be compared: {why}"),
            )
            .with_hint(
                "correct the pattern; it is schema.table, with * for any text and ? for one character, as in psql",
            ));
        }
        others.retain(|_, word| !word.contains("only when it is named"));
        self.others.extend(others);
        Ok(())
    }

    fn warnings(&self, filter: &Filter) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for (tables, side) in self.only.iter().zip(["left", "right"]) {
            if tables.is_empty() {
                continue;
            }
            let names: Vec<&str> = tables.iter().map(String::as_str).collect();
            let sentence = format!(
                "the rows of {} were not compared: only the {side} side has such a table",
                names.join(", ")
            );
            // Where tables are compared this is a difference already; else nothing would tell that it is not the same.
            if filter.ignore.iter().any(|kind| kind.name() == "tables") {
                return Err(Error::new(ErrorKind::Usage, sentence)
                    .with_hint("leave these tables out (--exclude), or compare tables too"));
            }
            warnings.push(sentence);
        }
        if !self.others.is_empty() {
            let names: Vec<String> = self
                .others
                .iter()
                .map(|(name, word)| format!("{name} is {word}"))
                .collect();
            warnings.push(format!("only tables have rows to compare: {}", names.join(", ")));
        }
        Ok(warnings)
    }
}

fn relations(connection: &mut Connection) -> Result<Relations> {
    let rows = connection
        .query(include_str!("relations.sql"), &[])
        .map_err(|error| error.within(format_args!("cannot read the tables of {}", connection.target())))?;
    let relation = |row: crate::Row<'_>| {
        let name = (row.text(0).to_owned(), row.text(1).to_owned());
        let relation = Relation {
            oid: row.text(2).to_owned(),
            kind: row.text(3).to_owned(),
            is_part: row.text(4) == "true",
        };
        (name, relation)
    };
    Ok(rows.iter().map(relation).collect())
}

/// Refuses to read a table when that could run somebody else's function with the rights of this user.
fn refuse_code_of_others(connection: &mut Connection, oids: &str, relations: &Relations) -> Result<()> {
    let found = connection
        .query(include_str!("code.sql"), &[Some(oids)])
        .map_err(|error| {
            error.within(format_args!(
                "cannot read the indexes of the tables of {}",
                connection.target()
            ))
        })?;
    let Some(row) = found.iter().next() else {
        return Ok(());
    };
    let [oid, function, owner] = [0, 1, 2].map(|column| row.text(column));
    let table = relations.iter().find(|(_, relation)| relation.oid == oid);
    let table = table
        .map(|((schema, table), _)| shown(schema, table))
        .unwrap_or_default();
    Err(Error::new(
        ErrorKind::Refused,
        format!(
            "the rows of {table} of {} are not read: an index, statistics or a partition key of it calls {function} of \
             the role {}, and reading could run that with your rights",
            connection.target(),
            quoted(owner)
        ),
    )
    .with_hint("compare as that role, or leave the table out (--exclude)"))
}

/// The columns of tables, by oid.
fn columns(connection: &mut Connection, oids: &str) -> Result<HashMap<String, Columns>> {
    let rows = connection
        .query(include_str!("columns.sql"), &[Some(oids)])
        .map_err(|error| error.within(format_args!("cannot read the columns of {}", connection.target())))?;
    let mut tables: HashMap<String, Columns> = HashMap::new();
    for row in rows.iter() {
        let table = tables.entry(row.text(0).to_owned()).or_default();
        let name = row.text(1).to_owned();
        if let Some(place) = row.value(2).and_then(|place| place.parse().ok()) {
            table.key.insert(place, name.clone());
        }
        let ordering = match row.text(3) {
            "number" => Sorting::Number,
            "text" => Sorting::Text,
            "uuid" => Sorting::Uuid,
            _ => Sorting::Output,
        };
        table.columns.push((name, ordering));
        table.row_security = row.text(4) == "true";
    }
    Ok(tables)
}

impl Layout {
    fn new(
        (schema, table): &(String, String),
        tables: [&Relation; 2],
        sides: [&Columns; 2],
        filter: &Filter,
    ) -> Layout {
        let [left, right] = sides;
        let rights: HashMap<&str, Sorting> = right
            .columns
            .iter()
            .map(|(name, ordering)| (&**name, *ordering))
            .collect();
        let mut columns: Vec<Column> = left
            .columns
            .iter()
            .filter(|(name, _)| !filter.leaves_out_column(name))
            .filter_map(|(name, ordering)| {
                Some(Column {
                    name: name.clone(),
                    orderings: [*ordering, *rights.get(&**name)?],
                })
            })
            .collect();
        // The key of the left side, when the other has the same columns in it and all of them are compared.
        let keys = sides.map(|side| side.key.values().collect::<BTreeSet<_>>());
        let place = |column: &Column| left.key.values().position(|key| *key == column.name);
        let whole = columns.iter().filter_map(place).count() == left.key.len();
        let key = (whole && !left.key.is_empty() && keys[0] == keys[1]).then_some(left.key.len());
        if key.is_some() {
            columns.sort_by_key(|column| place(column).unwrap_or(usize::MAX));
        }
        Layout {
            schema: schema.clone(),
            table: table.clone(),
            oids: tables.map(|table| table.oid.clone()),
            row_security: sides.map(|side| side.row_security),
            partitioned: tables.map(|table| table.kind == "p"),
            columns,
            key,
        }
    }

    /// Whether rows are known by a key.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The columns by which a row is known: those of its key, else all.
    pub(super) fn known_by(&self) -> &[Column] {
        &self.columns[..self.key.unwrap_or(self.columns.len())]
    }

    /// The order of two rows, which is the one that the statements ask for.
    pub(super) fn compare(&self, left: &Line, right: &Line) -> Ordering {
        let pairs = fields(left).zip(fields(right));
        self.known_by()
            .iter()
            .zip(pairs)
            .map(|(column, (left, right))| {
                if column.are_numbers() {
                    left.compare_numbers(right)
                } else {
                    left.compare(right)
                }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The statement that reads the rows of a side. No operator and no cast in it is another one than PostgreSQL's own:
    /// `concat` writes what the output function of a type does, and a cast could be somebody's.
    pub(super) fn statement(&self, side: usize, encoding: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| quote_identifier(&column.name))
            .collect();
        let orders: Vec<String> = self
            .known_by()
            .iter()
            .map(|column| self.order(column, side, encoding))
            .collect();
        // Rows of tables that inherit are their own; those of partitions belong to the parent only.
        let only = if self.partitioned[side] { "" } else { "only " };
        let order = if orders.is_empty() {
            String::new()
        } else {
            format!(" order by {}", orders.join(", "))
        };
        format!(
            "copy (select {} from {only}{}.{}{order}) to stdout",
            columns.join(", "),
            quote_identifier(&self.schema),
            quote_identifier(&self.table),
        )
    }

    fn order(&self, column: &Column, side: usize, encoding: &str) -> String {
        let name = quote_identifier(&column.name);
        let text = match column.orderings[side] {
            Sorting::Number if column.are_numbers() => return name,
            Sorting::Uuid => return name,
            Sorting::Text => name,
            // The text of null is empty, and null is not.
            _ if self.has_key() => format!("pg_catalog.concat({name})"),
            _ => format!("case when pg_catalog.num_nulls({name}) = 0 then pg_catalog.concat({name}) end"),
        };
        match encoding {
            "UTF8" | "SQL_ASCII" => format!("({text}) collate pg_catalog.\"C\""),
            // The order of another encoding's bytes is not the one of the bytes that come here.
            _ => format!("pg_catalog.convert_to({text}, 'UTF8')"),
        }
    }
}

impl Column {
    fn are_numbers(&self) -> bool {
        self.orderings == [Sorting::Number; 2]
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.schema, &self.table))
    }
}

fn shown(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}
