//! `pum check`

mod many;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use pum::{Error, ErrorKind, Expectations, Filter, HtmlOptions, Report, Result, TableName, TextOptions, write_file};

use crate::Exit;
use crate::command::{Comparison, Login};
use crate::config::{Config, command_line};
use crate::fleet::{AtOnce, Many};
use crate::session::Session;
use crate::terminal::{json, line};

const EXAMPLES: &str = "\
Examples:
  pum check -p1 water_prod -p2 water_new
  pum check -p1 water_prod -p2 water_new -i views triggers -N topology -P '%_import'
  pum check -p1 water_prod -p2 water-1.3.0.json
  pum check -p1 water_prod -p2 water_new --include owners privileges
  pum check -p1 water_prod -p2 water_new --data 'water.list_*' water_sys.setting
  pum check -p1 water_prod -p2 water_new --write-expected known.json
  pum check -p1 water_prod -p2 water_new --expect known.json
  pum check -p1 'postgresql://ann@db1/water' -p2 'host=db2 dbname=water' -o report.html
Many databases against one, with a page for each in a directory:
  pum check -p1 'water_*' -p2 water-1.3.0.json -o reports --format html
  pum check -p1 host=db1 --databases 'town_*' -p2 water-1.3.0.json
  pum check --fleet -p2 water-1.3.0.json

Exit code: 0 same, 1 different, 2 could not tell.";

/// Compare the structure of two databases, or of many with one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// The left database: a service, a URI or a conninfo string; or a snapshot, FILE.json; may be repeated, and a service
    /// may be a pattern such as 'water_*' [short: -p1]
    #[arg(long, value_name = "DB", required_unless_present = "fleet", conflicts_with = "fleet")]
    pg_service1: Vec<String>,

    /// The right database, or a snapshot [short: -p2]
    #[arg(long, value_name = "DB")]
    pg_service2: String,

    #[command(flatten)]
    many: Many,

    #[command(flatten)]
    at_once: AtOnce,

    #[command(flatten)]
    comparison: Comparison,

    /// The upgrades table, schema.table, which is not compared
    #[arg(short, long)]
    table: Option<String>,

    /// Say more or less: 0 a summary, 1 the differences, 2 whole definitions too
    #[arg(short, long, value_name = "LEVEL", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    verbose_level: u8,

    /// Write the report into a file; with many databases a report for each into this directory
    #[arg(short, long, value_name = "FILE")]
    output_file: Option<PathBuf>,

    /// Write the differences into a file for --expect, with the reasons that it holds already; then they are known
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    write_expected: Option<PathBuf>,

    /// Print nothing; the exit code tells
    #[arg(short, long)]
    silent: bool,

    /// The form of the report; without this, the ending of FILE tells (.json, .html, .xml), else it is text
    #[arg(long)]
    format: Option<Form>,

    #[command(flatten)]
    login: Login,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    Text,
    /// For a program
    Json,
    /// A page for a browser, in one file
    Html,
    /// For CI: a test case for each object that differs
    Junit,
}

impl Form {
    /// The report in this form.
    fn render(self, report: &Report, text: &TextOptions) -> String {
        match self {
            Form::Json => json(&report.to_json()),
            Form::Html => report.to_html(&HtmlOptions {
                moment: Some(SystemTime::now()),
            }),
            Form::Junit => report.to_junit(),
            Form::Text => report.to_text(text),
        }
    }

    /// How a file in this form ends.
    fn ending(self) -> &'static str {
        match self {
            Form::Text => "txt",
            Form::Json => "json",
            Form::Html => "html",
            Form::Junit => "xml",
        }
    }

    /// The form of a report in a file, told by its ending.
    fn of(file: Option<&Path>) -> Form {
        let ending = file.and_then(Path::extension).and_then(OsStr::to_str);
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Form::Json,
            Some("html" | "htm") => Form::Html,
            Some("xml") => Form::Junit,
            _ => Form::Text,
        }
    }
}

