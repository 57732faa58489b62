//! `pum test`

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use pum::{
    Connection, Error, ErrorKind, HtmlOptions, Rehearsal, RehearsalOptions, Result, Target, TextOptions, Version,
    write_file,
};

use crate::Exit;
use crate::command::check::keep_apart;
use crate::command::restore::passed_over;
use crate::command::upgrade::upgraded;
use crate::command::{Comparison, Deltas, Login, Scripts};
use crate::config::{Command, Config, Expected, Program, Role};
use crate::session::Session;
use crate::terminal::line;

const EXAMPLES: &str = "\
Examples:
  pum test -pp water_prod -t water_sys.info -d deltas
  pum test -pp water_prod -t water_sys.info -d deltas --save water.rehearsal.json --report water.html
  pum test -pp water_prod -t water_sys.info -d deltas --crash
  pum test -pp water_prod -pt water_test -pc water_new -t water_sys.info -d deltas -f water.backup -i views
  pum test -pp water_prod -t water_sys.info -d deltas --copy physical
  pum test -pp water_prod -t water_sys.info -d deltas --sample 5%

Ways to copy production (--copy):
  restore   pg_dump and pg_restore, with several jobs; from the backup when one is asked for (-f)
  template  CREATE DATABASE ... TEMPLATE in production's own server and on its disk, as the test database (-pt), while
            nobody is connected to production
  physical  pg_basebackup of the whole server into a throw-away one: with production's bloat and order of rows, times
            are nearest to production's; needs the right REPLICATION
  auto      restore";

/// Rehearse an upgrade on a copy of production, which stays as it is
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// The production database: a service, a URI or a conninfo string [short: -pp]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_prod: Option<String>,

    /// The test database, made anew; without it a throw-away server serves [short: -pt]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_test: Option<String>,

    /// The database with which the upgraded test database is compared, or a snapshot, FILE.json; with `expected` in
    /// the configuration, the empty one to build it in [short: -pc]
    #[arg(long, value_name = "DB")]
    pub(crate) pg_service_comp: Option<String>,

    #[command(flatten)]
    pub(crate) deltas: Deltas,

    /// Write the backup of production into this file, and keep it
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,

    /// Write what was rehearsed and measured into this file, for `pum upgrade --rehearsal`; with -f FILE it is kept
    /// beside that in any case, as FILE.rehearsal.json
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,

    /// Write a page of HTML into this file, for the person who decides whether production is upgraded
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Kill the upgrade in each step on clones of the copy, and run it again: it must come to the same
    #[arg(long)]
    pub(crate) crash: bool,

    /// Go on after errors of pg_restore
    #[arg(short = 'x', long)]
    pub(crate) ignore_restore_errors: bool,

    #[command(flatten)]
    pub(crate) comparison: Comparison,

    #[command(flatten)]
    pub(crate) scripts: Scripts,

    /// Create production's upgrades table when it is missing, at this version
    #[arg(short, long, value_name = "X.Y.Z")]
    pub(crate) baseline: Option<String>,

    /// Replace the test database even when it is no copy that pum made
    #[arg(long)]
    pub(crate) overwrite_test: bool,

    /// How production is copied: auto, restore, template or physical [default: auto]
    #[arg(long, value_name = "WAY")]
    pub(crate) copy: Option<String>,

    /// Copy production without its rows: times are not production's then, and nothing is known of what deltas do to rows
    #[arg(long)]
    pub(crate) schema_only: bool,

    /// Copy so much of the rows of large tables, with the rows that their foreign keys need: times are not production's
    /// then, and what deltas do to rows is known only of the sample
    #[arg(long, value_name = "PERCENT", conflicts_with = "schema_only")]
    pub(crate) sample: Option<String>,

    /// Dump and restore so many tables at once [default: one for each processor, four at most]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    #[command(flatten)]
    pub(crate) login: Login,
}

pub(crate) fn run(args: Test, session: &Session) -> Result<Exit> {
    let production = production(&args, session)?;
    let baseline = baseline(&args, &production, session)?;
    let rehearsal = rehearse(args, &production, baseline, session)?;
    let verdict = rehearsal.verdict();
    let production = production.name();
    session
        .terminal
        .print(&format!("{verdict}; {} was only read.\n", line(&production)))?;
    Ok(if rehearsal.is_clean() {
        Exit::Done
    } else {
        Exit::Different
    })
}

/// The production database.
pub(crate) fn production(args: &Test, session: &Session) -> Result<Target> {
    let name = session
        .config
        .needed_database(Role::Production, args.pg_service_prod.clone())?;
    session.target(name, args.login.ask())
}

/// The version at which production has to be baselined, when it has no upgrades table.
pub(crate) fn baseline(args: &Test, production: &Target, session: &Session) -> Result<Option<Version>> {
    let config = &session.config;
    let table = args.deltas.table(config)?;
    let given = args.baseline.as_deref().map(str::parse).transpose()?;
    if pum::history(production, &table, &session.run)?.is_some() {
        return Ok(None);
    }
    match (given, config.version_query()) {
        (Some(version), _) => Ok(Some(version)),
        (None, Some(query)) => Ok(query
            .map(|query| version_of(production, &query, session).map(Some))?
            .value),
        // The library says what is missing.
        (None, None) => Ok(None),
    }
}

