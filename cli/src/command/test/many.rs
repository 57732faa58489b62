//! `pum test` of many databases.

use std::path::{Path, PathBuf};

use pum::{Catalog, Contract, CopyMethod, Error, ErrorKind, Event, Expected, RehearsalOptions, Result, Run, Terms};
use serde_json::Value;

use super::{Baseline, Files, Rehearsing, options};
use crate::Exit;
use crate::command::Format;
use crate::command::restore::passed_over;
use crate::config::{Config, Role};
use crate::fleet::{Fleet, Member, Report, Task, refused};
use crate::session::Session;
use crate::terminal::{counted, line};

/// How the file of a member's rehearsal ends, in the directory of --save.
const REHEARSAL: &str = "rehearsal.json";
const PAGE: &str = "html";
const BACKUP: &str = "backup";
const BESIDE: &str = "backup.rehearsal.json";

pub(super) fn run(fleet: Fleet, args: Rehearsing, resume: bool, format: Format, session: &Session) -> Result<Exit> {
    refuse(&args, &session.config)?;
    let baseline = Baseline::read(&args, &session.config)?;
    let (save, pages) = (args.save.clone(), args.report.clone());
    let mut options = options(args, session)?;
    // Several at once keep the processors busy already.
    options.jobs = options.jobs.max(1);
    // What is wrong for all of them is said once.
    refuse_options(&options)?;
    let mut terms = Terms::default();
    if let Some(max_age) = session.config.max_age(None)? {
        terms.max_age = max_age.value.0;
    }
    pum::Deltas::read(&options.upgrade.directories)?;
    if let Some(Expected::Snapshot(file)) = &options.expected {
        Catalog::load(file)?;
    }
    let backups = options.backup.take();
    let mut places: Vec<(&Path, &str, &str)> = Vec::new();
    places.extend(save.as_deref().map(|directory| (directory, REHEARSAL, "--save")));
    places.extend(pages.as_deref().map(|directory| (directory, PAGE, "--report")));
    for ending in [BACKUP, BESIDE] {
        let named = "-f, or backup_file in the configuration,";
        places.extend(backups.as_deref().map(|directory| (directory, ending, named)));
    }
    fleet.prepare_files(&places)?;
    let work = |member: &Member, run: &Run| {
        let file = |directory: &Option<_>, ending| directory.as_deref().map(|directory| member.file(directory, ending));
        let files = Files {
            save: file(&save, REHEARSAL),
            page: file(&pages, PAGE),
        };
        let options = RehearsalOptions {
            baseline: baseline.of(&member.target, run)?,
            backup: file(&backups, BACKUP),
            ..options.clone()
        };
        if resume && let Some(contract) = known(member, &files, &options, &terms, run)? {
            return Ok(told(&contract, true));
        }
        let rehearsal = files.rehearse(&member.target, &options, run)?;
        let passed_over = passed_over(&rehearsal.restored().passed_over);
        if !passed_over.is_empty() {
            run.emit(Event::Message(passed_over.trim_end().to_owned()));
        }
        Ok(told(rehearsal.contract(), false))
    };
    let task = Task {
        command: "test",
        columns: &["from", "to", "what"],
        format,
        silent: false,
        canaries: None,
        failed: Exit::Failed,
        again: match save.is_some() {
            true => "run the same command with --resume: what is clean and still fits is not rehearsed again",
            false => "run the same command again; with --save DIR, --resume goes on where a run was stopped",
        },
        work: &work,
    };
    fleet.run(task, session)
}

/// # Errors
/// One database is named in which each copy would take the place of another.
fn refuse(args: &Rehearsing, config: &Config) -> Result<()> {
    if let Some(test) = config.database(Role::Test, args.pg_service_test.clone()) {
        test.map(|_| {
            Err::<(), _>(refused(
                "one test database (-pt) cannot hold the copies of many databases",
                "leave it out: each copy gets a throw-away server",
            ))
        })?;
    }
    if let Some(comparison) = config.database(Role::Comparison, args.pg_service_comp.clone())
        && config.snapshot_file(&comparison).is_none()
    {
        comparison.map(|_| {
            Err::<(), _>(refused(
                "many databases are not compared with a database (-pc), but with a snapshot of it",
                "write one, pum snapshot -p DB -o FILE.json, and give -pc FILE.json; or say in the configuration how the \
                 `expected` database is built, which each gets of its own",
            ))
        })?;
    }
    Ok(())
}

