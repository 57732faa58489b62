//! The `pum` command: nothing but a call into its library, so that the Python wheel ships the same command.

fn main() {}
