//! What `restore` is given: recognised by its content, found whole before anything is touched.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::dump::Format;
use crate::dump::child::{Child, Ended, command};
use crate::dump::inside::led_outside;
use crate::error::{Error, ErrorKind, Result};
use crate::file::hexadecimal;
use crate::run::Run;

/// A dump on the disk.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    format: Format,
    header: Option<Header>,
}

/// What the header of an archive tells (`ReadHead` in `pg_backup_archiver.c` of PostgreSQL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The version of the archive's own format, such as (1, 14).
    pub(super) version: (u8, u8),
    /// The database that was dumped.
    pub(super) database: String,
    /// The version of its server.
    pub(super) server: String,
    /// The version of the `pg_dump` that wrote it.
    pub(super) pg_dump: String,
}

/// The name of an archive's table of contents in the directory format.
const CONTENTS: &str = "toc.dat";
const COMPLETE: &str = "-- PostgreSQL database dump complete";
const BEGINNING: &str = "-- PostgreSQL database dump";

impl Archive {
    /// Recognises it, and refuses what can be seen to be broken without reading it all.
    ///
    /// # Errors
    /// It is missing, unreadable, empty, cut off, a tar archive, or no dump at all.
    pub(super) fn open(path: &Path) -> Result<Archive> {
        let io = |error: &std::io::Error| {
            let error_ = Error::io(format_args!("cannot read \"{}\"", path.display()), error);
            untouched(error_)
        };
        let found = fs::metadata(path).map_err(|error| io(&error))?;
        if found.is_dir() {
            let contents = path.join(CONTENTS);
            let mut file = match File::open(&contents) {
                Ok(file) => file,
                Err(error) if error.kind() == IoKind::NotFound => {
                    return Err(refused(
                        path,
                        "is a directory that holds no dump: there is no toc.dat in it",
                    ));
                }
                Err(error) => return Err(io(&error)),
            };
            let start = read_start(&mut file).map_err(|error| io(&error))?;
            let Some((header, _)) = Header::read(&start) else {
                return Err(damaged(path, "its toc.dat has no sound beginning"));
            };
            let archive = Archive {
                path: path.to_owned(),
                format: Format::Directory,
                header: Some(header),
            };
            if let Some(why) = led_outside(path, CONTENTS).map_err(|error| io(&error))? {
                return Err(refused(path, &format!("is not what pg_dump makes: {why}"))
                    .with_hint("take another backup: pg_restore would read what it was led to"));
            }
            archive.look_at_files()?;
            return Ok(archive);
        }
        if !found.is_file() {
            return Err(refused(path, "is neither a file nor a directory"));
        }
        let mut file = File::open(path).map_err(|error| io(&error))?;
        let start = read_start(&mut file).map_err(|error| io(&error))?;
        let (format, header) = if start.starts_with(b"PGDMP") {
            let (header, _) = Header::read(&start).ok_or_else(|| damaged(path, "it is cut off in its header"))?;
            (Format::Custom, Some(header))
        } else if start.is_empty() {
            return Err(damaged(path, "it is empty"));
        } else if start.get(257..262) == Some(b"ustar") {
            return Err(refused(path, "is a tar archive, and pg_restore hangs on a damaged one").with_hint(
                "dump in the custom or directory format; or restore it with pg_restore itself, if you know that it is whole",
            ));
        } else if holds_line(&start, BEGINNING) {
            let end = read_end(&mut file).map_err(|error| io(&error))?;
            if !is_complete(&start, &end) {
                return Err(damaged(
                    path,
                    "it does not end with the line \"-- PostgreSQL database dump complete\"",
                ));
            }
            (Format::Plain, None)
        } else {
            return Err(refused(path, "is no dump of PostgreSQL")
                .with_hint("restore takes the custom, directory and plain formats of pg_dump"));
        };
        Ok(Archive {
            path: path.to_owned(),
            format,
            header,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Reads it to its end, as `pg_restore` would, and puts the result nowhere: `pg_restore --list` accepts every
    /// archive that was cut off, this accepts none. When its checksums were compared, the contents are enough.
    /// A plain dump was seen to be complete when it was opened.
    ///
    /// # Errors
    /// It is damaged, or `pg_restore` is too old for it.
    pub(super) fn read(&self, pg_restore: &Path, checked: bool, run: &Run) -> Result<()> {
        if self.format == Format::Plain {
            return Ok(());
        }
        let mut command = command(pg_restore);
        if checked {
            command.arg("--list");
        }
        command.args(["--file=/dev/null", "--"]).arg(&self.path);
        let ended = Child::start(command, run, |_| {})?.wait(run, || {})?;
        if ended.status.success() {
            return Ok(());
        }
        Err(self.unreadable(pg_restore, &ended))
    }

    fn unreadable(&self, pg_restore: &Path, ended: &Ended) -> Error {
        match &self.header {
            Some(header) if ended.complained_of("unsupported version") => untouched(
                Error::new(
                    ErrorKind::Refused,
                    format!(
                        "\"{}\" was written by pg_dump {}, and {} is too old to read it",
                        self.path.display(),
                        header.pg_dump,
                        pg_restore.display()
                    ),
                )
                .with_hint(format!(
                    "install the client programs of PostgreSQL {0} (on Debian or Ubuntu: apt-get install \
                     postgresql-client-{0}), or name its pg_restore",
                    header.pg_dump_major()
                )),
            ),
            _ => damaged(&self.path, &ended.error("pg_restore").to_string()),
        }
    }

    /// Data files of the directory format that pg_restore takes for whole: an empty one, and one that is not
    /// compressed and was cut off.
    fn look_at_files(&self) -> Result<()> {
        let io = |error: std::io::Error| {
            untouched(Error::io(
                format_args!("cannot read \"{}\"", self.path.display()),
                &error,
            ))
        };
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_data = name.starts_with(|c: char| c.is_ascii_digit()) && name.contains(".dat");
            if !is_data {
                continue;
            }
            let mut file = File::open(entry.path()).map_err(io)?;
            let end = read_end(&mut file).map_err(io)?;
            // pg_dump ends the data of a table with `\.` or the last INSERT, and two empty lines.
            let whole = if name.ends_with(".dat") {
                end == b"\n\n" || end.ends_with(b"\\.\n\n\n") || end.ends_with(b";\n\n\n")
            } else {
                !end.is_empty()
            };
            if !whole {
                return Err(damaged(&self.path, &format!("its file {name} is cut off")));
            }
        }
        Ok(())
    }

    /// Compares it with the checksums that `dump` wrote beside it; `false` when there are none.
    ///
    /// # Errors
    /// It is not what was dumped.
    pub(super) fn verify(&self, run: &Run) -> Result<bool> {
        let beside = checksum_file(&self.path);
        let expected = match fs::read_to_string(&beside) {
            Ok(expected) => expected,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(untouched(Error::io(
                    format_args!("cannot read \"{}\"", beside.display()),
                    &error,
                )));
            }
        };
        // Only the hashes and what is below the dump's own name count: the dump may have been renamed with its file.
        let found = checksums(&self.path, &self.path, run)?;
        if bare(&found) == bare(&expected) {
            return Ok(true);
        }
        let why = format!("it is not what \"{}\" says", beside.display());
        Err(damaged(&self.path, &why).with_hint(format!(
            "take another copy of it; if it was replaced on purpose, remove \"{}\"",
            beside.display()
        )))
    }
}

impl Header {
    /// The header, and what comes after it.
    pub(super) fn read(start: &[u8]) -> Option<(Header, Bytes<'_>)> {
        let mut bytes = Bytes(start.strip_prefix(b"PGDMP")?);
        let version = (bytes.byte()?, bytes.byte()?);
        let _revision = bytes.byte()?;
        let size = usize::from(bytes.byte()?);
        let _size_of_offsets = bytes.byte()?;
        let _format = bytes.byte()?;
        if version >= (1, 15) {
            let _compression = bytes.byte()?;
        } else {
            let _level = bytes.int(size)?;
        }
        // Seconds, minutes, hours, day, month, year, daylight saving time.
        for _ in 0..7 {
            bytes.int(size)?;
        }
        let header = Header {
            version,
            database: bytes.text(size)?,
            server: bytes.text(size)?,
            pg_dump: bytes.text(size)?,
        };
        Some((header, bytes))
    }

