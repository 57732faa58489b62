//! `pum check` of many databases with one.

use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pum::{Error, ErrorKind, Origin, Result, TextOptions, write_file};

use super::{Check, Form, complete};
use crate::Exit;
use crate::command::Format;
use crate::config::{command_line, is_snapshot};
use crate::fleet::{Member, Report, Task};
use crate::session::Session;
use crate::terminal::counted;

pub(super) fn run(args: Check, session: &Session) -> Result<Exit> {
    let config = &session.config;
    refuse(&args)?;
    let (mut filter, excluded) = args.comparison.filter(config)?;
    complete(&mut filter, excluded, args.table, config)?;
    let ask = args.login.ask();
    let right = session.compared(command_line(args.pg_service2), ask)?;
    let fleet = args.many.fleet(command_line(args.pg_service1), ask, session)?;
    let form = args.format.unwrap_or(Form::Text);
    let directory = args.output_file;
    if let Some(directory) = &directory {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).map_err(|error| {
            Error::io(format!("cannot make the directory \"{}\"", directory.display()), &error)
                .with_hint("with many databases -o names a directory, in which each gets a report")
        })?;
    }
    let text = TextOptions {
        verbosity: args.verbose_level,
        color: false,
        ..TextOptions::default()
    };
    let work = |member: &Member, run: &pum::Run| {
        let report = pum::check(&member.target, Origin::from(&right), &filter, run)?;
        if let Some(directory) = &directory {
            write_file(&file(directory, &member.name, form), &form.render(&report, &text))?;
        }
        told(&report)
    };
    let task = Task {
        command: "check",
        columns: &["only left", "only right", "changed", "what"],
        // A directory holds the reports in their form, and a person reads the table.
        format: match form {
            Form::Json if directory.is_none() => Format::Json,
            _ => Format::Text,
        },
        silent: args.silent,
        canaries: None,
        failed: Exit::Unknown,
        work: &work,
    };
    fleet.run(task, session)
}

/// # Errors
/// An option has no meaning for many databases.
fn refuse(args: &Check) -> Result<()> {
    let refused = |message: &str, hint: &str| {
        Err(Error::new(ErrorKind::Usage, message)
            .with_hint(hint)
            .with_state("nothing was done"))
    };
    if args.write_expected.is_some() {
        return refused(
            "--write-expected is for two databases",
            "write the differences of one of them, and give that file to all with --expect",
        );
    }
    if args.pg_service1.iter().any(|name| is_snapshot(name)) {
        return refused(
            "a snapshot cannot be one of many databases",
            "give snapshots one by one to -p1, or one to -p2",
        );
    }
    if args.output_file.is_none() && matches!(args.format, Some(Form::Html | Form::Junit)) {
        return refused(
            "this form is for one report, and many databases have many",
            "give -o DIRECTORY, in which each gets a report",
        );
    }
    Ok(())
}

/// What is to be said of one of many.
fn told(report: &pum::Report) -> Result<Report> {
    let counts = report.counts();
    let [left, right, changed] = counts.iter().fold([0, 0, 0], |[left, right, changed], count| {
        [
            left + count.only_left,
            right + count.only_right,
            changed + count.changed,
        ]
    });
    let what = match left + right + changed {
        0 => "same".to_owned(),
        all => counted(all, "difference"),
    };
    let cells = [left, right, changed].map(|count| count.to_string());
    Ok(Report {
        verdict: if report.same() { "same" } else { "different" },
        fine: report.same(),
        sentence: what.clone(),
        cells: cells.into_iter().chain([what]).collect(),
        json: serde_json::from_str(&report.to_json())
            .map_err(|error| Error::new(ErrorKind::Io, format!("the report cannot be read as JSON: {error}")))?,
    })
}

/// Where the report of a member goes: its name, in which what a file's name should not hold is written as `%` and two
/// digits, so that no two members have one file.
fn file(directory: &Path, name: &str, form: Form) -> PathBuf {
    let mut file = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-=".contains(&byte) || byte == b'.' && !file.is_empty() {
            file.push(char::from(byte));
        } else {
            let _ = write!(file, "%{byte:02x}");
        }
    }
    let ending = match form {
        Form::Text => "txt",
        Form::Json => "json",
        Form::Html => "html",
        Form::Junit => "xml",
    };
    directory.join(format!("{file}.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_stays_in_its_directory() {
        for (name, expected) in [
            ("town_1.2", "d/town_1.2.txt"),
            ("../x", "d/%2e.%2fx.txt"),
            ("a b\n%", "d/a%20b%0a%25.txt"),
            ("ü", "d/%c3%bc.txt"),
        ] {
            assert_eq!(file(Path::new("d"), name, Form::Text), Path::new(expected));
        }
    }
}
