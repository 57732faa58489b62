//! Splits a SQL file into statements as psql does, one at a time.

use memchr::{memchr, memchr2};

use super::command::{self, Command};
use super::directive::{ALLOW, Allowance, NO_TRANSACTION, allow, directive};
use super::source::{self, Place, Source};
use super::token::{self, Kind, Step};
use crate::error::{Error, ErrorKind, Location, Result};

/// A statement as it stands in the file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Where the first token begins in `text`: after a hint comment `/*+ ... */`, which belongs to the statement.
    pub(super) first: usize,
    /// Where `text` begins in the file.
    pub(super) place: Place,
    /// The rest of the last line.
    pub(super) after: Vec<u8>,
    pub(super) command: Command,
    pub(super) allowances: Vec<Allowance>,
}

pub(super) struct Splitter {
    pub(super) source: Source,
    /// The header line `-- pum: no-transaction` was seen.
    pub(super) no_transaction: bool,
    /// The comments `-- pum: allow` of the statement under way.
    pub(super) allowances: Vec<Allowance>,
    /// Those in the head of the file: an empty line is between them and the first statement.
    pub(super) file_allowances: Vec<Allowance>,
    /// The next comment stands behind the last statement on its line, and was taken with it.
    comment_taken: bool,
    /// Line ends since the last token that is no white space.
    line_ends: usize,
    /// No statement was found yet.
    header: bool,
    copy: Option<Copy>,
}

/// COPY data that come next.
struct Copy {
    statement: Location,
    line_start: bool,
}

/// What is known of the statement under way; offsets count from the beginning of the source's bytes.
#[derive(Default)]
struct Scan {
    position: usize,
    /// Of the text.
    begin: Option<usize>,
    /// Of the first token that is no comment.
    first: Option<usize>,
    /// Behind the last one.
    end: usize,
    parentheses: usize,
    /// The outermost parenthesis that is open.
    opened: usize,
    words: Words,
}

impl Splitter {
    pub(super) fn new(source: Source) -> Splitter {
        Splitter {
            source,
            no_transaction: false,
            allowances: Vec::new(),
            file_allowances: Vec::new(),
            comment_taken: false,
            line_ends: 0,
            header: true,
            copy: None,
        }
    }

