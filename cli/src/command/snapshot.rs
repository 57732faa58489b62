//! `pum snapshot`

use std::path::{Path, PathBuf};

use clap::Args;
use pum::{Catalog, Connection, Error, ErrorKind, Filter, Result, TableName};

use crate::Exit;
use crate::command::Database;
use crate::config::is_snapshot;
use crate::session::Session;
use crate::terminal::{json, line};

const EXAMPLES: &str = "\
Examples:
  pum snapshot -p water_1_3_0 -o water-1.3.0.json
  pum check -p1 water_prod -p2 water-1.3.0.json
  pum test -pp water_prod -pc water-1.3.0.json

A name that ends with .json stands for a snapshot wherever a database is compared.";

/// Write the structure of a database into a file that check takes in its place
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Snapshot {
    #[command(flatten)]
    database: Database,

    /// Leave out a schema; may be repeated
    #[arg(short = 'N', long, value_name = "SCHEMA")]
    exclude_schema: Vec<String>,

    /// The upgrades table, schema.table, which is left out
    #[arg(short, long)]
    table: Option<String>,

    /// The file to write, such as water-1.3.0.json; without it the snapshot is printed
    #[arg(short, long, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

pub(crate) fn run(args: Snapshot, session: &Session) -> Result<Exit> {
    let config = &session.config;
    args.output_file.as_deref().map_or(Ok(()), readable)?;
    let mut filter = Filter {
        exclude_schemas: config.exclude_schemas(args.exclude_schema).value,
        ..Filter::default()
    };
    if let Some(table) = config.upgrades_table(args.table) {
        let table: TableName = table.map(|name| name.parse())?.value;
        filter.upgrades_table = Some((table.schema, table.name));
    }
    let target = args.database.target(session)?;
    let catalog = Catalog::read(&mut Connection::open(&target, &session.run)?, &filter)?;
    match args.output_file {
        Some(file) => {
            catalog.save(&file)?;
            let (name, file) = (target.name(), file.to_string_lossy());
            session.terminal.print(&format!(
                "The structure of {} is in {}, with the digest {}.\n",
                line(&name),
                line(&file),
                catalog.fingerprint()
            ))?;
        }
        None => session.terminal.print(&json(&catalog.to_json()))?,
    }
    Ok(Exit::Done)
}

/// # Errors
/// A name that would not stand for a snapshot where a database is compared.
fn readable(file: &Path) -> Result<()> {
    if is_snapshot(&file.to_string_lossy()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!(
            "\"{}\" is no name of a snapshot, by which check could read it",
            file.display()
        ),
    )
    .with_hint("give a name that ends with .json and holds no \"=\" and no \"://\"")
    .with_state("nothing was written"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::readable;

    #[test]
    fn a_snapshot_is_written_where_check_reads_it() {
        assert!(readable(Path::new("dir/water-1.3.0.json")).is_ok());
        for name in ["water", "water.JSON", "water.txt", "a=b.json", "-", ""] {
            assert!(readable(Path::new(name)).is_err(), "{name}");
        }
    }
}
