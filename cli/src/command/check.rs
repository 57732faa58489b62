//! `pum check`

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use pum::{Error, ErrorKind, Expectations, HtmlOptions, Result, TableName, TextOptions};

use crate::Exit;
use crate::command::{Comparison, Login};
use crate::config::command_line;
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

Exit code: 0 same, 1 different, 2 could not tell.";

/// Compare the structure of two databases
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// The left database: a service, a URI or a conninfo string; or a snapshot, FILE.json [short: -p1]
    #[arg(long, value_name = "DB")]
    pg_service1: String,

    /// The right database, or a snapshot [short: -p2]
    #[arg(long, value_name = "DB")]
    pg_service2: String,

    #[command(flatten)]
    comparison: Comparison,

    /// The upgrades table, schema.table, which is not compared
    #[arg(short, long)]
    table: Option<String>,

    /// Say more or less: 0 a summary, 1 the differences, 2 whole definitions too
    #[arg(short, long, value_name = "LEVEL", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    verbose_level: u8,

    /// Write the report into a file
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
    let (mut filter, excluded) = args.comparison.filter(config)?;
    filter.exclude_schemas = excluded;
    if let Some(table) = config.upgrades_table(args.table) {
        let table: TableName = table.map(|name| name.parse())?.value;
        filter.upgrades_table = Some((table.schema, table.name));
    }
    let ask = args.login.ask();
    let left = session.compared(command_line(args.pg_service1), ask)?;
    let right = session.compared(command_line(args.pg_service2), ask)?;
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
        let known = if file.exists() {
            Expectations::read(file)?
        } else {
            Expectations::default()
        };
        let expected = Expectations::of(report.differences(), &known);
        write(file, &expected.to_json())?;
        if !args.silent {
            let (count, file) = (expected.len(), file.to_string_lossy());
            terminal.print(&format!(
                "{count} differences written into {}; say in it why each is right.\n",
                line(&file)
            ))?;
        }
        return Ok(Exit::Done);
    }
    let form = args.format.unwrap_or_else(|| Form::of(args.output_file.as_deref()));
    let text = match form {
        Form::Json => json(&report.to_json()),
        Form::Html => report.to_html(&HtmlOptions {
            moment: Some(SystemTime::now()),
        }),
        Form::Junit => report.to_junit(),
        Form::Text => report.to_text(&TextOptions {
            verbosity: args.verbose_level,
            width: terminal.width(),
            color: args.output_file.is_none() && terminal.coloured(),
        }),
    };
    let verdict = if report.same() {
        "The databases are the same"
    } else {
        "The databases differ"
    };
    match args.output_file {
        Some(file) => {
            write(&file, &text)?;
            if !args.silent {
                let file = file.to_string_lossy();
                terminal.print(&format!("{verdict}; the report is in {}.\n", line(&file)))?;
            }
        }
        None if args.silent => {}
        None => terminal.print(&text)?,
    }
    Ok(if report.same() { Exit::Done } else { Exit::Different })
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|error| Error::io(format!("cannot write \"{}\"", file.display()), &error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Form;

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
