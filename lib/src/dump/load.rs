//! Runs the SQL of a dump over a session of our own, statement by statement.
//!
//! A plain dump is read from its file, an archive from `pg_restore --file=-`. Compared with letting `pg_restore` talk to
//! the server, every error has its SQLSTATE, so that what is harmless can be told from what is not, in a single
//! transaction too; and it ends with us.

use std::time::{Duration, Instant};

use crate::connection::{Connection, CopySource, TransactionStatus};
use crate::dump::restore::PassedOver;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::script::{Statement, Statements};

/// How the statements are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// All in one transaction, which is left open for the caller to commit.
    pub(super) single: bool,
    /// Errors are noted, and it goes on.
    pub(super) ignore_errors: bool,
    /// The places in the file mean something to the user: it is his file.
    pub(super) plain: bool,
    /// Tables in all, or bytes of the user's file, for the progress.
    pub(super) total: Option<u64>,
}

/// How often progress is told.
const INTERVAL: Duration = Duration::from_millis(100);

impl Load {
    /// Runs them to their end.
    pub(super) fn run(
        self,
        statements: &mut Statements,
        connection: &mut Connection,
        passed_over: &mut Vec<PassedOver>,
        run: &Run,
    ) -> Result<()> {
        connection.execute("set intervalstyle = postgres")?;
        if self.single {
            connection.execute("begin")?;
        }
        let mut owners = 0_u64;
        let mut done = 0;
        let mut told: Option<Instant> = None;
        while let Some(statement) = statements.next()? {
            let text = statement.text();
            if self.single && matches!(text, "BEGIN;" | "COMMIT;") {
                // pg_dump puts them around large objects.
                continue;
            }
            if sets_owner(text) {
                owners += 1;
                continue;
            }
            let mut copied = 0;
            let outcome = if statement.copies_from_stdin() {
                let mut data = || {
                    let data = statements.copy_data()?;
                    copied += data.as_ref().map_or(0, |data| data.len() as u64);
                    Ok(data)
                };
                self.copy(text, &mut data, connection, passed_over)
            } else {
                self.statement(text, connection, passed_over)
            };
            match outcome {
                Ok(()) => {}
                Err(error) if self.ignore_errors && error.kind() == ErrorKind::Server => {
                    note(passed_over, class(text, &error), false, 1, words(&error));
                }
                Err(error) => return Err(self.explain(error, &statement)),
            }
            done += match self.plain {
                true => text.len() as u64 + copied,
                false => u64::from(statement.copies_from_stdin()),
            };
            if told.is_none_or(|told| told.elapsed() > INTERVAL) {
                self.tell(done, run);
                told = Some(Instant::now());
            }
        }
        self.tell(self.total.unwrap_or(done), run);
        if owners > 0 {
            run.emit(Event::Message(format!(
                "{owners} statements that set an owner were left out: everything belongs to the role that restores"
            )));
        }
        Ok(())
    }

    fn tell(self, done: u64, run: &Run) {
        run.emit(Event::Progress {
            done,
            total: self.total,
            unit: if self.plain { "bytes" } else { "tables" },
        });
    }