    /// The major version of the `pg_dump` that wrote it, 0 when it says none.
    pub(super) fn pg_dump_major(&self) -> u32 {
        let digits: String = self.pg_dump.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }
}

/// Reads the parts of an archive; `None` at its end.
pub(super) struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A sign and then the bytes of a number, the lowest first.
    pub(super) fn int(&mut self, size: usize) -> Option<i64> {
        let negative = self.byte()? != 0;
        if size > 8 {
            return None;
        }
        let mut number: i64 = 0;
        for place in 0..size {
            number |= i64::from(self.byte()?).checked_shl(8 * u32::try_from(place).ok()?)?;
        }
        Some(if negative { number.wrapping_neg() } else { number })
    }

    fn text(&mut self, size: usize) -> Option<String> {
        Some(self.text_or_none(size)?.unwrap_or_default())
    }

    /// A length and that many bytes; a length below zero is no text.
    pub(super) fn text_or_none(&mut self, size: usize) -> Option<Option<String>> {
        let Ok(length) = usize::try_from(self.int(size)?) else {
            return Some(None);
        };
        if length > self.0.len() {
            return None;
        }
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(Some(String::from_utf8_lossy(text).into_owned()))
    }
}

/// The file beside a dump that holds its checksum, in the form that `sha256sum --check` reads.
pub(super) fn checksum_file(dump: &Path) -> PathBuf {
    let mut name = dump.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// One line for the file `path`, or for each file in it in the order of their names, as though it was at `name`.
pub(super) fn checksums(path: &Path, name: &Path, run: &Run) -> Result<String> {
    let io = |error: std::io::Error| untouched(Error::io(format_args!("cannot read \"{}\"", path.display()), &error));
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut lines = String::new();
    if path.is_dir() {
        let mut entries = fs::read_dir(path)
            .map_err(io)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(io)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let hash = sha256(&entry.path(), run)?;
            let _ = writeln!(lines, "{hash}  {name}/{}", entry.file_name().to_string_lossy());
        }
    } else {
        let _ = writeln!(lines, "{}  {name}", sha256(path, run)?);
    }
    Ok(lines)
}

