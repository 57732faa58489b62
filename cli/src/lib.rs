//! The `pum` command.
