//! The rows that the rows of a copy need for their foreign keys.
//!
//! What is missing is found in the copy and fetched from production by its keys, some thousand at once, until nothing is
//! missing that production has: what production lacks, in a constraint that is not valid, the copy lacks too.

use std::collections::{BTreeMap, BTreeSet};

use super::{Relation, transfer};
use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::error::{ErrorKind, Result};
use crate::run::{Event, Run};

/// How many keys production is asked for at once.
const KEYS: usize = 20_000;

/// A column of a foreign key and the one that it refers to; all as SQL writes them.
struct Column {
    column: String,
    parent: String,
    of_type: String,
    collate: String,
    /// The operator between the referenced column and a value of the type.
    equals: String,
    /// The operator between two values of the referenced column.
    same: String,
    period: bool,
}

impl Column {
    /// The value that the row `c` refers to.
    fn value(&self) -> String {
        format!("(c.{}::{} {})", self.column, self.of_type, self.collate)
    }
}

/// A foreign key.
struct Key<'a> {
    /// The table whose rows refer, or that of which it is a partition.
    from: &'a str,
    /// The referenced table, or that of which it is a partition.
    to: &'a str,
    referenced: &'a Relation,
    columns: Vec<Column>,
}

impl<'a> Key<'a> {
    /// Those that refer to a table of which rows may be missing.
    fn read(production: &mut Connection, relations: &'a [Relation]) -> Result<Vec<Key<'a>>> {
        let in_part: BTreeSet<&str> = relations
            .iter()
            .filter(|relation| relation.large)
            .map(|relation| relation.root.as_str())
            .collect();
        let by_oid: BTreeMap<&str, &Relation> = relations
            .iter()
            .map(|relation| (relation.oid.as_str(), relation))
            .collect();
        let rows = production.query(include_str!("keys.sql"), &[])?;
        let mut keys: BTreeMap<u64, Key<'a>> = BTreeMap::new();
        for row in rows.iter() {
            let text = |column| row.text(column).to_owned();
            let (Some(referencing), Some(referenced)) = (by_oid.get(row.text(1)), by_oid.get(row.text(2))) else {
                continue;
            };
            if !in_part.contains(referenced.root.as_str()) {
                continue;
            }
            let key = keys.entry(row.text(0).parse().unwrap_or(0)).or_insert_with(|| Key {
                from: &referencing.root,
                to: &referenced.root,
                referenced,
                columns: Vec::new(),
            });
            key.columns.push(Column {
                column: text(3),
                parent: text(4),
                of_type: text(5),
                collate: text(6),
                equals: text(7),
                same: text(8),
                period: row.text(9) == "true",
            });
        }
        Ok(keys.into_values().collect())
    }

    /// The columns by which rows are looked up.
    fn looked_up(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.period)
    }

    /// The keys that rows of `rows` refer to and the copy lacks. Of a key over periods it cannot be told by one row what it
    /// lacks, so that all are fetched.
    fn missing(&self, rows: &str) -> String {
        let Relation { name, only, .. } = self.referenced;
        let numbered = || self.looked_up().enumerate();
        let texts: Vec<String> = numbered().map(|(number, _)| format!("k{number}::text")).collect();
        let values: Vec<String> = numbered()
            .map(|(number, column)| format!("{} as k{number}", column.value()))
            .collect();
        let given: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("c.{} is not null", column.column))
            .collect();
        let found: Vec<String> = self
            .looked_up()
            .map(|column| format!("p.{} {} {}", column.parent, column.equals, column.value()))
            .collect();
        let lacks = match self.columns.iter().any(|column| column.period) {
            true => String::new(),
            false => format!(
                " and not exists (select from {only} {name} p where {})",
                found.join(" and ")
            ),
        };
        format!(
            "select {} from (select distinct {} from {rows} c where {}{lacks}) d",
            texts.join(", "),
            values.join(", "),
            given.join(" and "),
        )
    }

    /// The rows of production with these keys: for each column its values.
    fn rows_of(&self, every: &str, values: &[Vec<String>]) -> String {
        let Relation { name, only, .. } = self.referenced;
        let arrays: Vec<String> = values
            .iter()
            .map(|values| format!("{}::text[]", quote_literal(&array(values))))
            .collect();
        let names: Vec<String> = (0..values.len()).map(|number| format!("k{number}")).collect();
        let equal: Vec<String> = self
            .looked_up()
            .enumerate()
            .map(|(number, column)| {
                format!(
                    "p.{} {} (u.k{number}::{} {})",
                    column.parent, column.equals, column.of_type, column.collate
                )
            })
            .collect();
        format!(
            "copy (select {every} from {only} {name} p where exists (select from unnest({}) u ({}) where {})) to stdout",
            arrays.join(", "),
            names.join(", "),
            equal.join(" and ")
        )
    }

    /// What of the rows `s` the copy has already.
    fn known(&self) -> String {
        let Relation { name, only, .. } = self.referenced;
        let same: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("p.{0} {1} s.{0}", column.parent, column.same))
            .collect();
        format!("exists (select from {only} {name} p where {})", same.join(" and "))
    }
}

