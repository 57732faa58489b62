//! The data of the copy before and after: for each table how many rows, and for each column a sum of hashes, which does not
//! depend on the order of the rows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::{SequenceChange, TableChange};
use crate::connection::{Connection, quote_identifier};
use crate::error::{Error, ErrorKind, Result};
use crate::history::TableName;
use crate::run::{Event, Run};
use crate::target::Target;

/// The data of a database.
#[derive(Debug, Default)]
pub(crate) struct Data {
    tables: BTreeMap<String, Table>,
    sequences: BTreeMap<String, Option<String>>,
    /// The tables that could not be read, and why.
    unread: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Table {
    /// The table's own, whatever its columns are called.
    oid: String,
    rows: u64,
    columns: BTreeMap<String, Column>,
    /// The columns of each row together; to be compared where both sides have the same columns.
    together: String,
}

#[derive(Debug, PartialEq)]
struct Column {
    /// Its number in the table: a column that has the name of another is not that one.
    number: String,
    values: u64,
    hash: String,
}

/// What a table is asked.
struct Question {
    table: String,
    oid: String,
    /// Their names and numbers.
    columns: Vec<(String, String)>,
}

impl Question {
    /// Values are compared as the text that their type's output function writes; casts and operators that somebody may
    /// have made are never called.
    fn sql(&self) -> String {
        let columns = self.columns.iter().enumerate();
        let hashes: Vec<String> = columns
            .clone()
            .map(|(number, (column, _))| {
                let column = quote_identifier(column);
                format!(
                    "case when t.{column} is null then null \
                     else pg_catalog.hashtextextended(pg_catalog.concat(t.{column}), 0) end as c{number}"
                )
            })
            .collect();
        let sums: Vec<String> = columns
            .clone()
            .map(|(number, _)| format!("count(c{number})::text, coalesce(sum(c{number})::text, '')"))
            .collect();
        let together: Vec<String> = columns
            .map(|(number, _)| format!("(coalesce(c{number}, {number}) << {})", number % 64))
            .collect();
        let together = if together.is_empty() {
            "''".to_owned()
        } else {
            format!("coalesce(sum(hashint8extended({}, 0))::text, '')", together.join(" # "))
        };
        let comma = |list: &[String]| list.iter().map(|item| format!(", {item}")).collect::<String>();
        format!(
            "select count(*)::text, {together}{} from (select true{} from only {} t) t",
            comma(&sums),
            comma(&hashes),
            self.table
        )
    }
}

impl Data {
    /// Reads all tables but the upgrades table, so many at the same time.
    pub(crate) fn read(target: &Target, upgrades: &TableName, jobs: usize, run: &Run) -> Result<Data> {
        let quiet = run.quietly();
        let mut connection = open(target, &quiet)?;
        let questions = questions(&mut connection, upgrades)?;
        let sequences = sequences(&mut connection, upgrades)?;
        drop(connection);
        let total = questions.len();
        let workers = jobs.min(total).max(1);
        let queue = Mutex::new(VecDeque::from(questions));
        let found = Mutex::new(Data {
            sequences,
            ..Data::default()
        });
        let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..workers)
                .map(|_| scope.spawn(|| work(target, &queue, &found, total, run)))
                .collect();
            let ended = |_| Err(Error::new(ErrorKind::Server, "reading the data ended unexpectedly"));
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(ended))
                .collect()
        });
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many rows each table has.
    pub(crate) fn rows(&self) -> BTreeMap<String, u64> {
        self.tables
            .iter()
            .map(|(name, table)| (name.clone(), table.rows))
            .collect()
    }

    /// What changed in this very database, and what could not be told. A table that has another name now is the same table.
    pub(crate) fn changes(&self, after: &Data) -> (Vec<TableChange>, Vec<SequenceChange>, Vec<String>) {
        let now: BTreeMap<&str, &str> = after
            .tables
            .iter()
            .map(|(name, table)| (&*table.oid, &**name))
            .collect();
        let tables = self.tables_changed(after, |table| now.get(&*table.oid).copied());
        let mut sequences = Vec::new();
        for (sequence, before) in &self.sequences {
            if let Some(now) = after.sequences.get(sequence)
                && now != before
            {
                sequences.push(SequenceChange {
                    sequence: sequence.clone(),
                    before: before.clone(),
                    after: now.clone(),
                });
            }
        }
        (tables, sequences, self.not_told(after))
    }

    /// What could not be read of either, in words.
    pub(crate) fn not_told(&self, other: &Data) -> Vec<String> {
        let unread = self.unread.iter().chain(&other.unread);
        let mut not_told: Vec<String> = unread
            .map(|(table, reason)| format!("the data of {table}: {reason}"))
            .collect();
        not_told.sort();
        not_told.dedup();
        not_told
    }

    /// What is otherwise in a clone, where tables that were made in both have other numbers: by name.
    pub(crate) fn differences(&self, clone: &Data) -> Vec<TableChange> {
        self.tables_changed(clone, |_| None)
    }

    /// The changes of each table, which is known by its name where `name_of` does not know it.
    fn tables_changed<'a>(&self, after: &'a Data, name_of: impl Fn(&Table) -> Option<&'a str>) -> Vec<TableChange> {
        let mut left: BTreeMap<&str, &Table> = after.tables.iter().map(|(name, table)| (&**name, table)).collect();
        let mut pairs: Vec<(&str, Option<&Table>, Option<&Table>)> = Vec::new();
        let mut by_name = Vec::new();
        for (name, table) in &self.tables {
            match name_of(table).and_then(|now| left.remove_entry(now)) {
                Some((now, other)) => pairs.push((now, Some(table), Some(other))),
                None => by_name.push((&**name, table)),
            }
        }
        for (name, table) in by_name {
            pairs.push((name, Some(table), left.remove(name)));
        }
        pairs.extend(left.into_iter().map(|(name, table)| (name, None, Some(table))));
        pairs.sort_by_key(|(name, ..)| *name);
        pairs
            .into_iter()
            .filter(|(name, ..)| !self.unread.contains_key(*name) && !after.unread.contains_key(*name))
            .filter_map(|(name, before, after)| change(name, before, after))
            .collect()
    }
}

