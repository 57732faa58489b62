//! The bytes of a SQL file: read in pieces, checked to be UTF-8 text, hashed, and counted in lines and columns.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use md5::Md5;
use memchr::{memchr, memchr_iter, memrchr};
use sha2::{Digest, Sha256};

use super::secret;
use crate::error::{Error, ErrorKind, Location, Result};
use crate::file::hexadecimal;

/// The longest statement: a server ends the session at a message of 1 GiB, without a word why.
pub(super) const LONGEST: usize = (1 << 30) - 1024;

/// How much is read at once; it grows with the statement that does not fit.
const CHUNK: usize = 64 * 1024;
/// How much of a line before or after a statement is kept for messages.
pub(super) const LINE_REST: usize = 1024;

/// A place in the file, moved on by the bytes that are consumed.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// The line up to the place, or its first [`LINE_REST`] bytes.
    pub(super) before: Vec<u8>,
}

impl Place {
    fn advance(&mut self, bytes: &[u8]) {
        let lines = memchr_iter(b'\n', bytes).count();
        let rest = match lines {
            0 => bytes,
            _ => {
                self.line += lines;
                self.column = 1;
                self.before.clear();
                let last = memrchr(b'\n', bytes);
                &bytes[last.map_or(0, |last| last + 1)..]
            }
        };
        self.column += characters(rest);
        let room = LINE_REST.saturating_sub(self.before.len());
        self.before.extend_from_slice(&rest[..rest.len().min(room)]);
    }

    /// The place `offset` bytes further in `text`, which begins here and goes on with `after`.
    pub(super) fn locate(&self, path: &Path, text: &[u8], offset: usize, after: &[u8]) -> Location {
        let (passed, rest) = text.split_at(offset.min(text.len()));
        let mut place = self.clone();
        place.advance(passed);
        let mut line = place.before;
        // A beginning that was cut is not glued to what does not follow it.
        if line.len() < LINE_REST {
            let rest_of_line = first_line(rest);
            let after = if rest_of_line.len() == rest.len() {
                first_line(after)
            } else {
                b""
            };
            let rest_of_line = rest_of_line.iter().chain(after).take(CHUNK);
            line.extend(rest_of_line);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Location {
            path: path.to_path_buf(),
            line: place.line,
            column: place.column,
            text: without_passwords(&String::from_utf8_lossy(&line)),
        }
    }
}

/// A line as it may be shown.
fn without_passwords(line: &str) -> String {
    secret::hidden(line, &secret::secrets(line))
}

/// Characters in UTF-8 text: bytes that do not continue one.
pub(super) fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}

/// What comes before the first line end.
pub(super) fn first_line(bytes: &[u8]) -> &[u8] {
    let end = memchr(b'\n', bytes);
    &bytes[..end.unwrap_or(bytes.len())]
}

pub(super) struct Source {
    path: Arc<Path>,
    reader: Box<dyn Read + Send>,
    chunk: usize,
    buffer: Vec<u8>,
    /// Where the bytes begin that are not consumed.
    start: usize,
    /// Up to here the bytes are known to be UTF-8 without NUL.
    checked: usize,
    at_end: bool,
    place: Place,
    hashes: Hashes,
    /// The longest statement that is taken, in bytes: [`LONGEST`], or what a test can afford.
    pub(super) longest: usize,
}

impl Source {
    pub(super) fn new(path: Arc<Path>, reader: Box<dyn Read + Send>, chunk: Option<usize>, hashes: Hashes) -> Source {
        Source {
            path,
            reader,
            chunk: chunk.unwrap_or(CHUNK),
            buffer: Vec::new(),
            start: 0,
            checked: 0,
            at_end: false,
            place: Place {
                line: 1,
                column: 1,
                before: Vec::new(),
            },
            hashes,
            longest: LONGEST,
        }
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// The bytes at hand that are not consumed: whole characters of UTF-8.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.checked]
    }

    /// Whether nothing follows [`Source::bytes`] in the file.
    pub(super) fn at_end(&self) -> bool {
        self.at_end
    }

    /// The place of the first byte of [`Source::bytes`].
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn consume(&mut self, length: usize) {
        let end = self.start + length;
        self.place.advance(&self.buffer[self.start..end]);
        self.start = end;
    }

    /// Where the byte at `offset` of [`Source::bytes`] is in the file.
    pub(super) fn location(&self, offset: usize) -> Location {
        let bytes = &self.buffer[self.start..];
        self.place.locate(&self.path, bytes, offset, b"")
    }

