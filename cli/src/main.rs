//! The `pum` command: nothing but a call into its library, so that the Python wheel ships the same command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(pum_cli::main(std::env::args_os()))
}
