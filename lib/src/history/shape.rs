//! The form of an upgrades table: which relation can be one, and how one is made.

use super::{BASELINE, TableName};
use crate::connection::{Connection, Row, quote_identifier};
use crate::error::{Error, ErrorKind, Result};

/// The types of `pg_catalog` that a column may have: with others, what pum reads and writes would be something else, and a
/// cast to text that somebody made for a type of his own would be called.
type Types = &'static [&'static str];
const NUMBER: Types = &["int4", "int8", "int2", "numeric"];
const TEXT: Types = &["varchar", "text", "bpchar", "name"];
const MOMENT: Types = &["timestamp", "timestamptz", "date"];

/// What pum 0.10 wrote and any table must have.
const COLUMNS: [(&str, Types); 10] = [
    ("id", NUMBER),
    ("version", TEXT),
    ("description", TEXT),
    ("type", NUMBER),
    ("script", TEXT),
    ("checksum", TEXT),
    ("installed_by", TEXT),
    ("installed_on", MOMENT),
    ("execution_time", NUMBER),
    ("success", &["bool"]),
];

/// What pum 2 adds, each with its definition: null in rows that pum 0.10 writes.
const OWN_COLUMNS: [(&str, &str, Types); 5] = [
    ("run_id", "pg_catalog.uuid", &["uuid"]),
    ("digest", "pg_catalog.varchar(64)", TEXT),
    ("state", "pg_catalog.varchar(20)", TEXT),
    ("statements_done", "pg_catalog.int4", NUMBER),
    ("rehearsal", "pg_catalog.varchar(12)", TEXT),
];

/// A column as the table has it.
pub(super) struct Column {
    pub(super) name: String,
    /// As PostgreSQL writes it.
    kind: String,
    /// Its name in `pg_catalog`; none of a type that stands elsewhere.
    known: Option<String>,
}

/// # Errors
/// A column of pum 0.10 is missing, or one has a type that holds something else.
pub(super) fn fits(table: &TableName, columns: &[Column]) -> Result<()> {
    let no_table_of_pum = |why: String| {
        let message = format!("the table {table} is not an upgrades table of pum: {why}");
        Error::new(ErrorKind::Refused, message)
    };
    let find = |name: &str| columns.iter().find(|column| column.name == name);
    let missing: Vec<&str> = COLUMNS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| find(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(no_table_of_pum(format!("it has no column {}", missing.join(", ")))
            .with_hint("give the name of the table that `pum baseline` made with -t, or add what is missing by hand"));
    }
    let own = OWN_COLUMNS.iter().map(|(name, _, types)| (*name, *types));
    for (name, types) in COLUMNS.into_iter().chain(own) {
        if let Some(column) = find(name)
            && !column.known.as_deref().is_some_and(|known| types.contains(&known))
        {
            return Err(no_table_of_pum(format!("its column {name} is of the type {}", column.kind)).with_hint(format!(
                "give the name of the table that `pum baseline` made with -t, or make the column one of the type {}",
                types.first().unwrap_or(&"text")
            )));
        }
    }
    Ok(())
}

/// Whether the columns that pum 2 adds are all there.
pub(super) fn has_own_columns(columns: &[Column]) -> bool {
    OWN_COLUMNS
        .iter()
        .all(|(name, ..)| columns.iter().any(|column| column.name == *name))
}

/// What the owner of a table has to run who lets a user have some privileges, each as `INSERT ON water.info`.
pub(super) fn let_owner_grant(privileges: &[impl AsRef<str>], user: &str) -> String {
    let user = quote_identifier(user);
    let grants: Vec<String> = privileges
        .iter()
        .map(|privilege| format!("GRANT {} TO {user}", privilege.as_ref()))
        .collect();
    format!("let its owner run: {}", grants.join("; "))
}

/// Another table of the database that can hold a history, by its quoted name.
///
/// # Errors
/// What the server says.
pub(crate) fn other_table(connection: &mut Connection, table: &TableName) -> Result<Option<String>> {
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let found = connection.query(
        "select min(format('%I.%I', n.nspname, c.relname)) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in ('r', 'p') and not (n.nspname = $2::text and c.relname = $3::text) \
         and not exists (select from unnest(string_to_array($1::text, ',')) wanted (name) where not exists \
             (select from pg_attribute a where a.attrelid = c.oid and a.attname = wanted.name and not a.attisdropped))",
        &[Some(&columns.join(",")), Some(&table.schema), Some(&table.name)],
    )?;
    Ok(found.value(0, 0).map(str::to_owned))
}