/// What the `version_query` says. It reads only.
fn version_of(production: &Target, query: &str, session: &Session) -> Result<Version> {
    let mut connection = Connection::open_for_scripts(production, &session.run)?;
    connection.execute("begin read only")?;
    let rows = connection
        .query(query, &[])
        .map_err(|error| error.within("the version_query failed"))?;
    match (rows.len(), rows.value(0, 0)) {
        (1, Some(version)) => version
            .parse()
            .map_err(|error: Error| error.within("the version_query")),
        (1, None) => Err(Error::new(ErrorKind::Refused, "the version_query returns no value")),
        (count, _) => Err(Error::new(
            ErrorKind::Refused,
            format!("the version_query returns {count} rows, and one is needed"),
        )),
    }
    .map_err(|error| error.with_hint("give the version with -b X.Y.Z"))
}

/// Rehearses, and prints what came of it.
pub(crate) fn rehearse(
    args: Test,
    production: &Target,
    baseline: Option<Version>,
    session: &Session,
) -> Result<Rehearsal> {
    let (save, page) = (args.save.clone(), args.report.clone());
    let options = options(args, baseline, session)?;
    let beside = options.backup.as_ref().map(|backup| {
        let mut name = backup.clone().into_os_string();
        name.push(".rehearsal.json");
        PathBuf::from(name)
    });
    // What cannot be written in the end is better said before everything is copied.
    keep_apart(&page, save.iter().chain(&beside).chain(&options.backup))?;
    save.iter().chain(&page).try_for_each(|file| needs_directory(file))?;
    let rehearsal = pum::rehearse(production, &options, &session.run)?;
    let terminal = &session.terminal;
    for file in save.iter().chain(&beside) {
        rehearsal.contract().save(file)?;
    }
    if let Some(page) = &page {
        let options = HtmlOptions {
            moment: Some(SystemTime::now()),
        };
        write_file(page, &rehearsal.contract().to_html(&options))?;
    }
    terminal.settle();
    let text = rehearsal.report().to_text(&TextOptions {
        width: terminal.width(),
        color: terminal.coloured(),
        ..TextOptions::default()
    });
    let applied = upgraded("The copy", rehearsal.applied());
    let passed_over = passed_over(&rehearsal.restored().passed_over);
    let report = rehearsal.report();
    let remark = if rehearsal.is_clean() && !report.same() {
        "None of these differences changes how the database behaves for its users.\n\n"
    } else {
        ""
    };
    let measured = rehearsal.contract().to_text();
    let measured = if measured.is_empty() {
        measured
    } else {
        format!("{measured}\n")
    };
    let page = page.map(|page| format!("The report is in {}.\n", line(&page.to_string_lossy())));
    let page = page.unwrap_or_default();
    terminal.print(&format!("{passed_over}{applied}\n{measured}{text}\n{remark}{page}"))?;
    Ok(rehearsal)
}

/// # Errors
/// The directory in which a file is to be written is not there.
fn needs_directory(file: &Path) -> Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    match directory {
        Some(directory) if !directory.is_dir() => Err(Error::new(
            ErrorKind::Usage,
            format!(
                "cannot write \"{}\": there is no directory \"{}\"",
                file.display(),
                directory.display()
            ),
        )
        .with_hint("make it, or name another file")
        .with_state("nothing was done")),
        _ => Ok(()),
    }
}

fn options(args: Test, baseline: Option<Version>, session: &Session) -> Result<RehearsalOptions> {
    let config = &session.config;
    let ask = args.login.ask();
    let program = |program| config.program(program).map(|setting| setting.value);
    let (filter, exclude_schemas) = args.comparison.filter(config)?;
    let expected = config.expected().map(|setting| setting.value);
    let test = config
        .database(Role::Test, args.pg_service_test)
        .map(|name| session.target_to_create(name, ask))
        .transpose()?;
    let comparison = config.database(Role::Comparison, args.pg_service_comp);
    let snapshot = comparison.as_ref().and_then(|name| config.snapshot_file(name));
    let comparison = comparison
        .filter(|_| snapshot.is_none())
        .map(|name| match expected {
            Some(_) => session.target_to_create(name, ask),
            None => session.target(name, ask),
        })
        .transpose()?;
    Ok(RehearsalOptions {
        test,
        comparison,
        expected: snapshot
            .map(pum::Expected::Snapshot)
            .or_else(|| expected.map(|expected| built(expected, config))),
        baseline,
        backup: config.backup_file(args.file).map(|setting| setting.value),
        exclude_schemas,
        filter,
        copy: config.copy(args.copy)?.value,
        schema_only: args.schema_only,
        sample: match args.schema_only {
            true => None,
            false => config.sample(args.sample)?.map(|setting| setting.value),
        },
        crash: args.crash,
        ignore_restore_errors: args.ignore_restore_errors,
        overwrite: args.overwrite_test,
        jobs: args.jobs.unwrap_or(0).into(),
        pg_dump: program(Program::PgDump),
        pg_restore: program(Program::PgRestore),
        ..RehearsalOptions::new(args.scripts.options(&args.deltas, config)?)
    })
}

fn built(expected: Expected, config: &Config) -> pum::Expected {
    match expected {
        Expected::Command(command) => pum::Expected::Command {
            words: match command {
                Command::Shell(text) => vec!["sh".into(), "-c".into(), text],
                Command::Words(words) => words,
            },
            // A file that is named without a directory lies in the current one.
            directory: config
                .path()
                .and_then(Path::parent)
                .filter(|directory| !directory.as_os_str().is_empty())
                .map(Path::to_owned),
        },
        Expected::Sql(files) => pum::Expected::Sql(files.into_iter().map(PathBuf::from).collect()),
        Expected::Deltas(_) => pum::Expected::Deltas,
    }
}
