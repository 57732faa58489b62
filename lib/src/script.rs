//! A SQL file: split into statements by psql's rules, with its variables replaced; nothing is executed here.

mod command;
mod content;
mod directive;
mod remark;
mod secret;
mod source;
mod split;
mod token;
mod variables;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub(crate) use content::{file_digests, same_content};
pub(crate) use directive::Allowance;
pub(crate) use secret::{hidden, secrets};
pub use variables::{Value, Variables};

use crate::error::{Error, ErrorKind, Location, Result};
use command::Command;
use source::{Fingerprint, Hashes, Place, Source};
use split::{Piece, Splitter};
use variables::Mark;

/// A SQL file that was read once from end to end and found sound. Nothing was executed, and its content is
/// not held in memory.
///
/// It is UTF-8 (a byte-order mark is passed over) and split as psql does. Data after `COPY ... FROM stdin`
/// and the lines `\restrict` and `\unrestrict` of pg_dump's output are understood; every other psql command
/// is refused.
///
/// With variables, `%(NAME)s` and `%%` are replaced in the statements, inside quotes and inner comments too,
/// as pum 0.10 did; not in comments between statements, nor in COPY data. Without variables a `%` is a `%`.
#[derive(Debug)]
pub struct Script {
    path: Arc<Path>,
    variables: Arc<Variables>,
    fingerprint: Fingerprint,
    no_transaction: bool,
    statement_count: usize,
    enclosed: bool,
    transaction_control: Vec<(Location, String)>,
    outside_transaction: Vec<(Location, String)>,
    remarks: Vec<(Location, String)>,
}

impl Script {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read; [`ErrorKind::Usage`] with the place in the file when it is
    /// not UTF-8, holds a NUL byte, a psql command or a statement of 1 GB, leaves a quote, comment, parenthesis or COPY data open,
    /// uses a variable that was not given or a lone `%` in a run with variables, or has an unknown header
    /// `-- pum: ...`.
    pub fn open(path: &Path, variables: &Variables) -> Result<Script> {
        let path: Arc<Path> = Arc::from(path);
        let variables = Arc::new(variables.clone());
        let mut statements = Statements::begin(path.clone(), variables.clone(), None, Hashes::with_checksum())?;
        let mut transaction_control = Vec::new();
        let mut outside_transaction = Vec::new();
        let mut remarks = Vec::new();
        let (mut first_controls, mut last_controls) = (false, false);
        while let Some(statement) = statements.next()? {
            last_controls = statement.is_transaction_control();
            first_controls |= last_controls && statement.number == 1;
            if remarks.len() < REMARKS {
                remarks.extend(statement.remarks());
            }
            let (list, name) = match statement.command {
                Command::TransactionControl(name) => (&mut transaction_control, name),
                Command::OutsideTransaction(name) => (&mut outside_transaction, name),
                Command::CopyFromStdin | Command::Other => continue,
            };
            list.push((statement.location(None), name.to_owned()));
        }
        Ok(Script {
            path,
            variables,
            fingerprint: statements.splitter.source.fingerprint(),
            no_transaction: statements.no_transaction(),
            statement_count: statements.count,
            enclosed: first_controls && last_controls,
            transaction_control,
            outside_transaction,
            remarks,
        })
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// md5 of the bytes in hexadecimal digits: the checksum in the upgrades table, as pum 0.10 wrote it.
    pub fn checksum(&self) -> &str {
        &self.fingerprint.checksum
    }

    /// SHA-256 in hexadecimal digits of the text without byte-order mark and with `\n` line ends, which are
    /// no change of a file.
    pub fn digest(&self) -> &str {
        &self.fingerprint.digest
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.fingerprint.length
    }

    /// Whether the header line `-- pum: no-transaction` stands before the first statement.
    pub fn no_transaction(&self) -> bool {
        self.no_transaction
    }

    /// How many statements there are; none in a file that is empty or holds only comments.
    pub fn statement_count(&self) -> usize {
        self.statement_count
    }

    /// The statements that begin, end or prepare a transaction, such as BEGIN and COMMIT, with their names.
    /// Savepoints are none of them.
    pub fn transaction_control(&self) -> &[(Location, String)] {
        &self.transaction_control
    }

    /// The statements that PostgreSQL refuses in a transaction block, such as CREATE INDEX CONCURRENTLY,
    /// with their names. Where only the server can know (REINDEX of a partitioned table, DROP SUBSCRIPTION),
    /// it is left to the server.
    pub fn outside_transaction(&self) -> &[(Location, String)] {
        &self.outside_transaction
    }

    /// What a person should know of statements before they run and would not see in the file: characters that cannot be
    /// seen in names, and what reaches the server's machine. Of very many the first only.
    pub(crate) fn remarks(&self) -> &[(Location, String)] {
        &self.remarks
    }

    /// Whether the file is wrapped in a BEGIN and a COMMIT or END of its own, the first and the last of its
    /// statements, with no other transaction control: the same as without them, in a transaction of pum.
    pub fn enclosing_transaction(&self) -> bool {
        let names: Vec<&str> = self.transaction_control.iter().map(|(_, name)| name.as_str()).collect();
        self.enclosed && matches!(names.as_slice(), ["BEGIN" | "START TRANSACTION", "COMMIT" | "END"])
    }

    /// Reads the file again, statement by statement.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read, [`ErrorKind::Refused`] when it has another size now.
    pub fn statements(&self) -> Result<Statements> {
        let expected = Some(self.fingerprint.clone());
        let hashes = Hashes::without_checksum();
        Statements::begin(self.path.clone(), self.variables.clone(), expected, hashes)
    }
}

/// How many remarks are made on a file.
const REMARKS: usize = 20;

/// The statements of a [`Script`], one at a time, in the memory that the longest takes.
pub struct Statements {
    splitter: Splitter,
    variables: Arc<Variables>,
    expected: Option<Fingerprint>,
    count: usize,
}

impl Statements {
    /// The statements of a file of which nothing is wanted before they are read: found sound as they come, as by
    /// [`Script::open`].
    pub(crate) fn of_file(path: &Path, variables: &Variables) -> Result<Statements> {
        let (path, variables) = (Arc::from(path), Arc::new(variables.clone()));
        Statements::begin(path, variables, None, Hashes::without_checksum())
    }

