//! `pum man`

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use pum::{Error, Result};

use crate::Exit;
use crate::command::Pum;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pum man | man -l -
  pum man ~/.local/share/man/man1";

/// Print the manual page, or write the pages of all commands into a directory
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Man {
    /// The directory, created when it is missing
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: &Man, terminal: &Terminal) -> Result<Exit> {
    match &args.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(Pum::command(), directory))
                .map_err(|error| {
                    Error::io(
                        format!("cannot write the manual into \"{}\"", directory.display()),
                        &error,
                    )
                })?;
        }
        None => {
            let mut page = Vec::new();
            Page::new(Pum::command())
                .render(&mut page)
                .map_err(|error| Error::io("cannot make the manual page", &error))?;
            terminal.print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Exit::Done)
}