    /// An error of the user's file at `offset` of [`Source::bytes`].
    pub(super) fn error(&self, offset: usize, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message).at(self.location(offset))
    }

    /// Refuses a statement that begins at `begin` of [`Source::bytes`] and has `length` bytes, where no server takes it.
    pub(super) fn refuse_the_longest(&self, begin: usize, length: usize) -> Result<()> {
        if length <= self.longest {
            return Ok(());
        }
        Err(too_long(self.location(begin)))
    }

    /// The rest of the line after `offset`, for messages, or its first [`LINE_REST`] bytes.
    pub(super) fn rest_of_line(&mut self, offset: usize) -> Result<&[u8]> {
        loop {
            let rest = &self.bytes()[offset..];
            let rest = &rest[..rest.len().min(LINE_REST)];
            let line = first_line(rest).len();
            if line < rest.len() || rest.len() == LINE_REST || self.at_end {
                return Ok(&self.bytes()[offset..offset + line]);
            }
            self.fill()?;
        }
    }

    /// Reads on. Offsets into [`Source::bytes`] stay what they are.
    pub(super) fn fill(&mut self) -> Result<()> {
        let first = self.hashes.length == 0;
        self.buffer.drain(..self.start);
        self.checked -= self.start;
        self.start = 0;
        let old = self.buffer.len();
        // Twice as much each time: what is looked at again stays in proportion.
        let wanted = old.max(self.chunk).max(4);
        let read = Read::take(&mut self.reader, wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|error| Error::io(format!("cannot read \"{}\"", self.path.display()), &error))?;
        self.at_end = read < wanted;
        self.hashes.update(&self.buffer[old..]);
        if first {
            self.check_beginning()?;
        }
        self.check_text()
    }

    /// UTF-16 is named as such; a byte-order mark of UTF-8 is passed over.
    fn check_beginning(&mut self) -> Result<()> {
        let utf16 = match self.buffer.as_slice() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
            [first, second, ..] => (*first == 0) != (*second == 0),
            _ => false,
        };
        if utf16 {
            let path = self.path.display();
            let error = Error::new(
                ErrorKind::Usage,
                "the file is encoded in UTF-16, and SQL files are read as UTF-8",
            );
            let location = Location {
                path: self.path.to_path_buf(),
                line: 1,
                column: 1,
                text: String::new(),
            };
            return Err(error.at(location).with_hint(format!(
                "convert it: iconv -f UTF-16 -t UTF-8 \"{path}\" > converted.sql"
            )));
        }
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.start = 3;
            self.checked = 3;
        }
        Ok(())
    }

    fn check_text(&mut self) -> Result<()> {
        let from = self.checked;
        let fresh = &self.buffer[from..];
        let (valid, bad) = match std::str::from_utf8(fresh) {
            Ok(_) => (fresh.len(), false),
            Err(error) => (error.valid_up_to(), self.at_end || error.error_len().is_some()),
        };
        if let Some(nul) = memchr(0, &fresh[..valid]) {
            let error = self.error(from + nul - self.start, "the file holds a NUL byte");
            return Err(error.with_hint(
                "PostgreSQL takes no NUL in SQL text; remove it, or write binary values as '\\x...'::bytea",
            ));
        }
        self.checked = from + valid;
        if bad {
            let offset = self.checked - self.start;
            let byte = self.buffer[self.checked];
            let location = self.location(offset);
            let path = self.path.display();
            return Err(Error::new(
                ErrorKind::Usage,
                format!("the file is not UTF-8: it holds the byte 0x{byte:02x}"),
            )
            .at(location)
            .with_hint(format!(
                "convert the file, for example from Latin-1: iconv -f ISO-8859-1 -t UTF-8 \"{path}\" > converted.sql"
            )));
        }
        Ok(())
    }

    /// The fingerprint of the bytes read so far; of the file when [`Source::at_end`].
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.hashes.clone().finish()
    }
}

/// The statement that begins there is longer than [`Source::longest`].
pub(super) fn too_long(begin: Location) -> Error {
    Error::new(
        ErrorKind::Usage,
        "this statement is too long: PostgreSQL takes none of 1 GB",
    )
    .at(begin)
    .with_hint("make several statements of it; COPY ... FROM stdin takes any amount of data")
}

/// What tells two files apart.
#[derive(Debug, Clone)]
pub(super) struct Fingerprint {
    /// md5 of the bytes, as hexadecimal digits; empty where it was not taken.
    pub(super) checksum: String,
    /// SHA-256 of the text without byte-order mark and with `\n` line ends, as hexadecimal digits.
    pub(super) digest: String,
    /// Bytes.
    pub(super) length: u64,
}

impl Fingerprint {
    /// Whether another reading gave the same; it need not have taken the checksum.
    pub(super) fn is_of_the_same(&self, other: &Fingerprint) -> bool {
        self.digest == other.digest && self.length == other.length
    }
}

#[derive(Clone)]
pub(super) struct Hashes {
    /// None where nobody asks for the checksum, which takes longer than all else of a reading.
    bytes: Option<Md5>,
    text: Sha256,
    length: u64,
    carriage_return: bool,
}

impl Hashes {
    pub(super) fn with_checksum() -> Hashes {
        Hashes {
            bytes: Some(Md5::default()),
            ..Hashes::without_checksum()
        }
    }

    pub(super) fn without_checksum() -> Hashes {
        Hashes {
            bytes: None,
            text: Sha256::default(),
            length: 0,
            carriage_return: false,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mark = self.length == 0 && bytes.starts_with(b"\xef\xbb\xbf");
        self.length += bytes.len() as u64;
        if let Some(hash) = &mut self.bytes {
            hash.update(bytes);
        }
        let mut rest = if mark { &bytes[3..] } else { bytes };
        if self.carriage_return && !rest.is_empty() {
            self.carriage_return = false;
            if rest[0] != b'\n' {
                self.text.update(b"\r");
            }
        }
        while let Some(found) = memchr(b'\r', rest) {
            self.text.update(&rest[..found]);
            rest = &rest[found + 1..];
            match rest.first() {
                Some(b'\n') => {}
                Some(_) => self.text.update(b"\r"),
                None => self.carriage_return = true,
            }
        }
        self.text.update(rest);
    }

    pub(super) fn finish(mut self) -> Fingerprint {
        if self.carriage_return {
            self.text.update(b"\r");
        }
        Fingerprint {
            checksum: self.bytes.map(|hash| hexadecimal(&hash.finalize())).unwrap_or_default(),
            digest: hexadecimal(&self.text.finalize()),
            length: self.length,
        }
    }
}