/// # Errors
/// There is nothing to compare with, or the copies would lie in production's server.
fn refuse_options(options: &RehearsalOptions) -> Result<()> {
    if options.expected.is_none() {
        return Err(refused(
            "there is nothing to compare the upgraded copies with",
            "give a snapshot (-pc FILE.json), or `expected` in the configuration file",
        ));
    }
    if options.copy == CopyMethod::Template {
        return Err(refused(
            "--copy template needs a test database, and one cannot hold the copies of many",
            "leave --copy out, or rehearse one database after the other",
        ));
    }
    Ok(())
}

/// The rehearsal of an earlier run, when rehearsing again would prove nothing new. What an earlier run did not write is
/// made good.
fn known(
    member: &Member,
    files: &Files,
    options: &RehearsalOptions,
    terms: &Terms,
    run: &Run,
) -> Result<Option<Contract>> {
    let there = |file: Option<&Path>| file.is_none_or(Path::is_file);
    let backup = options.backup.as_deref();
    let Some(save) = files.save.as_deref().filter(|save| save.is_file()) else {
        return Ok(None);
    };
    if !there(backup) || !there(backup.map(super::beside).as_deref()) {
        return Ok(None);
    }
    // What has changed, or is no whole file, is rehearsed again.
    let Ok(contract) = Contract::load(save) else {
        return Ok(None);
    };
    match contract.still_holds(&member.target, options, terms, run) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Refused => return Ok(None),
        Err(error) => return Err(error),
    }
    if !there(files.page.as_deref()) {
        files.write_page(&contract)?;
    }
    Ok(Some(contract))
}

/// The file of a member's rehearsal.
///
/// # Errors
/// There is none.
pub(crate) fn rehearsal_of(member: &Member, directory: &Path) -> Result<PathBuf> {
    let file = member.file(directory, REHEARSAL);
    if file.is_file() {
        return Ok(file);
    }
    Err(Error::new(
        ErrorKind::Refused,
        format!("it was not rehearsed: there is no file \"{}\"", file.display()),
    )
    .with_hint("rehearse it under the same name: pum test --save DIR")
    .with_state("nothing was done"))
}

/// What is to be said of one of many.
fn told(contract: &Contract, before: bool) -> Report {
    let shown = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
    let (from, to) = (shown(&contract.from), shown(&contract.to));
    let steps = match contract.steps.len() {
        0 => "nothing is due".to_owned(),
        count => counted(count, "step"),
    };
    let differences = contract.comparison.get("differences").and_then(Value::as_array);
    let differences = differences.map_or(0, Vec::len);
    let unsafe_kills = contract
        .crashes
        .iter()
        .flat_map(|crashes| &crashes.points)
        .filter(|point| point.problem.is_some())
        .count();
    let lost = contract.evidence.data.iter().filter(|change| change.loses).count();
    let words = [
        before.then(|| "rehearsed before".to_owned()),
        (differences > 0).then(|| counted(differences, "difference")),
        (unsafe_kills > 0).then(|| {
            format!(
                "NOT SAFE: killed at {}, it does not come to the same",
                counted(unsafe_kills, "point")
            )
        }),
        (lost > 0).then(|| format!("DATA LOST: {}", counted(lost, "table"))),
    ];
    let what: Vec<String> = [steps].into_iter().chain(words.into_iter().flatten()).collect();
    let what = what.join("; ");
    let verdict = match (contract.clean, unsafe_kills) {
        (true, _) => "clean",
        (false, 0) => "differences",
        (false, _) => "not safe",
    };
    Report {
        verdict,
        fine: contract.clean,
        sentence: format!("{verdict}: {}, from {} to {}", line(&what), line(&from), line(&to)),
        cells: vec![from, to, format!("{verdict}: {what}")],
        json: document(contract, before),
    }
}

/// What was rehearsed and measured, without the structures before and after, of which a thousand would be too much.
fn document(contract: &Contract, before: bool) -> Value {
    let mut document = serde_json::to_value(contract).unwrap_or_default();
    if let Some(object) = document.as_object_mut() {
        object.remove("upgraded");
        object.remove("before");
        object.insert("schema".to_owned(), "pum/test/1".into());
        object.insert("id".to_owned(), contract.id().into());
        object.insert("rehearsed_before".to_owned(), before.into());
    }
    document
}
