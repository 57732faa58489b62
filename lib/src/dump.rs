//! Dumps, restores and copies databases with PostgreSQL's own `pg_dump`, `pg_restore` and `pg_basebackup`, as child
//! processes.

mod archive;
mod base;
mod child;
mod contents;
mod database;
mod explain;
mod inside;
mod load;
mod parallel;
mod part;
mod progress;
mod restore;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::connection::{Connection, ServerVersion, quote_identifier};
use crate::error::{Error, ErrorKind, Result};
use crate::programs::{find_program, program_version};
use crate::run::{Event, Run};
use crate::server::PrivateDirectory;
use crate::target::Target;

use archive::Archive;
use child::Child;
use explain::explain;
use part::Part;
use progress::{Progress, table_sizes};

pub(crate) use base::{Tablespace, base_backup};
pub(crate) use database::holds_user_objects;
pub use restore::{PassedOver, RestoreOptions, Restored, restore};
pub(crate) use restore::{Stage, restore_dump, restore_stage};

/// The form of a dump (PostgreSQL documentation, `pg_dump --format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One compressed file, the default.
    #[default]
    Custom,
    /// A directory with a file per table: the only one that is dumped in parallel.
    Directory,
    /// A SQL script, to be read by people.
    Plain,
}

/// What is dumped, and how.
#[derive(Debug, Clone, Default)]
pub struct DumpOptions {
    /// The form of the dump.
    pub format: Format,
    /// How many tables are dumped at the same time; above 1 only in the directory format. 0 is 1.
    pub jobs: usize,
    /// Schemas that are left out, as `pg_dump --exclude-schema` takes them: names or psql patterns.
    pub exclude_schemas: Vec<String>,
    /// What `pg_dump --compress` takes, such as `0`, or `zstd:3` since 16; the program's own default without it.
    pub compression: Option<String>,
    /// A snapshot exported by `pg_export_snapshot()`, whose state is dumped.
    pub snapshot: Option<String>,
    /// How long to wait for a lock on a table; for ever without it.
    pub lock_timeout: Option<Duration>,
    /// The `pg_dump` to run; without it that of the server's major version is looked for.
    pub pg_dump: Option<PathBuf>,
    /// The `pg_restore` that checks the dump; without it the one beside `pg_dump`.
    pub pg_restore: Option<PathBuf>,
}

/// A dump that is complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dumped {
    /// Where it is.
    pub path: PathBuf,
    /// Its form.
    pub format: Format,
    /// Its size in bytes, all files of a directory together.
    pub bytes: u64,
    /// How long it took in all, in milliseconds.
    pub milliseconds: u64,
    /// The file beside it that holds the SHA-256 of each of its files; `restore` compares them.
    pub checksums: PathBuf,
}

/// Refuses a URI where a file is to be named, and does not repeat it: it may hold a password.
fn refuse_database(file: &Path) -> Result<()> {
    let text = file.to_string_lossy();
    if text.starts_with("postgres") && text.contains(":/") {
        return Err(Error::new(
            ErrorKind::Usage,
            "the file is named by the URI of a database (which is not repeated because it may hold a password)",
        )
        .with_hint("dump takes the database first and then the file, restore the file first"));
    }
    Ok(())
}