/// A list as the text of an array.
fn array(values: &[String]) -> String {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

/// A table with all its partitions, to which or from which keys refer.
struct Whole<'a> {
    relation: &'a Relation,
    number: usize,
    /// The columns of its keys, where it has some.
    referring: String,
    /// Whether rows that were added are to be looked at, and not all of its rows.
    seen: bool,
}

impl Whole<'_> {
    /// Rows of it that were fetched and are not in their place yet.
    fn fetched(&self) -> String {
        format!("pg_temp.pum_fetched_{}", self.number)
    }

    /// What the rows refer to that were added and not looked at.
    fn added(&self) -> String {
        format!("pg_temp.pum_added_{}", self.number)
    }
}

/// Adds to the copy what is missing. Returns how many rows were added.
pub(super) fn close(
    production: &mut Connection,
    copy: &mut Connection,
    relations: &[Relation],
    run: &Run,
) -> Result<u64> {
    let keys = Key::read(production, relations)?;
    if keys.is_empty() {
        return Ok(0);
    }
    let indexes = index(copy, &keys, run)?;
    let mut tables = tables(relations, &keys);
    for table in tables.values() {
        let Relation { name, only, every, .. } = table.relation;
        copy.execute(&format!(
            "create temporary table {} as select {every} from {only} {name} with no data",
            table.fetched().trim_start_matches("pg_temp.")
        ))?;
        if !table.referring.is_empty() {
            copy.execute(&format!(
                "create temporary table {} as select {} from {only} {name} with no data",
                table.added().trim_start_matches("pg_temp."),
                table.referring
            ))?;
        }
    }
    let ranks = ranks(&keys);
    let rank = |table: &str| ranks.get(table).copied().unwrap_or(usize::MAX);
    let mut waiting: BTreeSet<(usize, &str)> = keys.iter().map(|key| (rank(key.from), key.from)).collect();
    let mut total = 0;
    while let Some((_, from)) = waiting.pop_first() {
        let Some(table) = tables.get_mut(from) else {
            continue;
        };
        let rows = to_look_at(table, copy)?;
        for key in keys.iter().filter(|key| key.from == from) {
            let Some(to) = tables.get(key.to) else {
                continue;
            };
            let added = fetch(key, &rows, to, production, copy, |added| {
                total += added;
                run.emit(Event::Progress {
                    done: total,
                    total: None,
                    unit: "rows",
                });
            })
            .map_err(|error| {
                let name = &key.referenced.name;
                error.within(format_args!("what foreign keys need of {name} cannot be copied"))
            })?;
            if added && !to.referring.is_empty() {
                waiting.insert((rank(key.to), key.to));
            }
        }
    }
    for index in indexes {
        copy.execute(&format!("drop index {index}"))?;
    }
    Ok(total)
}