    fn statement(self, text: &str, connection: &mut Connection, passed_over: &mut Vec<PassedOver>) -> Result<()> {
        let Some(leftover) = Leftover::of(text) else {
            return connection.run_statement(text, None).map(drop);
        };
        let in_transaction = connection.transaction_status() == TransactionStatus::InTransaction;
        if in_transaction {
            connection.execute("savepoint pum_leftover")?;
        }
        let outcome = connection.run_statement(text, None);
        match outcome {
            Ok(_) if in_transaction => connection.execute("release savepoint pum_leftover"),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Server && error.sqlstate() == Some(leftover.sqlstate) => {
                if in_transaction {
                    connection.execute("rollback to savepoint pum_leftover; release savepoint pum_leftover")?;
                }
                note(passed_over, class(text, &error), true, 1, words(&error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn copy(
        self,
        text: &str,
        data: CopySource<'_>,
        connection: &mut Connection,
        passed_over: &mut Vec<PassedOver>,
    ) -> Result<()> {
        let Some((table, rest)) = copy_target(text) else {
            return connection.run_statement(text, Some(data)).map(drop);
        };
        if !belongs_to_extension(connection, table)? {
            return connection.run_statement(text, Some(data)).map(drop);
        }
        // The extension has made the table and put its own rows there, such as the coordinate systems of PostGIS. Of the
        // dumped rows those come in that it does not have; COPY alone would fail with the first that it has.
        let own = connection.transaction_status() == TransactionStatus::Idle;
        if own {
            connection.execute("begin")?;
        }
        let outcome = copy_missing_rows(connection, table, rest, data);
        match outcome {
            Ok(known) => {
                if own {
                    connection.execute("commit")?;
                }
                if known > 0 {
                    let first = format!("{table} has {known} of the rows already");
                    note(passed_over, "rows of an extension", true, known, first);
                }
                Ok(())
            }
            Err(error) => {
                if own {
                    connection.rollback();
                }
                Err(error)
            }
        }
    }

    /// Names the statement, and the place in a plain dump.
    fn explain(self, error: Error, statement: &Statement) -> Error {
        if error.kind() != ErrorKind::Server {
            return error;
        }
        let lock_table_full = error.sqlstate() == Some("53200");
        let position = error.server().and_then(|server| server.position);
        let error = if self.plain {
            error.at(statement.location(position))
        } else {
            let first = statement.text().lines().next().unwrap_or("");
            let short: String = first.chars().take(120).collect();
            error.within(format_args!("the server refused `{short}`"))
        };
        if lock_table_full {
            return error.with_hint(
                "a restore in one transaction needs a lock for each table and index: raise max_locks_per_transaction, \
                 or restore with several jobs, which is not one transaction",
            );
        }
        match class(statement.text(), &error) {
            "already exists" => error.with_hint("restore into an empty database"),
            "duplicate rows" if in_catalog(&error) => {
                error.with_hint("another restore may be at work in the same database: wait for it and look what is there then")
            }
            "missing object" if in_function(&error) => error.with_hint(
                "this is a fault of the database and not of the dump: a restore has no search_path, and the body of that \
                 function names something without its schema. Name the schema there, or give the function its own path \
                 (ALTER FUNCTION ... SET search_path), and dump again",
            ),
            "not permitted" if error.message().contains("permission denied for database") => error.with_hint(
                "a schema can be made by who owns the database or has CREATE on it: let its owner run GRANT CREATE ON DATABASE \
                 ... TO ..., or restore as that owner",
            ),
            _ => error.with_hint("mend what the server names, or pass over errors (-x) to see all of them"),
        }
    }
}

/// Whether a function was at work when the server met the error.
fn in_function(error: &Error) -> bool {
    let context = error.server().and_then(|server| server.context.as_deref());
    context.is_some_and(|context| context.contains("function"))
}

/// Whether two sessions made the same object at once: the later one meets it in an index of a catalog, which it had not
/// seen before.
fn in_catalog(error: &Error) -> bool {
    // No name of an object made by users begins so, save that of an index or a constraint, which PostgreSQL does not forbid.
    error.message().contains("unique constraint \"pg_")
}

/// A statement that may fail in one way without harm, because what it makes is there already or is of no account.
struct Leftover {
    sqlstate: &'static str,
}

impl Leftover {
    fn of(statement: &str) -> Option<Leftover> {
        const DUPLICATE_SCHEMA: &str = "42P06";
        const DUPLICATE_OBJECT: &str = "42710";
        const UNDEFINED_OBJECT: &str = "42704";
        const NOT_PERMITTED: &str = "42501";
        // Objects of the dump come into the schema that is there. Dumps of PostgreSQL before 11 create even `public`.
        const LEFTOVERS: [(&str, &str); 6] = [
            ("CREATE SCHEMA ", DUPLICATE_SCHEMA),
            ("CREATE PROCEDURAL LANGUAGE ", DUPLICATE_OBJECT),
            // Only a superuser installed them; the role that restores need not be one.
            ("COMMENT ON EXTENSION ", NOT_PERMITTED),
            ("COMMENT ON SCHEMA ", NOT_PERMITTED),
            ("COMMENT ON LANGUAGE ", NOT_PERMITTED),
            // A setting of the restoring session that only newer servers have, such as transaction_timeout.
            ("SET ", UNDEFINED_OBJECT),
        ];
        let on_public = (statement.starts_with("GRANT ") || statement.starts_with("REVOKE "))
            && statement.contains(" ON SCHEMA public ");
        if on_public {
            return Some(Leftover {
                sqlstate: NOT_PERMITTED,
            });
        }
        LEFTOVERS
            .iter()
            .find(|(start, _)| statement.starts_with(start))
            .map(|(_, sqlstate)| Leftover { sqlstate })
    }
}

/// Whether it is `ALTER ... OWNER TO role;`, which plain dumps hold.
fn sets_owner(statement: &str) -> bool {
    let Some((_, role)) = statement.rsplit_once(" OWNER TO ") else {
        return false;
    };
    let role = role.trim_end_matches(';').trim_end();
    let bare = role
        .chars()
        .all(|character| character.is_alphanumeric() || "_$".contains(character));
    let quoted = role.len() > 2 && role.starts_with('"') && role.ends_with('"');
    statement.starts_with("ALTER ") && (bare || quoted)
}

/// The table of `COPY table (columns) FROM stdin;` and what follows it.
fn copy_target(statement: &str) -> Option<(&str, &str)> {
    let rest = statement.strip_prefix("COPY ")?;
    let mut quoted = false;
    let end = rest.find(|character: char| {
        quoted ^= character == '"';
        !quoted && (character == ' ' || character == '(')
    })?;
    Some(rest.split_at(end))
}

fn belongs_to_extension(connection: &mut Connection, table: &str) -> Result<bool> {
    // A table that is missing is for the COPY to complain about.
    let found = connection.query(
        "select from pg_catalog.pg_depend
         where classid operator(pg_catalog.=) 1259::pg_catalog.oid
           and objid operator(pg_catalog.=) pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid
           and deptype operator(pg_catalog.=) 'e'::pg_catalog.\"char\"",
        &[Some(table)],
    )?;
    Ok(!found.is_empty())
}

/// Copies into a temporary table and takes over the rows that break no constraint; returns how many were left.
fn copy_missing_rows(connection: &mut Connection, table: &str, rest: &str, data: CopySource<'_>) -> Result<u64> {
    let columns = rest.rfind(')').map_or("", |end| rest[..=end].trim());
    let names = columns
        .strip_prefix('(')
        .and_then(|columns| columns.strip_suffix(')'))
        .unwrap_or("*");
    connection.execute(&format!("create temporary table pum_rows (like {table})"))?;
    let copied = connection.run_statement(&format!("COPY pg_temp.pum_rows{rest}"), Some(data))?;
    let inserted = connection.run_statement(
        &format!(
            "insert into {table} {columns} overriding system value select {names} from pg_temp.pum_rows on conflict do nothing"
        ),
        None,
    )?;
    connection.execute("drop table pg_temp.pum_rows")?;
    Ok(copied.rows.saturating_sub(inserted.rows))
}

/// What an error is about, by its SQLSTATE (PostgreSQL documentation, "Error Codes") and the statement.
fn class(statement: &str, error: &Error) -> &'static str {
    let starts = |starts: &[&str]| starts.iter().any(|start| statement.starts_with(start));
    match error.sqlstate().unwrap_or("") {
        "42P06" | "42P07" | "42710" | "42723" | "42701" | "42P16" => "already exists",
        "23505" => "duplicate rows",
        "42704" if starts(&["SET "]) => "setting unknown to this server",
        "42704" if starts(&["GRANT ", "REVOKE ", "CREATE POLICY ", "ALTER DEFAULT PRIVILEGES "]) => "role missing",
        "42501" => "not permitted",
        _ if starts(&["CREATE EXTENSION "]) => "extension missing",
        "42704" | "42P01" | "42883" | "42703" | "3F000" => "missing object",
        "25P02" => "after an error in the same transaction",
        state if state.starts_with("23") => "constraint violated",
        _ => "other",
    }
}

fn words(error: &Error) -> String {
    match error.server().and_then(|server| server.detail.as_ref()) {
        Some(detail) => format!("{}; {detail}", error.message()),
        None => error.message().to_owned(),
    }
}

/// Counts an error in its class.
pub(super) fn note(passed_over: &mut Vec<PassedOver>, class: &'static str, harmless: bool, count: u64, first: String) {
    let known = passed_over
        .iter_mut()
        .find(|known| (known.class, known.harmless) == (class, harmless));
    match known {
        Some(known) => known.count += count,
        None => passed_over.push(PassedOver {
            class,
            harmless,
            count,
            first,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told_from_texts_that_look_like_them() {
        assert!(sets_owner("ALTER TABLE a.t OWNER TO postgres;"));
        assert!(sets_owner(
            "ALTER FUNCTION a.\"f OWNER TO x\"(integer) OWNER TO \"Some body\";"
        ));
        assert!(!sets_owner("COMMENT ON TABLE a.t IS 'ALTER x OWNER TO y';"));
        assert!(!sets_owner("ALTER TABLE a.t ALTER c SET DEFAULT ' OWNER TO y';"));
    }

    #[test]
    fn the_table_of_a_copy_is_found() {
        assert_eq!(
            copy_target("COPY public.spatial_ref_sys (srid) FROM stdin;"),
            Some(("public.spatial_ref_sys", " (srid) FROM stdin;"))
        );
        assert_eq!(
            copy_target("COPY \"a b\".\"c (d\" (\"x)\") FROM stdin;"),
            Some(("\"a b\".\"c (d\"", " (\"x)\") FROM stdin;"))
        );
    }
}