/// Dumps a database into a file or, in the directory format, a directory.
///
/// It is written under a temporary name in the same place (mode 0600, a directory 0700), read again from end to end,
/// flushed to the disk and only then renamed: under `file` there is the dump of before or the new one, never a part
/// of one. An earlier dump of that name is replaced, as pum 0.10 did. Beside it goes `FILE.sha256`.
///
/// # Errors
/// [`ErrorKind::Refused`] when something that is no dump is in the way or `pg_dump` is older than the server,
/// [`ErrorKind::Program`] with the words of `pg_dump`, [`ErrorKind::Io`] when the place cannot be written.
///
/// ```no_run
/// let source = pum::Target::new("water_prod")?;
/// let options = pum::DumpOptions { exclude_schemas: vec!["audit".into()], ..Default::default() };
/// let dumped = pum::dump(&source, "water.dump".as_ref(), &options, &pum::Run::new())?;
/// println!("{} bytes in {}", dumped.bytes, dumped.path.display());
/// # Ok::<(), pum::Error>(())
/// ```
pub fn dump(source: &Target, file: &Path, options: &DumpOptions, run: &Run) -> Result<Dumped> {
    let started = Instant::now();
    refuse_database(file)?;
    let unchanged = |error: Error| error.with_state(format!("\"{}\" was not touched", file.display()));
    if options.jobs > 1 && options.format != Format::Directory {
        return Err(Error::new(
            ErrorKind::Usage,
            "only the directory format is dumped with several jobs",
        )
        .with_hint("choose the directory format, or leave the number of jobs out"));
    }
    let part = Part::create(file, options.format == Format::Directory)?;
    let mut connection = Connection::open(source, run).map_err(unchanged)?;
    let server = connection.server_version();
    let pg_dump = program("pg_dump", options.pg_dump.as_deref(), &server, run).map_err(unchanged)?;
    let pg_restore = match (&options.pg_restore, options.format) {
        (_, Format::Plain) => None,
        (None, _) => Some(beside(&pg_dump, "pg_restore")),
        (Some(_), _) => Some(program("pg_restore", options.pg_restore.as_deref(), &server, run).map_err(unchanged)?),
    };
    let mut patterns = Vec::new();
    for pattern in &options.exclude_schemas {
        let regex = pattern_to_regex(pattern);
        let found = connection.query(
            "select from pg_namespace where nspname operator(pg_catalog.~) $1::text limit 1",
            &[Some(&regex)],
        )?;
        if found.is_empty() {
            run.emit(Event::Warning(format!(
                "no schema is named \"{pattern}\": excluding it changes nothing"
            )));
        }
        patterns.push(regex);
    }
    for needed in needed_elsewhere(&mut connection, &patterns)? {
        run.emit(Event::Warning(format!(
            "{needed}, which is left out: what needs it cannot be restored without it"
        )));
    }
    let foreign = foreign_tables(&mut connection, &patterns)?;
    let progress = Progress::new(table_sizes(&mut connection, &patterns));
    let command = dump_command(&pg_dump, part.path(), &connection, options, &Selection::default());
    run_pg_dump(command, part.path(), &mut connection, &progress, |_| {}, run).map_err(unchanged)?;
    check(part.path(), options.format, pg_restore.as_deref(), run).map_err(|error| {
        unchanged(Error::new(error.kind(), format!("the new dump is not whole: {error}")).with_hint("dump again"))
    })?;
    let sums = archive::checksums(part.path(), file, run).map_err(unchanged)?;
    let bytes = size(part.path());
    let checksums = archive::checksum_file(file);
    run.go_on().map_err(unchanged)?;
    // The checksums of the dump of before must never stand beside the new one.
    match fs::remove_file(&checksums) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(unchanged(Error::io(
                format_args!("cannot replace \"{}\"", checksums.display()),
                &error,
            )));
        }
        _ => {}
    }
    part.put_in_place()?;
    write_checksums(&checksums, &sums)?;
    progress.finish(run);
    if foreign > 0 {
        let (tables, are) = if foreign == 1 {
            ("table", "is")
        } else {
            ("tables", "are")
        };
        run.emit(Event::Message(format!(
            "{foreign} foreign {tables} {are} in the backup without rows: those are on other servers"
        )));
    }
    Ok(Dumped {
        path: file.to_owned(),
        format: options.format,
        bytes,
        milliseconds: milliseconds(started),
        checksums,
    })
}

