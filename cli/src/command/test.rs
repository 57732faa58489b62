//! `pum test`

mod many;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use pum::{
    Connection, Contract, Error, ErrorKind, Event, HtmlOptions, Rehearsal, RehearsalOptions, Result, Run, TableName,
    Target, TextOptions, Version, write_file,
};

use crate::Exit;
use crate::command::check::keep_apart;
use crate::command::restore::passed_over;
use crate::command::upgrade::upgraded;
use crate::command::{Comparison, Deltas, Format, Login, Scripts};
use crate::config::{Command, Config, Expected, Program, Role, Setting};
use crate::fleet::{Many, Named, refused};
use crate::session::Session;
use crate::terminal::{json, line};

pub(crate) use many::rehearsal_of;

const EXAMPLES: &str = "\
Examples:
  pum test -pp water_prod -t water_sys.info -d deltas
  pum test -pp water_prod -t water_sys.info -d deltas --save water.rehearsal.json --report water.html
  pum test -pp water_prod -t water_sys.info -d deltas --crash
  pum test -pp water_prod -pt water_test -pc water_new -t water_sys.info -d deltas -f water.backup -i views
  pum test -pp water_prod -t water_sys.info -d deltas --copy physical
  pum test -pp water_prod -t water_sys.info -d deltas --sample 5%
  pum test -pp water_prod -pc water-1.3.0.json -t water_sys.info -d deltas
What the upgraded copy must be is said by -pc, which names a database of the newest version or a snapshot of one, or by
`expected` in the configuration, which says how one is built from nothing.
Many databases, each on a throw-away server; --save, --report and -f, or backup_file, name
directories, in which each gets a file:
  pum test -pp 'water_*' -pc water-1.3.0.json -t water_sys.info -d deltas --save proofs --report pages
  pum test -pp 'water_*' -pc water-1.3.0.json -t water_sys.info -d deltas --save proofs --resume

Ways to copy production (--copy):
  restore   pg_dump and pg_restore, with several jobs; from the backup when one is asked for (-f)
  template  CREATE DATABASE ... TEMPLATE in production's own server and on its disk, as the test database (-pt), while
            nobody is connected to production
  physical  pg_basebackup of the whole server into a throw-away one: with production's bloat and order of rows, times
            are nearest to production's; needs the right REPLICATION
  auto      restore";

/// Rehearse an upgrade on a copy of production, which stays as it is; or those of many databases
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// The production database: a service, a URI or a conninfo string; may be repeated, and a service may be a pattern
    /// such as 'water_*' [short: -pp]
    #[arg(long, value_name = "DB", conflicts_with = "fleet")]
    pg_service_prod: Vec<String>,

    #[command(flatten)]
    many: Many,

    /// Rehearse so many databases at once, each with --jobs 1 unless you say otherwise
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,

    /// With many databases, pass over those whose rehearsal in the directory of --save is clean and still fits
    #[arg(long, requires = "save")]
    resume: bool,

    #[command(flatten)]
    pub(crate) rehearsal: Rehearsing,

    /// The form of the answer; for one database JSON is what --save writes
    #[arg(long, default_value = "text")]
    format: Format,
}

/// How to rehearse.
#[derive(Debug, Args)]
pub(crate) struct Rehearsing {
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
    let Test {
        pg_service_prod,
        many,
        at_once,
        resume,
        rehearsal: args,
        format,
    } = args;
    let ask = args.login.ask();
    let production = match many.named(pg_service_prod, Role::Production, at_once.into(), ask, session)? {
        Named::One(_) if resume => {
            return Err(refused(
                "--resume needs many databases",
                "leave it out: one database is rehearsed again",
            ));
        }
        Named::One(production) => production,
        Named::Many(fleet) => return many::run(fleet, args, resume, format, session),
    };
    let baseline = Baseline::read(&args, &session.config)?.of(&production, &session.run)?;
    let rehearsal = rehearse(args, &production, baseline, format, session)?;
    if format == Format::Json {
        session.terminal.print(&json(&rehearsal.contract().to_json()))?;
    } else {
        let (verdict, production) = (rehearsal.verdict(), production.name());
        session
            .terminal
            .print(&format!("{verdict}; {} was only read.\n", line(&production)))?;
    }
    Ok(if rehearsal.is_clean() {
        Exit::Done
    } else {
        Exit::Different
    })
}

