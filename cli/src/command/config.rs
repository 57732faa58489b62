//! `pum config`

use std::path::{Path, PathBuf};

use clap::Args;
use pum::{Result, Target};
use serde_json::{Value, json};

use crate::Exit;
use crate::command::{Comparison, Deltas, Format};
use crate::config::{Command, Config, Expected, Origin, Program, Role, Setting, Time};
use crate::session::Session;
use crate::terminal::{line, table};

const EXAMPLES: &str = "\
Examples:
  pum config
  pum -c db_manager_config.yaml config -d other_deltas
  pum config --format json

Every key of the configuration gives the default of an option. An option wins over the environment, and the
environment over the file. A list on the command line replaces that of the file; variables are joined by name.
Paths in the file are relative to the file.";

/// Show the settings in force and where each comes from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowConfig {
    /// The database of dump, restore, snapshot, baseline, info and upgrade
    #[arg(short = 'p', long, value_name = "DB")]
    pg_service: Option<String>,

    /// The production database [short: -pp]
    #[arg(long, value_name = "DB")]
    pg_service_prod: Option<String>,

    /// The test database [short: -pt]
    #[arg(long, value_name = "DB")]
    pg_service_test: Option<String>,

    /// The database with which the upgraded test database is compared [short: -pc]
    #[arg(long, value_name = "DB")]
    pg_service_comp: Option<String>,

    #[command(flatten)]
    deltas: Deltas,

    /// The backup of production
    #[arg(short, long)]
    file: Option<PathBuf>,

    /// How production is copied for a rehearsal
    #[arg(long, value_name = "WAY")]
    copy: Option<String>,

    /// How much of the rows of large tables is copied for a rehearsal
    #[arg(long, value_name = "PERCENT")]
    sample: Option<String>,

    #[command(flatten)]
    comparison: Comparison,

    /// A variable of the deltas
    #[arg(short = 'v', long, num_args = 3, value_names = ["TYPE", "NAME", "VALUE"], allow_negative_numbers = true)]
    var: Vec<String>,

    /// How long a delta waits for a lock
    #[arg(long, value_name = "TIME")]
    lock_timeout: Option<Time>,

    /// The form of the answer
    #[arg(long, default_value = "text")]
    format: Format,
}

/// A key, its value and its origin.
struct Row {
    key: String,
    value: Value,
    origin: Origin,
}

pub(crate) fn run(args: ShowConfig, session: &Session) -> Result<Exit> {
    session.terminal.print(&text(args, &session.config)?)?;
    Ok(Exit::Done)
}

/// What is shown.
///
/// # Errors
/// A value is none that its key takes.
pub(crate) fn text(args: ShowConfig, config: &Config) -> Result<String> {
    let format = args.format;
    let rows = rows(args, config)?;
    Ok(match format {
        Format::Json => as_json(config.path(), &rows),
        Format::Text => as_text(config.path(), &rows),
    })
}