/// How many foreign tables a dump has without their rows.
fn foreign_tables(connection: &mut Connection, patterns: &[String]) -> Result<u64> {
    let rows = connection.query(
        "select count(*)::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'f' \
         and not coalesce(n.nspname operator(pg_catalog.~) nullif($1::text, ''), false)",
        &[Some(&patterns.join("|"))],
    )?;
    Ok(rows.value(0, 0).and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// What stays in a dump and needs something of a schema that is left out, a sentence without its end for each pair of
/// schemas.
fn needed_elsewhere(connection: &mut Connection, patterns: &[String]) -> Result<Vec<String>> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let rows = connection.query(
        "with named as (
             select distinct d.classid, d.objid, d.refclassid, d.refobjid from pg_depend d
             where d.deptype = 'n' and d.refobjid >= 16384
         ), placed as (
             select n.classid, n.objid, (a.object_names)[1] as schema,
                 format('%s %s', i.type, i.identity) as object, o.schema as needs
             from named n
             cross join lateral pg_identify_object(n.refclassid, n.refobjid, 0) o
             cross join lateral pg_identify_object_as_address(n.classid, n.objid, 0) a
             cross join lateral pg_identify_object(n.classid, n.objid, 0) i
             where o.schema operator(pg_catalog.~) $1::text
                 and n.classid in ('pg_rewrite'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass,
                     'pg_attrdef'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass)
         )
         select format('%s%s needs something of the schema %s', min(object),
             case when count(*) > 1 then ' (and ' || count(*) - 1 || ' more)' end, needs)
         from placed where schema operator(pg_catalog.!~) $1::text and schema !~ '^pg_' group by schema, needs
         order by 1",
        &[Some(&patterns.join("|"))],
    )?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

/// What of a database is dumped for a copy of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// No rows.
    pub(crate) schema_only: bool,
    /// Nothing but the rows of this table: schema and name.
    pub(crate) rows_of: Option<[String; 2]>,
    /// Schemas whose tables come without rows.
    pub(crate) without_rows: Vec<String>,
    /// Tables that come without rows: schema and name.
    pub(crate) without_rows_of: Vec<[String; 2]>,
    /// No large objects.
    pub(crate) without_large_objects: bool,
}