/// How the version is found out of a database that has no upgrades table.
pub(crate) struct Baseline {
    table: TableName,
    given: Option<Version>,
    query: Option<Setting<String>>,
}

impl Baseline {
    pub(crate) fn read(args: &Rehearsing, config: &Config) -> Result<Baseline> {
        Ok(Baseline {
            table: args.deltas.table(config)?,
            given: args.baseline.as_deref().map(str::parse).transpose()?,
            query: config.version_query(),
        })
    }

    /// The version at which production has to be baselined, when it has no upgrades table.
    pub(crate) fn of(&self, production: &Target, run: &Run) -> Result<Option<Version>> {
        if pum::history(production, &self.table, run)?.is_some() {
            return Ok(None);
        }
        match (self.given, self.query.clone()) {
            (Some(version), _) => Ok(Some(version)),
            (None, Some(query)) => Ok(query.map(|query| version_of(production, &query, run).map(Some))?.value),
            // The library says what is missing.
            (None, None) => Ok(None),
        }
    }
}

/// What the `version_query` says. It reads only.
fn version_of(production: &Target, query: &str, run: &Run) -> Result<Version> {
    let mut connection = Connection::open_for_scripts(production, run)?;
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

/// Rehearses, writes the files that are asked for, and as text prints what came of it.
pub(crate) fn rehearse(
    args: Rehearsing,
    production: &Target,
    baseline: Option<Version>,
    format: Format,
    session: &Session,
) -> Result<Rehearsal> {
    let files = Files {
        save: args.save.clone(),
        page: args.report.clone(),
    };
    let options = RehearsalOptions {
        baseline,
        ..options(args, session)?
    };
    // What cannot be written in the end is better said before everything is copied.
    let beside = options.backup.as_deref().map(beside);
    keep_apart(&files.page, files.save.iter().chain(&beside).chain(&options.backup))?;
    files
        .save
        .iter()
        .chain(&files.page)
        .try_for_each(|file| needs_directory(file))?;
    let rehearsal = files.rehearse(production, &options, &session.run)?;
    let terminal = &session.terminal;
    terminal.settle();
    let passed_over = passed_over(&rehearsal.restored().passed_over);
    if format == Format::Json {
        if !passed_over.is_empty() {
            session.run.emit(Event::Message(passed_over.trim_end().to_owned()));
        }
        return Ok(rehearsal);
    }
    let text = rehearsal.report().to_text(&TextOptions {
        width: terminal.width(),
        color: terminal.coloured(),
        ..TextOptions::default()
    });
    let applied = upgraded("The copy", rehearsal.applied());
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
    let page = files
        .page
        .map(|page| format!("The report is in {}.\n", line(&page.to_string_lossy())));
    let page = page.unwrap_or_default();
    terminal.print(&format!("{passed_over}{applied}\n{measured}{text}\n{remark}{page}"))?;
    Ok(rehearsal)
}

/// Where a rehearsal is written.
struct Files {
    save: Option<PathBuf>,
    page: Option<PathBuf>,
}

impl Files {
    /// Rehearses, and writes what came of it.
    fn rehearse(&self, production: &Target, options: &RehearsalOptions, run: &Run) -> Result<Rehearsal> {
        let rehearsal = pum::rehearse(production, options, run)?;
        let beside = options.backup.as_deref().map(beside);
        for file in self.save.iter().chain(&beside) {
            rehearsal.contract().save(file)?;
        }
        self.write_page(rehearsal.contract())?;
        Ok(rehearsal)
    }

    fn write_page(&self, contract: &Contract) -> Result<()> {
        let Some(page) = &self.page else { return Ok(()) };
        let options = HtmlOptions {
            moment: Some(SystemTime::now()),
        };
        write_file(page, &contract.to_html(&options))
    }
}

/// The rehearsal that is kept with a backup.
fn beside(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".rehearsal.json");
    PathBuf::from(name)
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

fn options(args: Rehearsing, session: &Session) -> Result<RehearsalOptions> {
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
        ..RehearsalOptions::new(args.scripts.options(&args.deltas, session)?)
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