fn sha256(path: &Path, run: &Run) -> Result<String> {
    let io = |error: std::io::Error| untouched(Error::io(format_args!("cannot read \"{}\"", path.display()), &error));
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        run.go_on()?;
        let read = file.read(&mut buffer).map_err(io)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// The lines of a checksum file without the name of the dump.
fn bare(lines: &str) -> Vec<(String, String)> {
    lines
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(hash, name)| {
            let below = name.split_once('/').map_or("", |(_, below)| below);
            (hash.to_owned(), below.to_owned())
        })
        .collect()
}

/// Whether a plain dump ends as pg_dump ends it. When it begins with psql's restricted mode, it leaves it at its end.
fn is_complete(start: &[u8], end: &[u8]) -> bool {
    let (start, end) = (String::from_utf8_lossy(start), String::from_utf8_lossy(end));
    let mut lines = end
        .lines()
        .rev()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && *line != "--");
    let restricted = start.lines().take(10).find_map(|line| line.strip_prefix("\\restrict "));
    if let Some(token) = restricted
        && lines.next().and_then(|line| line.strip_prefix("\\unrestrict ")) != Some(token.trim_end())
    {
        return false;
    }
    lines.next() == Some(COMPLETE)
}

fn holds_line(text: &[u8], line: &str) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|found| found.trim_ascii_end() == line.as_bytes())
}

fn read_start(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(64 * 1024).read_to_end(&mut start)?;
    Ok(start)
}

fn read_end(file: &mut File) -> std::io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(1024)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(end)
}

fn refused(path: &Path, what: &str) -> Error {
    untouched(Error::new(ErrorKind::Refused, format!("\"{}\" {what}", path.display())))
}

fn damaged(path: &Path, why: &str) -> Error {
    refused(path, &format!("is damaged or not complete: {why}"))
        .with_hint("take another backup, or copy this one again: nothing is restored from a part of one")
}

fn untouched(error: Error) -> Error {
    error.with_state("nothing was changed in any database")
}