/// Dumps a database to be restored at once and not to be kept: nothing is read again, flushed or summed. Returns where
/// it is: in the directory format, so that several jobs can work at it, compressed as fast as `pg_dump` can.
///
/// # Errors
/// As [`dump()`].
pub(crate) fn dump_for_copy(
    source: &Target,
    directory: &PrivateDirectory,
    selection: &Selection,
    options: &DumpOptions,
    run: &Run,
) -> Result<PathBuf> {
    let mut connection = Connection::open(source, run)?;
    let pg_dump = program("pg_dump", options.pg_dump.as_deref(), &connection.server_version(), run)?;
    let path = directory.path().join(match selection.rows_of {
        Some(_) => "rows",
        None => "dump",
    });
    let left_out: Vec<String> = selection
        .without_rows
        .iter()
        .map(|schema| pattern_to_regex(&quote_identifier(schema)))
        .collect();
    let sizes = match selection {
        Selection {
            schema_only: false,
            rows_of: None,
            without_rows_of,
            ..
        } if without_rows_of.is_empty() => table_sizes(&mut connection, &left_out),
        _ => Vec::new(),
    };
    let lz4 = program_version(&pg_dump)?.0 >= 16;
    let mut options = DumpOptions {
        format: Format::Directory,
        compression: Some(if lz4 { "lz4" } else { "0" }.to_owned()),
        ..options.clone()
    };
    loop {
        let progress = Progress::new(sizes.clone());
        let command = dump_command(&pg_dump, &path, &connection, &options, selection);
        let noted = |process| directory.note(process);
        match run_pg_dump(command, &path, &mut connection, &progress, noted, run) {
            Ok(()) => {
                progress.finish(run);
                return Ok(path);
            }
            // It is found out before anything is done.
            Err(error) if lz4 && error.message().contains("does not support compression") => {
                if options.compression.replace("0".to_owned()).as_deref() == Some("0") {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Runs `pg_dump` to its end; `noted` gets its process number.
fn run_pg_dump(
    command: Command,
    path: &Path,
    connection: &mut Connection,
    progress: &Progress,
    noted: impl FnOnce(u32),
    run: &Run,
) -> Result<()> {
    let listener = progress.clone();
    let mut child = Child::start(command, run, move |line| listener.hear(line))?;
    noted(child.id());
    let ended = child.wait(run, || progress.tell(size(path), run))?;
    if ended.status.success() {
        return Ok(());
    }
    Err(explain(ended.error("pg_dump"), &ended, path, connection))
}

fn dump_command(
    pg_dump: &Path,
    path: &Path,
    connection: &Connection,
    options: &DumpOptions,
    selection: &Selection,
) -> Command {
    let mut command = child::command(pg_dump);
    connect(&mut command, "pg_dump", connection);
    command.arg("--no-password");
    if options.jobs <= 1 {
        command.arg("--verbose");
    }
    command.arg(match options.format {
        Format::Custom => "--format=custom",
        Format::Directory => "--format=directory",
        Format::Plain => "--format=plain",
    });
    if options.jobs > 1 {
        command.arg(format!("--jobs={}", options.jobs));
    }
    for schema in &options.exclude_schemas {
        command.arg(format!("--exclude-schema={schema}"));
    }
    if let Some(compression) = &options.compression {
        command.arg(format!("--compress={compression}"));
    }
    if let Some(snapshot) = &options.snapshot {
        command.arg(format!("--snapshot={snapshot}"));
    }
    if let Some(timeout) = options.lock_timeout {
        command.arg(format!("--lock-wait-timeout={}", timeout.as_millis()));
    }
    if selection.schema_only {
        command.arg("--schema-only");
    }
    for schema in &selection.without_rows {
        command.arg(format!("--exclude-table-data={}.*", quote_identifier(schema)));
    }
    let table = |[schema, table]: &[String; 2]| format!("{}.{}", quote_identifier(schema), quote_identifier(table));
    for without in &selection.without_rows_of {
        command.arg(format!("--exclude-table-data={}", table(without)));
    }
    if selection.without_large_objects {
        // Its long name is another since 16.
        command.arg("-B");
    }
    if let Some(rows) = &selection.rows_of {
        command
            .args(["--data-only", "--strict-names"])
            .arg(format!("--table={}", table(rows)));
    }
    // Not through our own descriptor as its stdout: since 16 pg_dump appends there, and the contents lack the places of
    // the data, which a restore with several jobs needs.
    command.arg("--file").arg(path);
    command
}

/// Makes the program connect where the session is, without a word in its arguments; the server shows it as
/// `pum pg_dump` or `pum pg_restore`.
fn connect(command: &mut Command, name: &str, connection: &Connection) {
    for (variable, value) in connection.environment() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command.env("PGAPPNAME", format!("pum {name}"));
}

/// The program of the server's major version; newer than the server is told, older is refused before it starts.
fn program(name: &str, given: Option<&Path>, server: &ServerVersion, run: &Run) -> Result<PathBuf> {
    let path = find_program(name, Some(server.major()), given)?;
    let (major, version) = program_version(&path)?;
    if major < server.major() {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the server is PostgreSQL {server}, and {} is {version}: it is too old for that server",
                path.display()
            ),
        )
        .with_hint(format!(
            "install the client programs of PostgreSQL {0} (on Debian or Ubuntu: apt-get install \
             postgresql-client-{0}), or name its {name}",
            server.major()
        )));
    }
    if name == "pg_dump" && major > server.major() {
        run.emit(Event::Warning(format!(
            "{} is {version}, newer than the server ({server}): restoring the dump will need pg_restore of PostgreSQL \
             {major} too",
            path.display()
        )));
    }
    if let Some(flaw) = flaw(major, &version) {
        run.emit(Event::Warning(format!(
            "{} is {version}: update it, because {flaw}",
            path.display()
        )));
    }
    Ok(path)
}

/// What is wrong with the client programs of a release that was mended since.
fn flaw(major: u32, version: &str) -> Option<&'static str> {
    let minor: Option<u32> = version.split('.').nth(1).and_then(|minor| {
        let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    // The releases of August 2025, and those of May 2026.
    let (planted, overwritten) = match major {
        ..13 => (u32::MAX, u32::MAX),
        13 => (22, u32::MAX),
        14 => (19, 23),
        15 => (14, 18),
        16 => (10, 14),
        17 => (6, 10),
        18 => (0, 4),
        _ => return None,
    };
    let minor = minor?;
    if minor < planted {
        Some("dumps made by it can carry commands planted in object names (CVE-2025-8714, CVE-2025-8715)")
    } else if minor < overwritten {
        Some("a hostile server can overwrite its memory (CVE-2026-6477)")
    } else {
        None
    }
}

/// The program of the same installation.
fn beside(program: &Path, name: &str) -> PathBuf {
    let sibling = program.with_file_name(name);
    if sibling.is_file() {
        sibling
    } else {
        PathBuf::from(name)
    }
}

/// A psql pattern as a regular expression (PostgreSQL documentation, psql, "Patterns").
fn pattern_to_regex(pattern: &str) -> String {
    let mut regex = String::from("^(");
    let mut quoted = false;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                regex.push('"');
            }
            '"' => quoted = !quoted,
            '*' if !quoted => regex.push_str(".*"),
            '?' if !quoted => regex.push('.'),
            '$' => regex.push_str("\\$"),
            _ if quoted && "|*+?()[]{}.^\\".contains(character) => {
                regex.push('\\');
                regex.push(character);
            }
            _ if quoted => regex.push(character),
            _ => regex.extend(character.to_lowercase()),
        }
    }
    regex.push_str(")$");
    regex
}

