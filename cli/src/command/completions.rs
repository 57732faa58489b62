//! `pum completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use pum::Result;

use crate::Exit;
use crate::command::Pum;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pum completions bash > ~/.local/share/bash-completion/completions/pum
  pum completions zsh > ~/.zfunc/_pum";

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Completions, terminal: &Terminal) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Pum::command(), "pum", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