pub(crate) fn run(args: Check, session: &Session) -> Result<Exit> {
    let config = &session.config;
    let terminal = &session.terminal;
    if args.many.chosen(&args.pg_service1) {
        return many::run(args, session);
    }
    let left = args.pg_service1.concat();
    let (left, right) = (command_line(left), command_line(args.pg_service2));
    let expect = config.expect(args.comparison.expect.clone()).map(|file| file.value);
    let read = [config.snapshot_file(&left), config.snapshot_file(&right)];
    keep_apart(
        &args.output_file,
        read.iter().flatten().chain(&expect).chain(&args.write_expected),
    )?;
    keep_apart(&args.write_expected, read.iter().flatten())?;
    // What is written anew holds all differences, those that were known among them.
    let (mut filter, excluded) = match args.write_expected {
        Some(_) => args.comparison.filter_without_expected(config)?,
        None => args.comparison.filter(config)?,
    };
    complete(&mut filter, excluded, args.table, config)?;
    let ask = args.login.ask();
    let left = session.compared(left, ask)?;
    let right = session.compared(right, ask)?;
    let report = pum::check(&left, &right, &filter, &session.run)?;
    if let Some(file) = &args.write_expected {
        if let Some(more) = report.more_rows().first() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "too many rows of {}.{} differ to be known one by one",
                    more.schema, more.table
                ),
            )
            .with_hint("leave the table out of --data")
            .with_state("nothing was written"));
        }
        let holds = std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() > 0);
        let known = if holds {
            Expectations::read(file)?
        } else {
            Expectations::default()
        };
        let expected = Expectations::of(report.differences(), &known);
        write_file(file, &expected.to_json())?;
        if !args.silent {
            terminal.print(&written(expected.len(), &line(&file.to_string_lossy())))?;
        }
        if args.output_file.is_none() {
            return Ok(Exit::Done);
        }
    }
    let form = args.format.unwrap_or_else(|| Form::of(args.output_file.as_deref()));
    let text = form.render(
        &report,
        &TextOptions {
            verbosity: args.verbose_level,
            width: terminal.width(),
            color: args.output_file.is_none() && terminal.coloured(),
        },
    );
    let verdict = if report.same() {
        "The databases are the same"
    } else {
        "The databases differ"
    };
    match args.output_file {
        Some(file) => {
            write_file(&file, &text)?;
            if !args.silent {
                let file = file.to_string_lossy();
                terminal.print(&format!("{verdict}; the report is in {}.\n", line(&file)))?;
            }
        }
        None if args.silent => {}
        None => terminal.print(&text)?,
    }
    // Differences that were written down are known from now on.
    let known = args.write_expected.is_some();
    Ok(if known || report.same() {
        Exit::Done
    } else {
        Exit::Different
    })
}

/// Adds what a rehearsal knows otherwise.
fn complete(filter: &mut Filter, excluded: Vec<String>, table: Option<String>, config: &Config) -> Result<()> {
    filter.exclude_schemas = excluded;
    if let Some(table) = config.upgrades_table(table) {
        let table: TableName = table.map(|name| name.parse())?.value;
        filter.upgrades_table = Some((table.schema, table.name));
    }
    Ok(())
}

/// What became of `--write-expected`.
fn written(count: usize, file: &str) -> String {
    match count {
        0 => format!("No differences; {file} names none.\n"),
        1 => format!("1 difference written into {file}; say in it why it is right.\n"),
        _ => format!("{count} differences written into {file}; say in it why each is right.\n"),
    }
}

/// # Errors
/// A file is to be written that is read too, or for something else.
pub(crate) fn keep_apart<'a>(written: &Option<PathBuf>, others: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let Some(written) = written else { return Ok(()) };
    for other in others {
        if place(written) == place(other) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("\"{}\" is named twice, and would be overwritten", other.display()),
            )
            .with_hint("give what is written a name of its own")
            .with_state("nothing was written"));
        }
    }
    Ok(())
}

/// Where a file is, or will be.
fn place(file: &Path) -> PathBuf {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let new = || Some(directory.canonicalize().ok()?.join(file.file_name()?));
    file.canonicalize().ok().or_else(new).unwrap_or_else(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Form, keep_apart, written};

    #[test]
    fn what_is_read_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a.json"), "").unwrap();
        std::os::unix::fs::symlink("a.json", at("link.json")).unwrap();
        for (name, other, apart) in [
            ("a.json", "a.json", false),
            ("./a.json", "link.json", false),
            ("new", "./new", false),
            ("a.json", "new", true),
            ("new", "newer", true),
        ] {
            let kept = keep_apart(&Some(at(name)), [at(other)].iter());
            assert_eq!(kept.is_ok(), apart, "{name} {other}");
        }
        assert!(keep_apart(&None, [PathBuf::new()].iter()).is_ok());
    }

    #[test]
    fn what_was_written_is_told() {
        assert_eq!(written(0, "f"), "No differences; f names none.\n");
        assert!(written(1, "f").starts_with("1 difference written into f;"));
        assert!(written(2, "f").starts_with("2 differences written into f;"));
    }

    #[test]
    fn the_ending_of_a_file_tells_the_form() {
        for (file, form) in [
            ("report.txt", Form::Text),
            ("report", Form::Text),
            ("html", Form::Text),
            ("water.1.json.old", Form::Text),
            ("a.json", Form::Json),
            ("a.HTML", Form::Html),
            ("a.b.htm", Form::Html),
            ("junit.xml", Form::Junit),
        ] {
            assert_eq!(Form::of(Some(Path::new(file))), form, "{file}");
        }
        assert_eq!(Form::of(None), Form::Text);
    }
}
