//! What a statement is, by its first words: transaction control, a command that cannot run in a transaction
//! block, COPY with data in the file. And what to do instead of a psql command.

use super::token::{self, Kind, Step};

/// What matters about a statement before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Begins, ends or prepares a transaction (PostgreSQL documentation, BEGIN, COMMIT, ROLLBACK, ...).
    TransactionControl(&'static str),
    /// PostgreSQL refuses it in a transaction block.
    OutsideTransaction(&'static str),
    /// `COPY ... FROM stdin`: data follow in the file.
    CopyFromStdin,
    Other,
}

use Command::{CopyFromStdin, Other, OutsideTransaction, TransactionControl};

/// A word in capitals, or what else stands in the statement, outside of parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Word(String),
    /// What stands inside of parentheses, token by token, in capitals.
    Group(Vec<String>),
    Else,
}

/// The words and groups of a statement, comments and white space left out.
struct Parts<'a> {
    sql: &'a [u8],
    position: usize,
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let mut group: Option<(usize, Vec<String>)> = None;
        loop {
            let Step::Token(kind, end) = token::step(self.sql, self.position, true) else {
                return None;
            };
            let text = &self.sql[self.position..end];
            self.position = end;
            match (kind, &mut group) {
                (Kind::Space | Kind::LineComment | Kind::BlockComment | Kind::Semicolon, _) => {}
                (Kind::Open, None) => group = Some((1, Vec::new())),
                (Kind::Open, Some((depth, _))) => *depth += 1,
                (Kind::Close, Some((1, tokens))) => {
                    return Some(Part::Group(std::mem::take(tokens)));
                }
                (Kind::Close, Some((depth, _))) => *depth -= 1,
                (_, Some((_, tokens))) => tokens.push(capitals(text)),
                (Kind::Word, None) => return Some(Part::Word(capitals(text))),
                (_, None) => return Some(Part::Else),
            }
        }
    }
}

/// The words of a statement outside of parentheses, in capitals.
pub(super) fn words(sql: &str) -> impl Iterator<Item = String> {
    let parts = Parts {
        sql: sql.as_bytes(),
        position: 0,
    };
    parts.filter_map(|part| match part {
        Part::Word(word) => Some(word),
        _ => None,
    })
}

/// The statement with spaces in place of its comments, byte for byte.
pub(super) fn without_comments(sql: &str) -> String {
    let bytes = sql.as_bytes();
    let mut code = String::with_capacity(sql.len());
    let mut position = 0;
    while let Step::Token(kind, end) = token::step(bytes, position, true) {
        match (kind, sql.get(position..end)) {
            (Kind::LineComment | Kind::BlockComment, _) | (_, None) => {
                code.extend(std::iter::repeat_n(' ', end - position));
            }
            (_, Some(text)) => code.push_str(text),
        }
        position = end;
    }
    code
}