    /// The next statement; COPY data that were not taken are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        while let Some(length) = self.copy_chunk()? {
            self.source.consume(length);
        }
        let mut scan = Scan::default();
        loop {
            let bytes = self.source.bytes();
            let position = scan.position;
            let (kind, end) = match token::step(bytes, position, self.source.at_end()) {
                Step::Token(kind, end) => (kind, end),
                Step::Incomplete => {
                    if let Some(begin) = scan.begin {
                        self.source.refuse_the_longest(begin, bytes.len() - begin)?;
                    } else {
                        self.source.consume(position);
                        scan = Scan::default();
                    }
                    self.source.fill()?;
                    continue;
                }
                Step::Unterminated(kind) => return Err(self.unterminated(kind, position)),
                Step::End => return self.last(scan),
            };
            scan.position = end;
            if kind == Kind::Space {
                self.line_ends += bytes[position..end].iter().filter(|&&byte| byte == b'\n').count();
                if self.header && scan.first.is_none() && self.line_ends > 1 {
                    self.file_allowances.append(&mut self.allowances);
                }
                continue;
            }
            self.line_ends = 0;
            match kind {
                Kind::LineComment => {
                    let taken = std::mem::take(&mut self.comment_taken);
                    if let Some(text) = directive(&bytes[position..end])
                        && !taken
                    {
                        let text = text.to_owned();
                        self.directive(&text, position, scan.first.is_none())?;
                    }
                    continue;
                }
                Kind::BlockComment => {
                    // pg_hint_plan reads hints in a comment before the statement.
                    if bytes[position..].starts_with(b"/*+") {
                        scan.begin.get_or_insert(position);
                    }
                    continue;
                }
                Kind::Backslash => {
                    self.psql_command(&scan, position)?;
                    scan = Scan::default();
                    continue;
                }
                Kind::Semicolon if scan.parentheses == 0 && scan.words.depth == 0 => {
                    if scan.first.is_some() {
                        scan.end = end;
                        self.comment_behind(end)?;
                        return self.piece(&scan).map(Some);
                    }
                    self.source.consume(end);
                    scan = Scan::default();
                    continue;
                }
                Kind::Open => {
                    if scan.parentheses == 0 {
                        scan.opened = position;
                    }
                    scan.parentheses += 1;
                }
                Kind::Close => scan.parentheses = scan.parentheses.saturating_sub(1),
                Kind::Word if scan.parentheses == 0 => {
                    scan.words.word(&bytes[position..end], position);
                }
                _ => {}
            }
            if kind != Kind::Word {
                scan.words.other(kind, &bytes[position..end]);
            }
            scan.begin.get_or_insert(position);
            scan.first.get_or_insert(position);
            scan.end = end;
        }
    }

    /// A last statement may lack its semicolon.
    fn last(&mut self, scan: Scan) -> Result<Option<Piece>> {
        if scan.first.is_none() {
            return Ok(None);
        }
        if scan.parentheses > 0 {
            return Err(self.source.error(scan.opened, "this parenthesis is never closed"));
        }
        if scan.words.depth > 0 {
            return Err(self.source.error(scan.words.opened, "this BEGIN ATOMIC has no END"));
        }
        let piece = self.piece(&scan)?;
        if self.copy.is_none() {
            // Only comments are left, and they were looked at.
            self.source.consume(self.source.bytes().len());
        }
        Ok(Some(piece))
    }

    fn piece(&mut self, scan: &Scan) -> Result<Piece> {
        let begin = scan.begin.unwrap_or(scan.end);
        let first = scan.first.unwrap_or(scan.end);
        self.source.refuse_the_longest(begin, scan.end - begin)?;
        self.source.consume(begin);
        let place = self.source.place().clone();
        let length = scan.end - begin;
        let text = String::from_utf8_lossy(&self.source.bytes()[..length]).into_owned();
        let after = self.source.rest_of_line(length)?.to_vec();
        let command = command::command(&text[first - begin..]);
        let copies = (command == Command::CopyFromStdin).then(|| self.source.location(first - begin));
        self.source.consume(length);
        self.header = false;
        if let Some(location) = copies {
            self.begin_copy(location)?;
            // It went with the rest of the line.
            self.comment_taken = false;
        }
        Ok(Piece {
            text,
            first: first - begin,
            place,
            after,
            command,
            allowances: std::mem::take(&mut self.allowances),
        })
    }

    /// A comment `-- pum: allow` behind the statement that ends at `end`, on the same line, belongs to it.
    fn comment_behind(&mut self, end: usize) -> Result<()> {
        let line = self.source.rest_of_line(end)?;
        let blank = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let Some(text) = directive(&line[blank..]).and_then(allow) else {
            return Ok(());
        };
        let text = text.to_owned();
        self.allowances.push(Allowance {
            location: self.source.location(end + blank),
            text,
        });
        self.comment_taken = true;
        Ok(())
    }

    /// COPY data begin on the line after the statement. psql would run what else stands on the line after
    /// the data; here it is refused.
    fn begin_copy(&mut self, statement: Location) -> Result<()> {
        let mut position = 0;
        loop {
            let bytes = self.source.bytes();
            let rest = &bytes[position..];
            let blank = rest
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b';'))
                .count();
            position += blank;
            let rest = &rest[blank..];
            if rest.first() == Some(&b'\n') {
                self.source.consume(position + 1);
                break;
            }
            if rest.starts_with(b"--") {
                match memchr2(b'\r', b'\n', rest) {
                    Some(end) => {
                        position += end;
                        continue;
                    }
                    None if self.source.at_end() => position += rest.len(),
                    None => {}
                }
            } else if rest.len() >= 2 || (self.source.at_end() && !rest.is_empty()) {
                return Err(self
                    .source
                    .error(
                        position,
                        "something follows COPY ... FROM stdin on its line; its data begin on the next line",
                    )
                    .with_hint("put the semicolon at the end of the line and what follows after the line \\."));
            }
            if self.source.at_end() {
                return Err(no_copy_end(statement));
            }
            self.source.fill()?;
        }
        self.copy = Some(Copy {
            statement,
            line_start: true,
        });
        Ok(())
    }

    /// How many of the source's bytes are COPY data; none when the data have ended.
    pub(super) fn copy_chunk(&mut self) -> Result<Option<usize>> {
        let Some(copy) = &mut self.copy else {
            return Ok(None);
        };
        loop {
            let bytes = self.source.bytes();
            let mut position = 0;
            let mut line_start = copy.line_start;
            while position < bytes.len() {
                let rest = &bytes[position..];
                if line_start {
                    match data_end(rest, self.source.at_end()) {
                        DataEnd::Here(length) if position == 0 => {
                            self.source.consume(length);
                            self.copy = None;
                            return Ok(None);
                        }
                        DataEnd::Here(_) | DataEnd::Unknown => break,
                        DataEnd::No => {}
                    }
                }
                let line = memchr(b'\n', rest);
                line_start = line.is_some();
                position += line.map_or(rest.len(), |end| end + 1);
            }
            if position > 0 {
                copy.line_start = line_start;
                return Ok(Some(position));
            }
            if self.source.at_end() {
                return Err(no_copy_end(copy.statement.clone()));
            }
            self.source.fill()?;
        }
    }

    fn unterminated(&self, kind: Kind, position: usize) -> Error {
        let what = match kind {
            Kind::QuotedName => "this quoted name",
            Kind::DollarText => "this dollar-quoted text",
            Kind::BlockComment => "this comment",
            _ => "this quoted text",
        };
        let closing = match kind {
            Kind::QuotedName => "\"".to_owned(),
            Kind::BlockComment => "*/".to_owned(),
            Kind::DollarText => {
                let bytes = &self.source.bytes()[position..];
                let tag = bytes.iter().skip(1).position(|&byte| byte == b'$');
                String::from_utf8_lossy(&bytes[..tag.map_or(1, |end| end + 2)]).into_owned()
            }
            _ => "'".to_owned(),
        };
        self.source
            .error(position, format!("{what} is never closed"))
            .with_hint(format!("it begins here, and the file ends before a closing {closing}"))
    }

    /// Passes over `\restrict KEY` and `\unrestrict KEY` of pg_dump's output, alone on their line; refuses every other psql
    /// command.
    fn psql_command(&mut self, scan: &Scan, position: usize) -> Result<()> {
        let line = String::from_utf8_lossy(self.source.rest_of_line(position)?).into_owned();
        let name: String = match line[1..].chars().next() {
            Some(c) if c.is_alphabetic() => line[1..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect(),
            other => other.into_iter().collect(),
        };
        let of_pg_dump = name == "restrict" || name == "unrestrict";
        if of_pg_dump && scan.first.is_none() {
            // psql would take what follows a backslash for SQL.
            let key = &line[1 + name.len()..];
            let alone = key.trim().bytes().all(|byte| byte.is_ascii_alphanumeric()) && !key.trim().is_empty();
            if alone && key.starts_with([' ', '\t']) && line.len() < source::LINE_REST {
                self.source.consume(position + line.len());
                return Ok(());
            }
        }
        let message = format!("\\{name} is a command of psql, not SQL");
        Err(self
            .source
            .error(position, message)
            .with_hint(command::instead_of_psql(&name)))
    }

    /// A comment `-- pum: ...`. After the first statement the known header is an error; what is unknown is a comment.
    fn directive(&mut self, text: &str, position: usize, between: bool) -> Result<()> {
        if let Some(text) = allow(text) {
            self.allowances.push(Allowance {
                location: self.source.location(position),
                text: text.to_owned(),
            });
            return Ok(());
        }
        let known = text == NO_TRANSACTION;
        if self.header && between {
            if known {
                self.no_transaction = true;
                return Ok(());
            }
            let message = format!("there is no header `-- pum: {text}`");
            let error = self.source.error(position, message);
            return Err(error.with_hint(format!(
                "there are `-- pum: {NO_TRANSACTION}` and `-- pum: {ALLOW} RULE reason`"
            )));
        }
        if known && !self.no_transaction {
            let error = self.source.error(
                position,
                format!("the header `-- pum: {NO_TRANSACTION}` comes after the first statement"),
            );
            return Err(error.with_hint("move the line to the top of the file"));
        }
        Ok(())
    }
}