/// Makes sure that the user may write rows and complete them, before a delta runs whose record could not be completed: one
/// that is not in a transaction would stay.
///
/// # Errors
/// A privilege is missing; the error names it.
pub(crate) fn refuse_unwritable(connection: &mut Connection, table: &TableName) -> Result<()> {
    let rows = connection.query(
        // Rows are completed in these columns, and an insert has them all.
        "select wanted || ' ON ' || $1::text, current_user::text from unnest(array['INSERT', 'UPDATE']) wanted \
         where exists (select from pg_attribute a where a.attrelid = $1::text::regclass and a.attnum > 0 \
             and not a.attisdropped and (wanted = 'INSERT' and a.attname = 'version' \
                 or a.attname in ('execution_time', 'success', 'run_id', 'digest', 'statements_done', 'state')) \
             and not has_column_privilege(a.attrelid, a.attnum, wanted)) \
         union all \
         select format('USAGE ON SEQUENCE %I.%I', n.nspname, s.relname), current_user::text from pg_depend d \
         join pg_class s on s.oid = d.objid join pg_namespace n on n.oid = s.relnamespace \
         where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass \
         and d.refobjid = $1::text::regclass and d.deptype = 'a' \
         and case when s.relkind = 'S' then not has_sequence_privilege(s.oid, 'USAGE, UPDATE') end",
        &[Some(&table.quoted())],
    )?;
    let lacking: Vec<&str> = rows.iter().map(|row| row.text(0)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let user = rows.iter().next().map(|row| row.text(1).to_owned()).unwrap_or_default();
    Err(Error::new(
        ErrorKind::Refused,
        format!(
            "the upgrades table {table} cannot be written: {user} lacks {}",
            lacking.join(", ")
        ),
    )
    .with_hint(let_owner_grant(&lacking, &user)))
}

/// The columns of the table, `None` when there is no such relation.
pub(super) fn columns(connection: &mut Connection, table: &TableName) -> Result<Option<Vec<Column>>> {
    let rows = connection.query(
        "select c.oid::text, c.relkind::text, c.relpersistence::text, (c.relrowsecurity and c.relforcerowsecurity)::text, \
         has_schema_privilege(n.oid, 'USAGE')::text, has_table_privilege(c.oid, 'SELECT')::text \
         from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1::text and c.relname = $2::text",
        &[Some(&table.schema), Some(&table.name)],
    )?;
    let Some(row) = rows.iter().next() else { return Ok(None) };
    let unfit = match (row.text(1), row.text(2)) {
        ("r", "u") => Some("it is unlogged, and a crash of the server would empty it"),
        ("r", _) if row.text(3) == "true" => Some("it has row security for its owner, which could hide rows"),
        ("r" | "p", _) => None,
        ("v" | "m", _) => Some("it is a view"),
        ("f", _) => Some("it is a foreign table"),
        ("S", _) => Some("it is a sequence"),
        ("i" | "I", _) => Some("it is an index"),
        _ => Some("it is not a table"),
    };
    if let Some(why) = unfit {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("{table} cannot be the upgrades table: {why}"),
        )
        .with_hint("give another name with -t"));
    }
    let wanted = [
        (4, format!("USAGE ON SCHEMA {}", quote_identifier(&table.schema))),
        (5, format!("SELECT ON {}", table.quoted())),
    ];
    let lacking: Vec<&String> = wanted
        .iter()
        .filter(|(column, _)| row.text(*column) != "true")
        .map(|(_, privilege)| privilege)
        .collect();
    if !lacking.is_empty() {
        let user = connection.parameter("user").unwrap_or_default();
        return Err(Error::new(
            ErrorKind::Refused,
            format!("the upgrades table {table} is there, and the user {user} may not read it"),
        )
        .with_hint(let_owner_grant(&lacking, &user)));
    }
    let rows = connection.query(
        "select a.attname::text, format_type(a.atttypid, a.atttypmod), \
         case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text end \
         from pg_attribute a join pg_type t on t.oid = a.atttypid \
         where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped",
        &[Some(row.text(0))],
    )?;
    let column = |row: Row<'_>| Column {
        name: row.text(0).to_owned(),
        kind: row.text(1).to_owned(),
        known: row.value(2).map(str::to_owned),
    };
    Ok(Some(rows.iter().map(column).collect()))
}

pub(super) fn add_own_columns(connection: &mut Connection, table: &TableName) -> Result<()> {
    let additions: Vec<String> = OWN_COLUMNS
        .iter()
        .map(|(name, kind, _)| format!("add column if not exists {name} {kind}"))
        .collect();
    connection.execute(&format!("alter table {} {}", table.quoted(), additions.join(", ")))
}

/// The names of the columns that pum 2 adds.
pub(crate) fn own_columns() -> impl Iterator<Item = &'static str> {
    OWN_COLUMNS.iter().map(|(name, ..)| *name)
}

/// Creates the table, and its schema when that is missing. Whether the schema was created is returned.
pub(crate) fn create_table(connection: &mut Connection, table: &TableName) -> Result<bool> {
    let schema_is_there = !connection
        .query(
            "select 1 from pg_namespace where nspname = $1::text",
            &[Some(&table.schema)],
        )?
        .is_empty();
    if !schema_is_there {
        connection.execute(&format!("create schema {}", quote_identifier(&table.schema)))?;
    }
    // The columns, types and the constraint of pum 0.10, which reads and writes this table too.
    connection.execute(&format!(
        "create table {} (\
         id serial primary key, \
         version varchar(50) not null, \
         description varchar(200) not null, \
         type integer not null, \
         script varchar(1000) not null, \
         checksum varchar(32) not null, \
         installed_by varchar(100) not null, \
         installed_on timestamp without time zone not null default now(), \
         execution_time integer not null, \
         success boolean not null, \
         exclude (version with =) where (type = {BASELINE}))",
        table.quoted()
    ))?;
    add_own_columns(connection, table)?;
    Ok(!schema_is_there)
}
