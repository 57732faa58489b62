//! What a dump holds and needs, known before anything is changed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use crate::connection::quote_identifier;
use crate::dump::archive::Archive;
use crate::dump::child::{Child, command};
use crate::dump::restore::RestoreOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Run;
use crate::script::Statements;

/// What a dump holds and needs.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The encoding of its text, such as `UTF8`.
    pub(super) encoding: String,
    /// The extensions that it creates.
    pub(super) extensions: BTreeSet<String>,
    /// The roles that its privileges and policies name.
    pub(super) roles: BTreeSet<String>,
    /// The lines of `pg_restore --list`; none of a plain dump.
    pub(super) list: Vec<String>,
    /// The SQL that made the database and its settings.
    pub(super) database: DatabaseDefinition,
}

/// How the database was defined that was dumped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DatabaseDefinition {
    /// What follows the name in `CREATE DATABASE`: template, encoding, locale.
    pub(super) options: Option<String>,
    /// Settings of the database and of roles in it: the statement before and after its name.
    pub(super) settings: Vec<(String, String)>,
}

impl Contents {
    /// Reads them; `pg_restore` is there for everything but a plain dump.
    pub(super) fn read(
        archive: &Archive,
        pg_restore: Option<&Path>,
        options: &RestoreOptions,
        run: &Run,
    ) -> Result<Contents> {
        let mut contents = Contents::default();
        let Some(pg_restore) = pg_restore else {
            let file = open(archive.path())?;
            contents.encoding = encoding_of(&beginning(&file)?).unwrap_or_default();
            contents.scan(archive.path(), Box::new(open(archive.path())?), run)?;
            return Ok(contents);
        };
        let ask = |arguments: &[&str]| {
            let mut command = command(pg_restore);
            command.args(arguments).arg("--file=-");
            exclude(&mut command, &options.exclude_schemas);
            command.arg("--").arg(archive.path());
            output(command, run)
        };
        let list = ask(&["--list"])?;
        contents.list = String::from_utf8_lossy(&list)
            .lines()
            .filter(|line| !line.starts_with(';') && !line.is_empty())
            .map(str::to_owned)
            .collect();
        let schema = ask(&["--schema-only", "--no-owner"])?;
        contents.encoding = encoding_of(&schema[..schema.len().min(BEGINNING)]).unwrap_or_default();
        // Text in another encoding goes through pg_restore only, and its needs show when it does.
        if contents.is_utf8() {
            contents.scan(archive.path(), Box::new(std::io::Cursor::new(schema)), run)?;
        }
        if let (true, Some(header)) = (options.create, archive.header()) {
            let text = ask(&["--create", "--schema-only", "--no-owner", "--no-tablespaces"])?;
            contents.database = DatabaseDefinition::read(&String::from_utf8_lossy(&text), &header.database);
        }
        Ok(contents)
    }

    pub(super) fn is_utf8(&self) -> bool {
        self.encoding == "UTF8"
    }

    /// The tables whose data the dump holds.
    pub(super) fn tables(&self) -> u64 {
        self.list.iter().filter_map(|line| entry(line, "TABLE DATA")).count() as u64
    }

    /// The list without and with only the data of tables that the dump does not create: an extension does, and has
    /// rows of its own in them.
    pub(super) fn extension_data(&self) -> (Vec<&str>, Vec<&str>) {
        let tables: BTreeSet<&str> = self.list.iter().filter_map(|line| entry(line, "TABLE")).collect();
        self.list
            .iter()
            .map(String::as_str)
            .partition(|line| entry(line, "TABLE DATA").is_none_or(|table| tables.contains(table)))
    }

    /// The list without what fills the materialized views.
    pub(super) fn without_filling(&self) -> Vec<&str> {
        let lines = self.list.iter().map(String::as_str);
        lines
            .filter(|line| entry(line, "MATERIALIZED VIEW DATA").is_none())
            .collect()
    }

    fn scan(&mut self, path: &Path, reader: Box<dyn Read + Send>, run: &Run) -> Result<()> {
        let mut statements = Statements::read_from(Arc::from(path), reader);
        while let Some(statement) = statements.next().map_err(|error| self.unreadable(path, error))? {
            run.go_on()?;
            self.note(statement.text());
        }
        Ok(())
    }

    fn unreadable(&self, path: &Path, error: Error) -> Error {
        if error.kind() != ErrorKind::Usage {
            return error;
        }
        if !self.is_utf8() && error.message().contains("not UTF-8") {
            return Error::new(
                ErrorKind::Refused,
                format!(
                    "\"{}\" is a plain dump in the encoding {}, and plain dumps are restored in UTF-8 only",
                    path.display(),
                    self.encoding
                ),
            )
            .with_hint("dump in the custom format, or plain with pg_dump --encoding=UTF8");
        }
        error
            .within(format_args!("\"{}\" cannot be restored", path.display()))
            .with_kind(ErrorKind::Refused)
    }

