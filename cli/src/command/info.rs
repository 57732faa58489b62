//! `pum info`

use clap::Args;
use pum::{Error, ErrorKind, Result, Status};

use crate::Exit;
use crate::command::{Deltas, Format};
use crate::fleet::{Databases, Named, Report, Task};
use crate::session::Session;
use crate::terminal::{json, line, table};

const EXAMPLES: &str = "\
Examples:
  pum info -p water_prod -t water_sys.info -d deltas
  pum info -p water_prod -t water_sys.info -d deltas --format json
  pum info -p 'water_*' -t water_sys.info -d deltas
  pum info -p host=db1 --databases 'town_*' -t water_sys.info -d deltas";

/// Show the version of a database, and its deltas applied and due; or the versions of many
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Info {
    #[command(flatten)]
    databases: Databases,

    #[command(flatten)]
    deltas: Deltas,

    /// The form of the answer
    #[arg(long, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: Info, session: &Session) -> Result<Exit> {
    let table = args.deltas.table(&session.config)?;
    let directories = args.deltas.directories(&session.config)?;
    let target = match args.databases.named(session)? {
        Named::One(target) => target,
        Named::Many(fleet) => {
            // What is wrong with the deltas is said once.
            pum::Deltas::read(&directories)?;
            let task = Task {
                command: "info",
                columns: &["version", "what"],
                format: args.format,
                silent: false,
                canaries: None,
                failed: Exit::Failed,
                again: "run the same command again",
                work: &|member, run| report(&pum::info(&member.target, &table, &directories, run)?),
            };
            return fleet.run(task, session);
        }
    };
    let info = pum::info(&target, &table, &directories, &session.run)?;
    let text = match args.format {
        Format::Text => as_text(&target.name(), &info),
        Format::Json => serde_json::to_string_pretty(&info)
            .map(|text| json(&text) + "\n")
            .map_err(no_json)?,
    };
    session.terminal.print(&text)?;
    Ok(Exit::Done)
}

/// What is to be said of one of many.
fn report(info: &pum::Info) -> Result<Report> {
    let of = |status| info.deltas.iter().filter(|delta| delta.status == status).count();
    let version = info.current_version.clone().unwrap_or_else(|| "none".to_owned());
    let what = counts(info);
    Ok(Report {
        verdict: match (of(Status::Pending), of(Status::Changed)) {
            (_, 1..) => "with changed deltas",
            (1.., _) => "to upgrade",
            _ => "up to date",
        },
        fine: true,
        sentence: format!("version {}; {what}", line(&version)),
        cells: vec![version, what],
        json: serde_json::to_value(info).map_err(no_json)?,
    })
}

fn no_json(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the answer cannot be written as JSON: {error}"))
}

fn as_text(database: &str, info: &pum::Info) -> String {
    let version = match &info.current_version {
        Some(version) => format!("{} is at version {}.\n\n", line(database), line(version)),
        None => format!("{} has no version yet.\n\n", line(database)),
    };
    let rows = info.deltas.iter().map(|delta| {
        // A file that is not what it was, or is no delta, is named.
        let place = matches!(delta.status, Status::Changed | Status::Ignored).then(|| delta.path.clone());
        let remark: Vec<String> = delta.remark.clone().into_iter().chain(place).collect();
        let rehearsal = delta.rehearsal.as_ref().map(|id| format!("rehearsal {id}"));
        let remark: Vec<String> = [remark.join(": ")]
            .into_iter()
            .filter(|text| !text.is_empty())
            .chain(rehearsal)
            .collect();
        [
            delta.version.clone().unwrap_or_default(),
            delta.name.clone(),
            delta.kind.clone().unwrap_or_default(),
            word(delta.status).to_owned(),
            delta.installed_on.clone().unwrap_or_default(),
            delta
                .execution_time_ms
                .map(|time| format!("{time} ms"))
                .unwrap_or_default(),
            remark.join("; "),
        ]
    });
    let rows = table(
        ["version", "name", "type", "status", "installed on", "took", "remark"],
        rows,
    );
    format!("{version}{rows}\n{}.\n", counts(info))
}

/// How many of each status there are.
fn counts(info: &pum::Info) -> String {
    let all = [
        Status::Applied,
        Status::Pending,
        Status::Changed,
        Status::Skipped,
        Status::Ignored,
    ];
    let counts: Vec<String> = all
        .into_iter()
        .map(|status| {
            (
                status,
                info.deltas.iter().filter(|delta| delta.status == status).count(),
            )
        })
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{count} {}", word(status)))
        .collect();
    if counts.is_empty() {
        "No deltas".to_owned()
    } else {
        counts.join(", ")
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Applied => "applied",
        Status::Pending => "pending",
        Status::Changed => "changed since applied",
        Status::Skipped => "skipped",
        Status::Ignored => "ignored",
    }
}
