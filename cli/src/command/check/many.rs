//! `pum check` of many databases with one.

use pum::{Error, ErrorKind, Origin, Result, TextOptions, write_file};

use super::{Check, Form, complete};
use crate::Exit;
use crate::command::Format;
use crate::config::{command_line, is_snapshot};
use crate::fleet::{Member, Report, Task, refused};
use crate::session::Session;
use crate::terminal::counted;

pub(super) fn run(args: Check, session: &Session) -> Result<Exit> {
    let config = &session.config;
    let names = args.many.names(args.pg_service1.clone(), config)?;
    refuse(&args, &names.value)?;
    let (mut filter, excluded) = args.comparison.filter(config)?;
    complete(&mut filter, excluded, args.table, config)?;
    let ask = args.login.ask();
    let right = session.compared(command_line(args.pg_service2), ask)?;
    let fleet = args.many.fleet(names, args.at_once.into(), ask, session)?;
    let form = args.format.unwrap_or(Form::Text);
    let directory = args.output_file;
    if let Some(directory) = &directory {
        fleet.prepare_files(&[(directory, form.ending(), "-o")])?;
    }
    let text = TextOptions {
        verbosity: args.verbose_level,
        color: false,
        ..TextOptions::default()
    };
    let work = |member: &Member, run: &pum::Run| {
        let report = pum::check(&member.target, Origin::from(&right), &filter, run)?;
        if let Some(directory) = &directory {
            write_file(&member.file(directory, form.ending()), &form.render(&report, &text))?;
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
        again: "run the same command again",
        work: &work,
    };
    fleet.run(task, session)
}

/// # Errors
/// An option has no meaning for many databases.
fn refuse(args: &Check, names: &[String]) -> Result<()> {
    if args.write_expected.is_some() {
        return Err(refused(
            "--write-expected is for two databases",
            "write the differences of one of them, and give that file to all with --expect",
        ));
    }
    if names.iter().any(|name| is_snapshot(name)) {
        return Err(refused(
            "a snapshot cannot be one of many databases",
            "give snapshots one by one to -p1, or one to -p2",
        ));
    }
    if args.output_file.is_none() && matches!(args.format, Some(Form::Html | Form::Junit)) {
        return Err(refused(
            "this form is for one report, and many databases have many",
            "give -o DIRECTORY, in which each gets a report",
        ));
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