    /// Notes the extension or the roles that a statement needs.
    fn note(&mut self, statement: &str) {
        let words = |text: &str| Words(text).collect::<Vec<Word>>();
        if let Some(rest) = statement.strip_prefix("CREATE EXTENSION ") {
            let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
            if let Some(Word::Name(name)) = Words(rest).next() {
                self.extensions.insert(name);
            }
        } else if statement.starts_with("GRANT ") || statement.starts_with("REVOKE ") {
            self.roles_after(&words(statement), &["TO", "FROM"]);
        } else if statement.starts_with("CREATE POLICY ") {
            let words = words(statement);
            // What follows the roles is free text.
            let end = words
                .iter()
                .position(|word| word.is("USING") || word.is("WITH"))
                .unwrap_or(words.len());
            self.roles_after(&words[..end], &["TO"]);
        } else if statement.starts_with("ALTER DEFAULT PRIVILEGES ") {
            let words = words(statement);
            self.roles_after(&words, &["ROLE"]);
            self.roles_after(&words, &["TO", "FROM"]);
        }
    }

    /// The names in a list after the last of these words.
    fn roles_after(&mut self, words: &[Word], keywords: &[&str]) {
        let Some(start) = words
            .iter()
            .rposition(|word| keywords.iter().any(|keyword| word.is(keyword)))
        else {
            return;
        };
        let mut rest = words[start + 1..].iter();
        while let Some(Word::Name(name)) = rest.next() {
            if name != "PUBLIC" && name != "public" {
                self.roles.insert(name.clone());
            }
            if !matches!(rest.next(), Some(Word::Symbol(','))) {
                break;
            }
        }
    }
}

impl DatabaseDefinition {
    /// Finds them in the output of `pg_restore --create`, which holds the commands of psql that connect to it.
    fn read(text: &str, name: &str) -> DatabaseDefinition {
        let names = [name.to_owned(), quote_identifier(name)];
        let mut definition = DatabaseDefinition::default();
        for line in text.lines() {
            let Some(line) = line.strip_suffix(';') else {
                continue;
            };
            for name in &names {
                if let Some(options) = line.strip_prefix(&format!("CREATE DATABASE {name} WITH ")) {
                    definition.options.get_or_insert_with(|| options.to_owned());
                } else if let Some(setting) = line.strip_prefix(&format!("ALTER DATABASE {name} SET ")) {
                    definition.add("ALTER DATABASE".to_owned(), format!("SET {setting}"));
                } else if line.starts_with("ALTER ROLE ")
                    && let Some((role, setting)) = line.split_once(&format!(" IN DATABASE {name} SET "))
                {
                    definition.add(format!("{role} IN DATABASE"), format!("SET {setting}"));
                }
            }
            // The first object of the database comes after them.
            if line.starts_with("CREATE SCHEMA ") || line.starts_with("CREATE TABLE ") {
                break;
            }
        }
        definition
    }

    fn add(&mut self, before: String, after: String) {
        let setting = (before, after);
        if !self.settings.contains(&setting) {
            self.settings.push(setting);
        }
    }
}

/// What a line of the list says after the kind of the entry, such as `water pipe postgres` for a table.
/// Lines read `4365; 0 17565 TABLE DATA water pipe postgres`.
fn entry<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    let rest = line.split_once("; ")?.1;
    let rest = rest.split_once(' ')?.1.split_once(' ')?.1;
    let rest = rest.strip_prefix(kind)?.strip_prefix(' ')?;
    // `TABLE` begins `TABLE DATA` and `TABLE ATTACH` too, and a schema may be named DATA: in capitals it is seldom.
    (kind != "TABLE" || !(rest.starts_with("DATA ") || rest.starts_with("ATTACH "))).then_some(rest)
}

/// A word of a statement: a name as the server reads it, or a symbol. Texts in quotes are left out.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Name(String),
    Symbol(char),
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Name(name) if name == keyword)
    }
}

/// The words of a statement that pg_dump wrote, whose keywords are in capitals and whose names are quoted when they
/// hold a capital.
struct Words<'a>(&'a str);

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        self.0 = self.0.trim_start();
        let first = self.0.chars().next()?;
        if first == '"' || first == '\'' {
            let mut name = String::new();
            let mut rest = self.0[1..].chars();
            while let Some(character) = rest.next() {
                if character != first {
                    name.push(character);
                } else if rest.as_str().starts_with(first) {
                    rest.next();
                    name.push(character);
                } else {
                    break;
                }
            }
            self.0 = rest.as_str();
            return Some(if first == '"' {
                Word::Name(name)
            } else {
                Word::Symbol('\'')
            });
        }
        let is_name = |character: char| character.is_alphanumeric() || character == '_' || character == '$';
        let length = self.0.find(|character| !is_name(character)).unwrap_or(self.0.len());
        let (name, rest) = self
            .0
            .split_at(length.max(if length == 0 { first.len_utf8() } else { 0 }));
        self.0 = rest;
        Some(if length == 0 {
            Word::Symbol(first)
        } else {
            Word::Name(name.to_owned())
        })
    }
}