fn change(name: &str, before: Option<&Table>, after: Option<&Table>) -> Option<TableChange> {
    let rows = |table: Option<&Table>| table.map(|table| table.rows);
    let mut change = TableChange {
        table: name.to_owned(),
        rows_before: rows(before),
        rows_after: rows(after),
        columns_changed: Vec::new(),
        columns_dropped: Vec::new(),
        loses: rows(before).unwrap_or(0) > rows(after).unwrap_or(0),
    };
    let (Some(before), Some(after)) = (before, after) else {
        return Some(change);
    };
    for (name, column) in &before.columns {
        let same_table = before.oid == after.oid;
        let now = match after.columns.get(name) {
            Some(now) if !same_table || now.number == column.number => Some((name, now)),
            // Renamed, or gone and another has its name.
            _ => after
                .columns
                .iter()
                .find(|(_, now)| same_table && now.number == column.number),
        };
        match now {
            None => {
                change.loses |= column.values > 0;
                change.columns_dropped.push((name.clone(), column.values));
            }
            // Other rows have other sums, which says nothing about those that stayed.
            Some((name, other))
                if (&other.hash, other.values) != (&column.hash, column.values) && before.rows == after.rows =>
            {
                change.columns_changed.push(name.clone());
            }
            Some(_) => {}
        }
    }
    let same_columns = before.columns.keys().eq(after.columns.keys());
    let permuted = same_columns
        && before.rows == after.rows
        && before.together != after.together
        && change.columns_changed.is_empty()
        && change.columns_dropped.is_empty();
    if permuted {
        // Every column has the values that it had, in other rows.
        change.columns_changed.extend(before.columns.keys().cloned());
    }
    let changed = before.rows != after.rows || !change.columns_changed.is_empty() || !change.columns_dropped.is_empty();
    changed.then_some(change)
}