    fn begin(
        path: Arc<Path>,
        variables: Arc<Variables>,
        expected: Option<Fingerprint>,
        hashes: Hashes,
    ) -> Result<Statements> {
        let refused = |error| Error::io(format!("cannot read \"{}\"", path.display()), &error);
        // Looked at before it is opened: opening a named pipe would wait for a writer.
        let metadata = path.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("\"{}\" is not a regular file", path.display()),
            ));
        }
        if expected
            .as_ref()
            .is_some_and(|expected| expected.length != metadata.len())
        {
            return Err(changed(&path));
        }
        let file = File::open(&path).map_err(refused)?;
        let mut statements = Statements::new(path, Box::new(file), hashes);
        statements.variables = variables;
        statements.expected = expected;
        Ok(statements)
    }

    /// The statements that `reader` gives, without variables and read only once; `path` names it in messages.
    pub(crate) fn read_from(path: Arc<Path>, reader: Box<dyn Read + Send>) -> Statements {
        Statements::new(path, reader, Hashes::without_checksum())
    }

    fn new(path: Arc<Path>, reader: Box<dyn Read + Send>, hashes: Hashes) -> Statements {
        Statements {
            splitter: Splitter::new(Source::new(path, reader, None, hashes)),
            variables: Arc::new(Variables::default()),
            expected: None,
            count: 0,
        }
    }

    /// The next statement; none at the end. COPY data that were not taken are passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the file cannot be read; [`ErrorKind::Refused`] when its bytes are not those
    /// that [`Script::open`] read, which shows at the end of the file at the latest: commit only after it.
    #[allow(clippy::should_implement_trait)] // It fails, and `?` reads better than an iterator of results.
    pub fn next(&mut self) -> Result<Option<Statement>> {
        let piece = self.splitter.next();
        let piece = self.sound(piece)?;
        let Some(piece) = piece else {
            return match &self.expected {
                Some(expected) if !expected.is_of_the_same(&self.splitter.source.fingerprint()) => {
                    Err(changed(self.splitter.source.path()))
                }
                _ => Ok(None),
            };
        };
        self.count += 1;
        let path = self.splitter.source.path().clone();
        let longest = self.splitter.source.longest;
        let statement = Statement::new(path, self.count, piece, &self.variables, longest);
        self.sound(statement).map(Some)
    }

    /// Some more of the data of the COPY statement that came last; none at their end or when there are none.
    /// The pieces joined are the lines between the statement and `\.`.
    ///
    /// # Errors
    /// As [`Statements::next`].
    pub fn copy_data(&mut self) -> Result<Option<Vec<u8>>> {
        let chunk = self.splitter.copy_chunk();
        let Some(length) = self.sound(chunk)? else {
            return Ok(None);
        };
        let data = self.splitter.source.bytes()[..length].to_vec();
        self.splitter.source.consume(length);
        Ok(Some(data))
    }

    /// Whether the header line `-- pum: no-transaction` was seen, known once the first statement was read.
    pub(crate) fn no_transaction(&self) -> bool {
        self.splitter.no_transaction
    }

    /// The comments `-- pum: allow` in the head of the file, known once the first statement was read.
    pub(crate) fn file_allowances(&self) -> &[Allowance] {
        &self.splitter.file_allowances
    }

    /// The comments `-- pum: allow` after the last statement, known at the end.
    pub(crate) fn last_allowances(&self) -> &[Allowance] {
        &self.splitter.allowances
    }

    /// What was sound in the first reading and is not in the second has changed in between.
    fn sound<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            if self.expected.is_some() && error.kind() == ErrorKind::Usage {
                changed(self.splitter.source.path())
            } else {
                error
            }
        })
    }
}