fn no_copy_end(statement: Location) -> Error {
    Error::new(ErrorKind::Usage, "the data of this COPY ... FROM stdin have no end")
        .at(statement)
        .with_hint("end them with a line that holds only \\.")
}

enum DataEnd {
    /// The line `\.`, with its length.
    Here(usize),
    No,
    /// More bytes are needed to tell.
    Unknown,
}

/// Whether COPY data end with the line that `rest` begins with.
fn data_end(rest: &[u8], at_end: bool) -> DataEnd {
    for line in [b"\\.\n".as_slice(), b"\\.\r\n"] {
        if rest.starts_with(line) {
            return DataEnd::Here(line.len());
        }
        if line.starts_with(rest) && !at_end {
            return DataEnd::Unknown;
        }
    }
    match rest {
        b"\\." | b"\\.\r" => DataEnd::Here(rest.len()),
        _ => DataEnd::No,
    }
}

/// Follows the words of a statement outside of parentheses to the body `BEGIN ATOMIC ... END` of a function,
/// whose semicolons do not end the statement.
///
/// As psql, it does so only after CREATE \[OR REPLACE\] FUNCTION or PROCEDURE, and counts CASE, which ends with
/// END too. Unlike psql, it asks for ATOMIC after BEGIN, and takes no word after `.` or AS, which is a name there.
#[derive(Default)]
struct Words {
    head: Head,
    before: Before,
    depth: usize,
    /// Where the body began.
    opened: usize,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Head {
    #[default]
    Start,
    Create,
    CreateOr,
    CreateOrReplace,
    Routine,
    Other,
}

#[derive(Default, PartialEq)]
enum Before {
    Begin(usize),
    /// `.` or AS: a name comes next.
    Naming,
    #[default]
    Other,
}

impl Words {
    fn word(&mut self, word: &[u8], position: usize) {
        let is = |wanted: &str| word.eq_ignore_ascii_case(wanted.as_bytes());
        self.head = match self.head {
            Head::Other => return,
            Head::Routine => {
                let before = std::mem::take(&mut self.before);
                match before {
                    Before::Begin(opened) if self.depth == 0 && is("atomic") => {
                        self.depth = 1;
                        self.opened = opened;
                    }
                    Before::Naming => {}
                    _ if is("begin") => self.before = Before::Begin(position),
                    _ if is("as") => self.before = Before::Naming,
                    _ if self.depth > 0 && is("case") => self.depth += 1,
                    _ if self.depth > 0 && is("end") => self.depth -= 1,
                    _ => {}
                }
                return;
            }
            Head::Start if is("create") => Head::Create,
            Head::Create if is("or") => Head::CreateOr,
            Head::CreateOr if is("replace") => Head::CreateOrReplace,
            Head::Create | Head::CreateOrReplace if is("function") || is("procedure") => Head::Routine,
            _ => Head::Other,
        };
    }

    fn other(&mut self, kind: Kind, text: &[u8]) {
        if self.head == Head::Routine {
            self.before = match (kind, text) {
                (Kind::Symbol, b".") => Before::Naming,
                _ => Before::Other,
            };
        } else if self.head == Head::Start {
            self.head = Head::Other;
        }
    }
}