fn open(target: &Target, run: &Run) -> Result<Connection> {
    let mut connection = Connection::open(target, run)?;
    connection.execute(
        "set search_path = pg_catalog, pg_temp; set row_security = off; set statement_timeout = 0; set timezone = 'UTC'; \
         set datestyle = 'ISO, YMD'; set intervalstyle = postgres; set extra_float_digits = 1; set bytea_output = hex; \
         set lc_monetary = 'C'; set application_name = 'pum rehearsal'",
    )?;
    Ok(connection)
}

fn questions(connection: &mut Connection, upgrades: &TableName) -> Result<Vec<Question>> {
    let rows = connection.query(
        "select format('%I.%I', n.nspname, c.relname), a.attname, a.attnum::text, c.oid::text from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace \
         left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
         where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
             and not (n.nspname = $1 and c.relname = $2) \
             and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid \
                 and d.deptype = 'e' and c.oid <> all (select unnest(extconfig) from pg_extension where extconfig is not null)) \
         order by pg_relation_size(c.oid) desc, 1, a.attnum",
        &[Some(&upgrades.schema), Some(&upgrades.name)],
    )?;
    let mut questions: Vec<Question> = Vec::new();
    for row in rows.iter() {
        if questions.last().is_none_or(|last| last.table != row.text(0)) {
            questions.push(Question {
                table: row.text(0).to_owned(),
                oid: row.text(3).to_owned(),
                columns: Vec::new(),
            });
        }
        if let (Some(question), Some(column)) = (questions.last_mut(), row.value(1)) {
            question.columns.push((column.to_owned(), row.text(2).to_owned()));
        }
    }
    Ok(questions)
}

fn sequences(connection: &mut Connection, upgrades: &TableName) -> Result<BTreeMap<String, Option<String>>> {
    let rows = connection.query(
        "select format('%I.%I', s.schemaname, s.sequencename), s.last_value::text from pg_sequences s \
         where not exists (select from pg_depend d join pg_class t on t.oid = d.refobjid \
             join pg_namespace n on n.oid = t.relnamespace \
             where d.classid = 'pg_class'::regclass and d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass \
                 and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') \
                 and n.nspname = $1 and t.relname = $2)",
        &[Some(&upgrades.schema), Some(&upgrades.name)],
    )?;
    Ok(rows
        .iter()
        .map(|row| (row.text(0).to_owned(), row.value(1).map(str::to_owned)))
        .collect())
}

fn work(
    target: &Target,
    queue: &Mutex<VecDeque<Question>>,
    found: &Mutex<Data>,
    total: usize,
    run: &Run,
) -> Result<()> {
    let mut connection = open(target, &run.quietly())?;
    loop {
        run.go_on()?;
        let (question, left) = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            match queue.pop_front() {
                Some(question) => (question, queue.len()),
                None => return Ok(()),
            }
        };
        let outcome = connection.query(&question.sql(), &[]);
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(rows) => {
                let text = |column| rows.value(0, column).unwrap_or_default();
                let number = |column| text(column).parse().unwrap_or(0);
                let columns = question.columns.iter().enumerate().map(|(place, (name, attribute))| {
                    let column = Column {
                        number: attribute.clone(),
                        values: number(2 + 2 * place),
                        hash: text(3 + 2 * place).to_owned(),
                    };
                    (name.clone(), column)
                });
                let table = Table {
                    oid: question.oid.clone(),
                    rows: number(0),
                    together: text(1).to_owned(),
                    columns: columns.collect(),
                };
                found.tables.insert(question.table, table);
            }
            Err(error) if error.server().is_some() && error.kind() == ErrorKind::Server => {
                found.unread.insert(question.table, error.message().to_owned());
            }
            Err(error) => return Err(error),
        }
        run.emit(Event::Progress {
            done: u64::try_from(total - left).unwrap_or(0),
            total: u64::try_from(total).ok(),
            unit: "tables",
        });
    }
}