fn changed(path: &Path) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("\"{}\" has changed since it was checked", path.display()),
    )
    .with_hint("let nothing write to the file, and run again")
}

/// One statement of a [`Script`].
#[derive(Debug)]
pub struct Statement {
    path: Arc<Path>,
    number: usize,
    text: String,
    /// The text in the file and the way back to it, when variables were replaced.
    original: Option<(String, Vec<Mark>)>,
    first: usize,
    place: Place,
    after: Vec<u8>,
    command: Command,
    allowances: Vec<Allowance>,
}

impl Statement {
    /// Refused when it has more than `longest` bytes with its variables replaced.
    fn new(path: Arc<Path>, number: usize, piece: Piece, variables: &Variables, longest: usize) -> Result<Statement> {
        let mut statement = Statement {
            path,
            number,
            text: piece.text,
            original: None,
            first: piece.first,
            place: piece.place,
            after: piece.after,
            command: piece.command,
            allowances: piece.allowances,
        };
        if !variables.is_empty() {
            match variables.replace(&statement.text) {
                Ok((sent, marks)) => {
                    let original = std::mem::replace(&mut statement.text, sent);
                    statement.original = Some((original, marks));
                    if statement.text.len() > longest {
                        return Err(source::too_long(statement.location(None)));
                    }
                }
                Err((offset, error)) => return Err(error.at(statement.location_of(offset))),
            }
        }
        Ok(statement)
    }

    /// What to send to the server: from the first word to the semicolon, variables replaced.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a COPY whose data follow in the file: take them with [`Statements::copy_data`].
    pub fn copies_from_stdin(&self) -> bool {
        self.command == Command::CopyFromStdin
    }

    /// The name of the command when PostgreSQL refuses it in a transaction block.
    pub fn outside_transaction(&self) -> Option<&'static str> {
        match self.command {
            Command::OutsideTransaction(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it begins, ends or prepares a transaction.
    pub fn is_transaction_control(&self) -> bool {
        matches!(self.command, Command::TransactionControl(_))
    }

    /// A character in it that cannot be seen and is not in a text or comment: where, and what it is.
    pub(crate) fn unseen(&self) -> Option<(Location, String)> {
        let (offset, name) = remark::unseen(&self.text)?;
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        Some((self.location(Some(source::characters(before) + 1)), name))
    }

    fn remarks(&self) -> impl Iterator<Item = (Location, String)> {
        let unseen = self
            .unseen()
            .map(|(location, name)| (location, format!("{name} stands here, which cannot be seen")));
        let outside = remark::outside_the_database(&self.text).map(|what| (self.location(None), what.to_owned()));
        unseen.into_iter().chain(outside)
    }

    /// The comments `-- pum: allow` before it, in it, and behind it on its last line.
    pub(crate) fn allowances(&self) -> &[Allowance] {
        &self.allowances
    }

    /// Its words outside of parentheses, in capitals, one at a time.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        command::words(&self.text)
    }

    /// [`Statement::text`] with spaces in place of its comments.
    pub(crate) fn code(&self) -> String {
        command::without_comments(&self.text)
    }

    /// The place in the file of a byte of [`Statement::code`].
    pub(crate) fn location_of_code(&self, offset: usize) -> Location {
        // White space and comments before the first word are none of the statement.
        let first = token::first(self.text.as_bytes());
        let before = self.text.as_bytes().get(..offset.max(first)).unwrap_or_default();
        self.location(Some(source::characters(before) + 1))
    }

    /// Counted from 1 in its file.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The line of its first word, counted from 1.
    pub fn line(&self) -> usize {
        self.location_of(self.first).line
    }

    /// The place in the file of a position that the server reports: characters of [`Statement::text`], counted
    /// from 1. Inside of the value of a variable it is where the variable stands; without a position it is the
    /// first word of the statement.
    pub fn location(&self, position: Option<usize>) -> Location {
        let offset = match position {
            None => self.first,
            Some(position) => {
                let characters = &mut self.text.char_indices();
                let found = characters.nth(position.saturating_sub(1));
                let sent = found.map_or(self.text.len(), |(offset, _)| offset);
                match &self.original {
                    Some((_, marks)) => Mark::back(marks, sent),
                    None => sent,
                }
            }
        };
        self.location_of(offset)
    }

    /// The place of a byte of the text in the file.
    fn location_of(&self, offset: usize) -> Location {
        let text = match &self.original {
            Some((original, _)) => original.as_bytes(),
            None => self.text.as_bytes(),
        };
        self.place.locate(&self.path, text, offset, &self.after)
    }
}

#[cfg(test)]
mod tests;
