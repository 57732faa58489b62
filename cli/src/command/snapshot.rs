//! `pum snapshot`

use std::path::PathBuf;

use clap::Args;
use pum::{Catalog, Connection, Filter, Result, TableName};

use crate::Exit;
use crate::command::Database;
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
