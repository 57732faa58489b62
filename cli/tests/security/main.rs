//! What the built command gives away, what it lets in, and what it needs: passwords, hostile texts, privileges, on real
//! servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod injection;
mod least_copies;
mod passwords;
mod privileges;
mod secrets;
#[allow(dead_code)]
#[path = "../bad_input/support.rs"]
mod support;