pub(super) fn exclude(command: &mut std::process::Command, schemas: &[String]) {
    for schema in schemas {
        command.arg(format!("--exclude-schema={schema}"));
    }
}

/// What a program writes to its stdout.
fn output(mut command: std::process::Command, run: &Run) -> Result<Vec<u8>> {
    command.stdout(Stdio::piped());
    let mut child = Child::start(command, run, |_| {})?;
    let mut text = Vec::new();
    if let Some(mut stdout) = child.take_stdout() {
        stdout
            .read_to_end(&mut text)
            .map_err(|error| Error::io("cannot read what pg_restore writes", &error))?;
    }
    let ended = child.wait(run, || {})?;
    if ended.status.success() {
        Ok(text)
    } else {
        Err(ended.error("pg_restore"))
    }
}

/// How far into a dump its encoding is looked for.
const BEGINNING: usize = 64 * 1024;

fn encoding_of(start: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(start);
    start.lines().find_map(|line| {
        let encoding = line
            .trim_end()
            .strip_prefix("SET client_encoding = '")?
            .strip_suffix("';")?;
        Some(encoding.to_owned())
    })
}

fn open(path: &Path) -> Result<File> {
    fs::File::open(path).map_err(|error| Error::io(format_args!("cannot read \"{}\"", path.display()), &error))
}

fn beginning(file: &File) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(BEGINNING as u64)
        .read_to_end(&mut start)
        .map_err(|error| Error::io("cannot read the beginning of the dump", &error))?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(statements: &[&str]) -> Contents {
        let mut contents = Contents::default();
        for statement in statements {
            contents.note(statement);
        }
        contents
    }

    #[test]
    fn roles_of_privileges_and_policies_are_found() {
        let contents = noted(&[
            "GRANT SELECT(\"TO\"),UPDATE(b) ON TABLE a.t TO reader WITH GRANT OPTION;",
            "GRANT ALL ON SCHEMA \"to\" TO PUBLIC;",
            "REVOKE ALL ON FUNCTION a.f(x text) FROM \"Odd \"\"role\"\"\";",
            "CREATE POLICY \"p TO q\" ON a.t FOR SELECT TO one, \"Two\" USING ((owner = 'x TO y'::text));",
            "ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA a GRANT SELECT ON TABLES  TO viewer;",
        ]);
        let roles: Vec<&str> = contents.roles.iter().map(String::as_str).collect();
        assert_eq!(roles, ["Odd \"role\"", "Two", "maker", "one", "reader", "viewer"]);
    }

    #[test]
    fn extensions_are_found() {
        let contents = noted(&["CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;"]);
        assert!(contents.extensions.contains("uuid-ossp"));
    }

    #[test]
    fn data_of_tables_that_an_extension_makes_are_told_apart() {
        let contents = Contents {
            list: [
                "224; 1259 17565 TABLE a t postgres",
                "4365; 0 17565 TABLE DATA a t postgres",
                "4206; 0 16703 TABLE DATA public spatial_ref_sys postgres",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Contents::default()
        };
        let (rest, extension) = contents.extension_data();
        assert_eq!(rest.len(), 2);
        assert_eq!(extension, ["4206; 0 16703 TABLE DATA public spatial_ref_sys postgres"]);
        assert_eq!(contents.tables(), 2);
    }

    #[test]
    fn the_definition_of_the_database_is_found() {
        let text = "CREATE DATABASE \"My db\" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';\n\n\
                    \\connect \"My db\"\n\
                    ALTER DATABASE \"My db\" SET work_mem TO '5MB';\n\
                    ALTER ROLE joe IN DATABASE \"My db\" SET search_path TO 'a', 'b';\n\
                    CREATE SCHEMA a;\nALTER DATABASE \"My db\" SET planted TO 'x';\n";
        let definition = DatabaseDefinition::read(text, "My db");
        assert_eq!(
            definition.options.as_deref(),
            Some("TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C'")
        );
        assert_eq!(
            definition.settings,
            [
                ("ALTER DATABASE".to_owned(), "SET work_mem TO '5MB'".to_owned()),
                (
                    "ALTER ROLE joe IN DATABASE".to_owned(),
                    "SET search_path TO 'a', 'b'".to_owned()
                ),
            ]
        );
    }
}