fn rows(args: ShowConfig, config: &Config) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    row(&mut rows, "upgrades_table", config.upgrades_table(args.deltas.table));
    row(&mut rows, "delta_dirs", config.delta_dirs(args.deltas.dir));
    row(&mut rows, "backup_file", config.backup_file(args.file));
    row(
        &mut rows,
        "copy",
        config.copy(args.copy)?.map(|method| Ok(method.to_string()))?,
    );
    let sample = config.sample(args.sample)?;
    let sample = sample.map(|setting| setting.map(|sample| Ok(sample.to_string())));
    row(&mut rows, "sample", sample.transpose()?);
    let comparison = args.comparison;
    row(&mut rows, "ignore_elements", config.ignore_elements(comparison.ignore));
    row(&mut rows, "include", config.include(comparison.include));
    row(&mut rows, "exclude", config.exclude(comparison.exclude));
    row(&mut rows, "data", config.data(comparison.data));
    row(&mut rows, "expect", config.expect(comparison.expect));
    row(
        &mut rows,
        "exclude_schemas",
        config.exclude_schemas(comparison.exclude_schema),
    );
    row(
        &mut rows,
        "exclude_field_patterns",
        config.exclude_field_patterns(comparison.exclude_field_pattern),
    );
    row(&mut rows, "pg_dump_exe", config.program(Program::PgDump));
    row(&mut rows, "pg_restore_exe", config.program(Program::PgRestore));
    for (name, variable) in config.variables(&args.var) {
        rows.push(Row {
            key: format!("variables.{name}"),
            value: json!({ "type": variable.value.kind, "value": variable.value.value }),
            origin: variable.origin,
        });
    }
    row(&mut rows, "version_query", config.version_query());
    row(&mut rows, "expected", config.expected());
    row(&mut rows, "lock_timeout", config.lock_timeout(args.lock_timeout)?);
    row(&mut rows, "max_age", config.max_age(None)?);
    row(&mut rows, "budget_factor", config.budget_factor(None)?);
    let databases = [
        ("pg_service", Role::Only, args.pg_service),
        ("pg_service_prod", Role::Production, args.pg_service_prod),
        ("pg_service_test", Role::Test, args.pg_service_test),
        ("pg_service_comp", Role::Comparison, args.pg_service_comp),
    ];
    for (key, which, given) in databases {
        // The target's own name, in which no password is shown.
        let shown = config
            .database(which, given)
            .map(|setting| setting.map(|name| Ok(Target::new(&name)?.name())))
            .transpose()?;
        row(&mut rows, key, shown);
    }
    let shown = |names: Vec<String>| {
        names
            .iter()
            .map(|name| Ok(Target::new(name)?.name()))
            .collect::<Result<Vec<_>>>()
    };
    row(&mut rows, "fleet", config.fleet(Vec::new()).map(shown)?);
    Ok(rows)
}

fn row<T: Shown>(rows: &mut Vec<Row>, key: &str, setting: impl Into<Option<Setting<T>>>) {
    let (value, origin) = match setting.into() {
        Some(setting) => (setting.value.shown(), setting.origin),
        None => (Value::Null, Origin::Default),
    };
    rows.push(Row {
        key: key.to_owned(),
        value,
        origin,
    });
}

/// A value as JSON; the text form is made from it.
trait Shown {
    fn shown(self) -> Value;
}

impl Shown for String {
    fn shown(self) -> Value {
        self.into()
    }
}

impl Shown for PathBuf {
    fn shown(self) -> Value {
        self.to_string_lossy().into_owned().into()
    }
}

impl Shown for f64 {
    fn shown(self) -> Value {
        self.into()
    }
}

impl Shown for Time {
    fn shown(self) -> Value {
        self.to_string().into()
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(self) -> Value {
        self.into_iter().map(Shown::shown).collect()
    }
}

impl Shown for Expected {
    fn shown(self) -> Value {
        match self {
            Expected::Command(Command::Shell(text)) => json!({ "command": text }),
            Expected::Command(Command::Words(words)) => json!({ "command": words }),
            Expected::Sql(files) => json!({ "sql": files }),
            Expected::Deltas(deltas) => json!({ "deltas": deltas }),
        }
    }
}

fn as_json(path: Option<&Path>, rows: &[Row]) -> String {
    let settings: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "key": row.key, "value": row.value, "origin": row.origin.to_string() }))
        .collect();
    let file = path.map(|path| path.to_string_lossy());
    format!(
        "{:#}\n",
        json!({ "schema": "pum/config/1", "file": file, "settings": settings })
    )
}

fn as_text(path: Option<&Path>, rows: &[Row]) -> String {
    let file = match path {
        Some(path) => format!("Configuration file: {}\n\n", line(&path.to_string_lossy())),
        None => "No configuration file.\n\n".to_owned(),
    };
    let rows = rows
        .iter()
        .map(|row| [row.key.clone(), plain(&row.value), row.origin.to_string()]);
    file + &table(["key", "value", "from"], rows)
}

/// A value without the quotes of JSON where none are needed.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