/// Reads what was written from end to end.
fn check(path: &Path, format: Format, pg_restore: Option<&Path>, run: &Run) -> Result<()> {
    let archive = Archive::open(path)?;
    if archive.format() != format {
        return Err(Error::new(
            ErrorKind::Program,
            "pg_dump wrote another format than it was asked for",
        ));
    }
    match pg_restore {
        Some(pg_restore) => archive.read(pg_restore, false, run),
        None => Ok(()),
    }
}

fn write_checksums(path: &Path, sums: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file: File| file.write_all(sums.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| part::sync_parent(path));
    written.map_err(|error| {
        // A part of the checksums would make a good dump look damaged.
        let _ = fs::remove_file(path);
        Error::io(format_args!("cannot write \"{}\"", path.display()), &error)
            .with_state("the dump itself is complete and in its place")
    })
}

/// The size of a file or of the files of a directory in bytes.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::read_dir(path)
            .map(|entries| {
                entries
                    .flatten()
                    .filter_map(|entry| entry.metadata().ok())
                    .map(|m| m.len())
                    .sum()
            })
            .unwrap_or(0),
        Ok(found) => found.len(),
        Err(_) => 0,
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_follow_psql() {
        assert_eq!(pattern_to_regex("public"), "^(public)$");
        assert_eq!(pattern_to_regex("Audit*"), "^(audit.*)$");
        assert_eq!(pattern_to_regex("\"Au.dit\"\"x\""), "^(Au\\.dit\"x)$");
        assert_eq!(pattern_to_regex("a$b"), "^(a\\$b)$");
    }

    #[test]
    fn old_minor_releases_are_known() {
        let planted = |major, version| flaw(major, version).is_some_and(|flaw| flaw.contains("CVE-2025-8714"));
        let overwritten = |major, version| flaw(major, version).is_some_and(|flaw| flaw.contains("CVE-2026-6477"));
        assert!(planted(15, "15.13") && planted(12, "12.22") && planted(17, "17.5"));
        assert!(overwritten(15, "15.14") && overwritten(18, "18.3") && overwritten(13, "13.22"));
        for (major, version) in [
            (14, "14.23"),
            (15, "15.18 (Debian 15.18-0+deb12u1)"),
            (18, "18.4"),
            (19, "19beta1"),
        ] {
            assert_eq!(flaw(major, version), None);
        }
    }
}
