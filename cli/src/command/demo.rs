//! `pum demo`: the main job on the water example, in a throw-away server, with all set-up.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use pum::{
    BaselineOptions, Connection, Error, ErrorKind, Event, Result, Script, Server, ServerOptions, UpgradeOptions,
    Variables, Version,
};

use crate::Exit;
use crate::session::Session;
use crate::terminal::line;

const EXAMPLES: &str = "\
Examples:
  pum demo
  pum demo --report reports";

/// Show the main job on an example: two towns are upgraded in a throw-away server
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Write the page of each rehearsal, arvel.html and brenn.html, into this directory, which is made when it is missing
    #[arg(long, value_name = "DIRECTORY")]
    report: Option<PathBuf>,
}

/// A file of the example, compiled in.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../examples/water/", $name)))),+]
    };
}

const FILES: &[(&str, &str)] = &files![
    "create.sql",
    "db_manager_config.yaml",
    "towns/arvel.sql",
    "towns/brenn.sql",
    "deltas/delta_1.0.0_initial.sql",
    "deltas/delta_1.1.0_customer_contact.sql",
    "deltas/delta_1.1.0_material.sql",
    "deltas/delta_1.1.0_views.post.sql",
    "deltas/delta_1.1.0_views.pre.sql",
    "deltas/delta_1.2.0_coordinate_system.sql",
    "deltas/delta_1.2.0_pipe_length.sql",
    "deltas/delta_1.2.0_reading_value.sql",
    "deltas/delta_1.2.0_status.pre.sql",
    "deltas/delta_1.2.0_views.post.sql",
    "deltas/delta_1.2.0_views.pre.sql",
    "deltas/delta_1.3.0_meter.sql",
    "deltas/delta_1.3.0_network_checks.post.sql",
    "deltas/delta_1.3.0_network_checks.sql",
    "deltas/delta_1.3.0_reading_batch.sql",
    "deltas/delta_1.3.0_tariff.sql",
    "deltas/delta_1.3.0_views.post.sql",
    "deltas/delta_1.4.0_reading_day.sql",
    "deltas/delta_1.4.0_reading_standing.sql",
    "deltas/delta_1.4.0_retention.post.sql",
    "deltas/delta_1.4.0_version.post.sql",
    "deltas/post-all.sql",
];

const TOWNS: [(&str, Version); 2] = [
    (
        "arvel",
        Version {
            major: 1,
            minor: 0,
            patch: 0,
        },
    ),
    (
        "brenn",
        Version {
            major: 1,
            minor: 1,
            patch: 0,
        },
    ),
];

pub(crate) fn run(args: Demo, session: &Session) -> Result<Exit> {
    let terminal = &session.terminal;
    let reports = args.report.as_deref().map(make_directory).transpose()?;
    let reports = reports.as_deref();
    let directory = tempfile::Builder::new()
        .prefix("pum-demo-")
        .tempdir()
        .map_err(|error| Error::io("cannot make a directory for the demo", &error))?;
    write_files(directory.path())?;
    let server = start_server(session)?;
    terminal.print(&format!(
        "A throw-away server of PostgreSQL {} runs, and the example of a water network lies in {}.\n\
         Two towns use it. Arvel runs release 1.0.0; Brenn runs 1.1.0 and was changed by hand.\n",
        server.version(),
        directory.path().display()
    ))?;
    let mut services = String::new();
    for (town, version) in TOWNS {
        make_town(&server, directory.path(), town, version, session)?;
        services.push_str(&format!(
            "[{town}]\nhost={}\nhostaddr=\nport=5432\nuser=postgres\ndbname={town}\n",
            server.socket_directory().display()
        ));
    }
    let service_file = directory.path().join("pg_service.conf");
    fs::write(&service_file, services)
        .map_err(|error| Error::io(format_args!("cannot write \"{}\"", service_file.display()), &error))?;

    let clean = town(session, directory.path(), "arvel", reports)?;
    let drifted = town(session, directory.path(), "brenn", reports)?;
    if (clean, drifted) != (0, 1) {
        return Err(Error::new(
            ErrorKind::Program,
            format!("the demo did not go as it should: Arvel ended with {clean} and Brenn with {drifted}"),
        ));
    }
    let kept = match reports {
        Some(directory) => format!(
            "For each there is a page for the person who decides: {} and brenn.html beside it.\n",
            line(&directory.join("arvel.html").to_string_lossy())
        ),
        None => "With --report DIRECTORY there is a page of each for the person who decides.\n".to_owned(),
    };
    terminal.print(&format!(
        "\nArvel is upgraded: its rehearsal was clean. Brenn is as it was: the rehearsal found what was changed by hand,\n\
         before anything was written to it. The server and its files are removed now.\n{kept}"
    ))?;
    Ok(Exit::Done)
}

