//! Bad input gets a sentence: the built command is given what goes wrong in the field, on real servers.
//!
//! Every refusal is held to the same: the exit code, no traces of a panic, no escape codes, what failed and where,
//! the server's words where it spoke, the next step to take, and a database that is as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod backup;
mod baseline;
mod config;
mod connection;
mod content;
mod directory;
mod interrupt;
mod killed;
mod planted;
mod pooled;
#[path = "../../../lib/tests/support/pooler.rs"]
mod pooler;
mod production;
mod statement;
mod support;
mod table;
mod terminal;
mod writes;
mod wrong_target;