/// Makes the referenced columns quick to find, and the tables known to the planner. Returns the indexes that were made.
fn index(copy: &mut Connection, keys: &[Key<'_>], run: &Run) -> Result<Vec<String>> {
    let mut wanted: BTreeSet<(&str, &str, String)> = BTreeSet::new();
    for key in keys {
        let columns: Vec<&str> = key.looked_up().map(|column| column.parent.as_str()).collect();
        let Relation { schema, name, .. } = key.referenced;
        wanted.insert((schema, name, columns.join(", ")));
    }
    let mut made = Vec::new();
    for (schema, name, columns) in &wanted {
        let index = format!("pum_{}_{}", run.id().simple(), made.len());
        match copy.execute(&format!("create index {index} on {name} ({columns})")) {
            Ok(()) => made.push(format!("{}.{index}", quote_identifier(schema))),
            // A type may have no order of its own; without an index it is slower.
            Err(error) if error.kind() == ErrorKind::Server => {}
            Err(error) => return Err(error),
        }
    }
    let names: BTreeSet<&str> = wanted.iter().map(|(_, name, _)| *name).collect();
    for name in names {
        copy.execute(&format!("analyze {name}"))?;
    }
    Ok(made)
}

fn tables<'a>(relations: &'a [Relation], keys: &[Key<'_>]) -> BTreeMap<&'a str, Whole<'a>> {
    let mut referring: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for key in keys {
        referring.entry(key.to).or_default();
        let columns = key.columns.iter().map(|column| column.column.as_str());
        referring.entry(key.from).or_default().extend(columns);
    }
    let roots = relations.iter().filter(|relation| relation.oid == relation.root);
    roots
        .filter_map(|relation| Some((relation, referring.get(relation.oid.as_str())?)))
        .enumerate()
        .map(|(number, (relation, columns))| {
            let columns: Vec<&str> = columns.iter().copied().collect();
            let whole = Whole {
                relation,
                number,
                referring: columns.join(", "),
                seen: false,
            };
            (relation.oid.as_str(), whole)
        })
        .collect()
}

/// An order in which tables come before those that they refer to, as far as there is one.
fn ranks<'a>(keys: &[Key<'a>]) -> BTreeMap<&'a str, usize> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for key in keys {
        left.entry(key.from).or_default();
        let referring = left.entry(key.to).or_default();
        if key.from != key.to {
            referring.insert(key.from);
        }
    }
    let mut ranks = BTreeMap::new();
    while !left.is_empty() {
        let free = left.iter().filter(|(_, referring)| referring.is_empty());
        let mut next: Vec<&str> = free.map(|(table, _)| *table).collect();
        if next.is_empty() {
            // A cycle: one of it has to be the first.
            next = left.keys().next().copied().into_iter().collect();
        }
        for table in next {
            ranks.insert(table, ranks.len());
            left.remove(table);
            for referring in left.values_mut() {
                referring.remove(table);
            }
        }
    }
    ranks
}

/// The rows of a table that have not been looked at: all of them the first time, then what was added.
fn to_look_at(table: &mut Whole<'_>, copy: &mut Connection) -> Result<String> {
    let added = table.added();
    if !std::mem::replace(&mut table.seen, true) {
        copy.execute(&format!("truncate {added}"))?;
        return Ok(format!("{} {}", table.relation.only, table.relation.name));
    }
    copy.execute(&format!(
        "drop table if exists pg_temp.pum_now; create temporary table pum_now as select * from {added}; \
         truncate {added}; analyze pg_temp.pum_now"
    ))?;
    Ok("pg_temp.pum_now".to_owned())
}

/// Fetches what rows refer to and the copy lacks, and hands over how many rows came, each time some came. Returns whether
/// any did.
fn fetch(
    key: &Key<'_>,
    rows: &str,
    to: &Whole<'_>,
    production: &mut Connection,
    copy: &mut Connection,
    mut came: impl FnMut(u64),
) -> Result<bool> {
    let mut any = false;
    let Relation {
        name, loaded, every, ..
    } = to.relation;
    let fetched = to.fetched();
    let into = format!("copy {fetched} ({every}) from stdin");
    // What is added in the meantime is not seen by it.
    copy.execute(&format!(
        "begin; declare pum_missing no scroll cursor for {}",
        key.missing(rows)
    ))?;
    loop {
        let keys = copy.batch(&format!("fetch {KEYS} from pum_missing"))?;
        if keys.is_empty() {
            break;
        }
        let values: Vec<Vec<String>> = (0..key.looked_up().count())
            .map(|column| keys.iter().map(|row| row.text(column).to_owned()).collect())
            .collect();
        if transfer(production, &key.rows_of(every, &values), copy, &into)? == 0 {
            continue;
        }
        copy.execute(&format!("delete from {fetched} s where {}", key.known()))?;
        let insert = format!("insert into {name} ({loaded}) overriding system value select {loaded} from {fetched}");
        let added = copy.run_statement(&insert, None)?.rows;
        if !to.referring.is_empty() {
            let referring = &to.referring;
            copy.execute(&format!("insert into {} select {referring} from {fetched}", to.added()))?;
        }
        copy.execute(&format!("truncate {fetched}"))?;
        if added > 0 {
            any = true;
            came(added);
        }
    }
    copy.execute("commit")?;
    Ok(any)
}