/// Returns it from the root on: the commands of the demo run elsewhere.
fn make_directory(directory: &Path) -> Result<PathBuf> {
    fs::create_dir_all(directory)
        .and_then(|()| std::path::absolute(directory))
        .map_err(|error| {
            Error::io(
                format_args!("cannot make the directory \"{}\" for the reports", directory.display()),
                &error,
            )
            .with_hint("name another directory")
            .with_state("nothing was done")
        })
}

fn write_files(directory: &Path) -> Result<()> {
    for (name, text) in FILES {
        let path = directory.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text));
        written.map_err(|error| Error::io(format_args!("cannot write \"{}\"", path.display()), &error))?;
    }
    Ok(())
}

/// Brings the programs of PostgreSQL when the machine has none.
fn start_server(session: &Session) -> Result<Server> {
    match Server::start(&ServerOptions::default(), &session.run) {
        Err(error) if error.kind() == ErrorKind::Program => {
            session.run.emit(Event::Message(format!(
                "{}; bringing PostgreSQL with pip",
                error.message()
            )));
            pum::fetch_programs()?;
            Server::start(&ServerOptions::default(), &session.run)
        }
        outcome => outcome,
    }
}

fn make_town(server: &Server, directory: &Path, town: &str, version: Version, session: &Session) -> Result<()> {
    // Set-up: told in a word by the caller, its events to nobody; the run's cancellation reaches it all the same.
    let run = &session.run.quietly();
    let target = server.create_database(town)?;
    let table = "water_sys.upgrades".parse()?;
    let first = Version {
        major: 0,
        minor: 0,
        patch: 0,
    };
    pum::baseline(&target, &BaselineOptions::new(table, first), run)?;
    let mut variables = Variables::new();
    variables.insert("int", "SRID", "25832")?;
    variables.insert("str", "currency", "EUR")?;
    variables.insert("float", "water_price", "1.85")?;
    let options = UpgradeOptions {
        max_version: Some(version),
        variables,
        python: session.python(),
        ..UpgradeOptions::new("water_sys.upgrades".parse()?, vec![directory.join("deltas")])
    };
    pum::upgrade(&target, &options, None, run)?;
    let script = Script::open(&directory.join("towns").join(format!("{town}.sql")), &Variables::new())?;
    pum::run_script(&mut Connection::open_for_scripts(&target, run)?, &script)
}

/// Runs the very command that a user would, and returns its exit code.
fn town(session: &Session, directory: &Path, town: &str, reports: Option<&Path>) -> Result<i32> {
    let mut arguments: Vec<OsString> = ["test-and-upgrade", "-pp", town, "--yes", "-f"]
        .map(Into::into)
        .to_vec();
    arguments.push(format!("{town}.dump").into());
    if let Some(reports) = reports {
        arguments.extend(["--report".into(), reports.join(format!("{town}.html")).into()]);
    }
    let shown: String = arguments
        .iter()
        .map(|argument| format!(" {}", line(&argument.to_string_lossy())))
        .collect();
    session.terminal.print(&format!("\n$ pum{shown}\n"))?;
    let program = || std::env::current_exe().map_err(|error| Error::io("cannot find the pum command", &error));
    let mut itself = match &session.itself {
        Some(words) => words.clone(),
        None => vec![program()?.into()],
    }
    .into_iter();
    let mut child = Command::new(itself.next().unwrap_or_default())
        .args(itself)
        .args(arguments)
        .current_dir(directory)
        .env("PGSERVICEFILE", directory.join("pg_service.conf"))
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| Error::io("cannot run pum", &error))?;
    // Ctrl-C reaches the child too, which cleans up by itself: wait for it.
    let status = child.wait().map_err(|error| Error::io("cannot wait for pum", &error))?;
    session.run.go_on()?;
    Ok(status.code().unwrap_or(-1))
}
