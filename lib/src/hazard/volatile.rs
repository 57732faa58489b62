//! Whether a default is computed anew for each row: then every row is written for a new column.

use squawk_linter::{Linter, Rule as Squawk};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};

pub(super) enum Volatile {
    Yes,
    No,
    /// It hangs on this function.
    If(String),
}

/// Functions that give another value for each row and are often a default.
const VOLATILE: &[&str] = &[
    "nextval",
    "random",
    "random_normal",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "clock_timestamp",
    "timeofday",
];

/// Whether a default is computed anew for each row.
pub(super) fn volatile(expression: &ast::Expr) -> Volatile {
    let mut doubt = Volatile::No;
    for call in expression.syntax().descendants().filter_map(ast::CallExpr::cast) {
        // Forms of the grammar such as extract() and coalesce() are not volatile.
        let Some(function) = call.expr() else {
            continue;
        };
        let name = function.syntax().descendants().filter_map(ast::NameRef::cast).last();
        let Some(name) = name.map(|name| name.text()) else {
            continue;
        };
        if VOLATILE.contains(&name.as_str()) {
            return Volatile::Yes;
        }
        if !squawk_knows_as_not_volatile(&name) {
            doubt = Volatile::If(name);
        }
    }
    doubt
}

/// Squawk has the list of PostgreSQL's own functions that are not volatile, but asks it for calls without arguments
/// only.
fn squawk_knows_as_not_volatile(function: &str) -> bool {
    let plain = function
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let text = format!("alter table t add c int default {function}();");
    let parse = SourceFile::parse(&text);
    plain
        && parse.errors().is_empty()
        && Linter::from([Squawk::AddingFieldWithDefault])
            .lint(&parse, &text)
            .is_empty()
}