fn capitals(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

/// What the statement is; `sql` begins with it or with a comment.
pub(super) fn command(sql: &str) -> Command {
    let mut parts = Parts {
        sql: sql.as_bytes(),
        position: 0,
    };
    let mut word = || match parts.next() {
        Some(Part::Word(word)) => word,
        _ => String::new(),
    };
    let first = word();
    match first.as_str() {
        "COPY" => copy(parts),
        "BEGIN" => TransactionControl("BEGIN"),
        "START" if word() == "TRANSACTION" => TransactionControl("START TRANSACTION"),
        "COMMIT" if word() == "PREPARED" => TransactionControl("COMMIT PREPARED"),
        "COMMIT" => TransactionControl("COMMIT"),
        "END" => TransactionControl("END"),
        "ABORT" => TransactionControl("ABORT"),
        "PREPARE" if word() == "TRANSACTION" => TransactionControl("PREPARE TRANSACTION"),
        "ROLLBACK" => {
            let mut next = word();
            if next == "PREPARED" {
                return TransactionControl("ROLLBACK PREPARED");
            }
            if next == "WORK" || next == "TRANSACTION" {
                next = word();
            }
            // ROLLBACK TO SAVEPOINT stays inside of the transaction.
            if next == "TO" {
                Other
            } else {
                TransactionControl("ROLLBACK")
            }
        }
        "VACUUM" => OutsideTransaction("VACUUM"),
        "DISCARD" if word() == "ALL" => OutsideTransaction("DISCARD ALL"),
        "CLUSTER" => cluster(parts),
        "REINDEX" => reindex(parts),
        "CREATE" | "DROP" => create_or_drop(&first, parts),
        "ALTER" => alter(parts),
        _ => Other,
    }
}

fn is_word(part: &Part, wanted: &str) -> bool {
    matches!(part, Part::Word(word) if word == wanted)
}

/// The grammar takes `FROM STDOUT` for `FROM STDIN` too.
fn copy(parts: Parts<'_>) -> Command {
    let mut after_from = false;
    for part in parts {
        if after_from && (is_word(&part, "STDIN") || is_word(&part, "STDOUT")) {
            return CopyFromStdin;
        }
        after_from = is_word(&part, "FROM");
    }
    Other
}

/// Without a table CLUSTER goes through all of them, each in a transaction of its own.
fn cluster(mut parts: Parts<'_>) -> Command {
    let table = parts.any(|part| match part {
        Part::Word(word) => word != "VERBOSE",
        Part::Group(_) => false,
        Part::Else => true,
    });
    if table { Other } else { OutsideTransaction("CLUSTER") }
}

fn reindex(mut parts: Parts<'_>) -> Command {
    let mut part = parts.next();
    let mut concurrently = false;
    if let Some(Part::Group(tokens)) = &part {
        let off = ["FALSE", "OFF", "0", "'FALSE'", "'OFF'"];
        concurrently = tokens.split(|token| token == ",").any(|option| {
            let value = option.get(1).map(String::as_str);
            option.first().is_some_and(|name| name == "CONCURRENTLY")
                && !value.is_some_and(|value| off.contains(&value))
        });
        part = parts.next();
    }
    let Some(Part::Word(what)) = part else {
        return Other;
    };
    concurrently |= parts.next().is_some_and(|part| is_word(&part, "CONCURRENTLY"));
    match (what.as_str(), concurrently) {
        ("DATABASE", _) => OutsideTransaction("REINDEX DATABASE"),
        ("SYSTEM", _) => OutsideTransaction("REINDEX SYSTEM"),
        ("SCHEMA", _) => OutsideTransaction("REINDEX SCHEMA"),
        (_, true) => OutsideTransaction("REINDEX CONCURRENTLY"),
        _ => Other,
    }
}

fn create_or_drop(first: &str, mut parts: Parts<'_>) -> Command {
    let create = first == "CREATE";
    let mut next = parts.next();
    if create && next.as_ref().is_some_and(|part| is_word(part, "UNIQUE")) {
        next = parts.next();
    }
    let Some(Part::Word(what)) = next else {
        return Other;
    };
    match (what.as_str(), create) {
        ("INDEX", _) if parts.next().is_some_and(|part| is_word(&part, "CONCURRENTLY")) => {
            OutsideTransaction(if create {
                "CREATE INDEX CONCURRENTLY"
            } else {
                "DROP INDEX CONCURRENTLY"
            })
        }
        ("DATABASE", true) => OutsideTransaction("CREATE DATABASE"),
        ("DATABASE", false) => OutsideTransaction("DROP DATABASE"),
        ("TABLESPACE", true) => OutsideTransaction("CREATE TABLESPACE"),
        ("TABLESPACE", false) => OutsideTransaction("DROP TABLESPACE"),
        // Whether it may run in a transaction depends on its options, and for DROP on the slot, which only
        // the server knows: it refuses those itself.
        ("SUBSCRIPTION", true) => {
            let slot_avoided = parts.any(|part| match part {
                Part::Group(tokens) => tokens.iter().any(|token| token == "CONNECT" || token == "CREATE_SLOT"),
                _ => false,
            });
            if slot_avoided {
                Other
            } else {
                OutsideTransaction("CREATE SUBSCRIPTION")
            }
        }
        _ => Other,
    }
}

fn alter(mut parts: Parts<'_>) -> Command {
    match parts.next() {
        Some(part) if is_word(&part, "SYSTEM") => OutsideTransaction("ALTER SYSTEM"),
        Some(part) if is_word(&part, "DATABASE") => {
            let parts: Vec<Part> = parts.take(3).collect();
            match parts.as_slice() {
                [_, set, tablespace] if is_word(set, "SET") && is_word(tablespace, "TABLESPACE") => {
                    OutsideTransaction("ALTER DATABASE SET TABLESPACE")
                }
                _ => Other,
            }
        }
        Some(part) if is_word(&part, "TABLE") => {
            let mut detach = false;
            let mut before = Part::Else;
            for part in parts {
                detach |= is_word(&before, "DETACH") && is_word(&part, "PARTITION");
                if detach && is_word(&part, "CONCURRENTLY") && !is_word(&before, "PARTITION") {
                    return OutsideTransaction("ALTER TABLE DETACH PARTITION CONCURRENTLY");
                }
                before = part;
            }
            Other
        }
        _ => Other,
    }
}

/// What to do instead of the psql command `name` (without its backslash).
pub(super) fn instead_of_psql(name: &str) -> &'static str {
    match name {
        "i" | "ir" | "include" | "include_relative" => {
            "put the content of that file into this one, or into a delta of its own"
        }
        "copy" => "use COPY ... FROM stdin; with the data on the lines after it and \\. on the last line",
        "set" | "unset" | "gset" | "prompt" | "getenv" | "bind" => {
            "give the value as a variable: -v TYPE NAME VALUE, and %(NAME)s in the file"
        }
        "c" | "connect" => {
            "remove it: a file runs in the one database that pum connects to; \
             use SET ROLE to act as another role"
        }
        "echo" | "qecho" | "warn" => "use DO $$ BEGIN RAISE NOTICE '...'; END $$;",
        "if" | "elif" | "else" | "endif" => "write the condition in SQL: DO $$ BEGIN IF ... THEN ... END IF; END $$;",
        "gexec" => "use DO $$ BEGIN EXECUTE format(...); END $$; with a loop",
        "g" | "gx" | "gdesc" | "crosstabview" | "watch" | ";" => "end the statement with a semicolon instead",
        "q" | "quit" => "remove it and what comes after it",
        "!" | "cd" | "o" | "out" | "w" | "write" => "pum runs no shell commands from SQL; do it in a Python delta",
        "." => "it ends the data of COPY ... FROM stdin; before it such a statement is missing or not complete",
        "encoding" => "remove it: files are read as UTF-8",
        "r" | "reset" => "remove it and the statement that it drops",
        "timing" | "pset" | "t" | "a" | "x" | "f" | "H" | "C" | "T" | "errverbose" => {
            "remove it: it changes only what psql shows"
        }
        "restrict" | "unrestrict" => {
            "only with its key alone, on a line between statements as pg_dump writes it, it is passed over"
        }
        name if name.starts_with('d') || matches!(name, "l" | "z" | "sf" | "sv" | "p") => {
            "remove it: it changes nothing in the database"
        }
        _ => "files are SQL only: remove it, or say the same in SQL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_control_is_known_by_its_words() {
        for (sql, name) in [
            ("begin", "BEGIN"),
            ("/* x */ Begin isolation level serializable;", "BEGIN"),
            ("START TRANSACTION READ ONLY", "START TRANSACTION"),
            ("commit and chain;", "COMMIT"),
            ("commit prepared 'x';", "COMMIT PREPARED"),
            ("END;", "END"),
            ("end work", "END"),
            ("abort", "ABORT"),
            ("rollback", "ROLLBACK"),
            ("rollback work and no chain", "ROLLBACK"),
            ("rollback prepared 'x'", "ROLLBACK PREPARED"),
            ("prepare transaction 'x'", "PREPARE TRANSACTION"),
        ] {
            assert_eq!(command(sql), TransactionControl(name), "{sql}");
        }
        for sql in [
            "savepoint a",
            "release a",
            "release savepoint a",
            "rollback to a",
            "rollback work to savepoint a",
            "rollback transaction -- x\n to a",
            "prepare p as select 1",
            "set transaction read only",
            "\"begin\"",
            "do $$ begin commit; end $$",
        ] {
            assert_eq!(command(sql), Other, "{sql}");
        }
    }

    #[test]
    fn commands_that_need_no_transaction_are_known_by_their_words() {
        for (sql, name) in [
            ("create index concurrently on t (a)", "CREATE INDEX CONCURRENTLY"),
            (
                "create unique index /* a */ concurrently i on t (a)",
                "CREATE INDEX CONCURRENTLY",
            ),
            ("drop index concurrently if exists i", "DROP INDEX CONCURRENTLY"),
            ("reindex table concurrently t", "REINDEX CONCURRENTLY"),
            ("reindex (verbose, concurrently) index i", "REINDEX CONCURRENTLY"),
            ("reindex (concurrently true) index i", "REINDEX CONCURRENTLY"),
            ("reindex schema s", "REINDEX SCHEMA"),
            ("reindex database", "REINDEX DATABASE"),
            ("reindex (verbose) system x", "REINDEX SYSTEM"),
            ("vacuum", "VACUUM"),
            ("vacuum (full) t", "VACUUM"),
            ("create database d", "CREATE DATABASE"),
            ("drop database d", "DROP DATABASE"),
            ("create tablespace t location '/x'", "CREATE TABLESPACE"),
            ("drop tablespace t", "DROP TABLESPACE"),
            ("alter system set work_mem = 1", "ALTER SYSTEM"),
            ("alter database d set tablespace t", "ALTER DATABASE SET TABLESPACE"),
            (
                "alter database \"d d\" set tablespace t",
                "ALTER DATABASE SET TABLESPACE",
            ),
            (
                "alter table only s.t detach partition s.p concurrently",
                "ALTER TABLE DETACH PARTITION CONCURRENTLY",
            ),
            (
                "create subscription s connection 'x' publication p",
                "CREATE SUBSCRIPTION",
            ),
            (
                "create subscription s connection 'x' publication p with (copy_data)",
                "CREATE SUBSCRIPTION",
            ),
            ("discard all", "DISCARD ALL"),
            ("cluster", "CLUSTER"),
            ("cluster verbose;", "CLUSTER"),
            ("cluster (verbose)", "CLUSTER"),
        ] {
            assert_eq!(command(sql), OutsideTransaction(name), "{sql}");
        }
        for sql in [
            "create index on t (a)",
            "create table concurrently (a int)",
            "drop index i",
            "reindex table t",
            "reindex (concurrently false) table t",
            "reindex (concurrently off, verbose) table t",
            "reindex (concurrently 0) table t",
            "reindex index \"concurrently\"",
            "refresh materialized view concurrently v",
            "alter database d set work_mem = 1",
            "alter table t detach partition p",
            "alter table t detach partition concurrently",
            "alter table t set tablespace x",
            "create subscription s connection 'x' publication p with (connect = false)",
            "drop subscription s",
            "discard temp",
            "cluster t",
            "cluster verbose \"T\"",
            "cluster (verbose) t using i",
            "select 'vacuum'",
            "analyze",
        ] {
            assert_eq!(command(sql), Other, "{sql}");
        }
    }

    #[test]
    fn copy_from_stdin_is_told_from_other_copies() {
        for sql in [
            "copy t from stdin",
            "COPY s.\"T\" (a, b) FROM STDIN WITH (FORMAT csv);",
            "copy t from -- x\n stdin csv",
        ] {
            assert_eq!(command(sql), CopyFromStdin, "{sql}");
        }
        for sql in [
            "copy t to stdout",
            "copy t from '/x'",
            "copy t from program 'x'",
            "copy (select * from stdin) to stdout",
        ] {
            assert_eq!(command(sql), Other, "{sql}");
        }
    }
}
