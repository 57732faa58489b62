//! The cases of `check/`, and reports in the form of their `expected.txt`.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pum::{Change, Class, Connection, Report, Run, Server};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

pub fn cases() -> Vec<PathBuf> {
    let wanted = std::env::var("PUM_CASE").unwrap_or_default();
    let directories = |path: &Path| -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.is_dir());
        found.sort();
        found
    };
    let mut cases: Vec<PathBuf> = directories(&root()).iter().flat_map(|kind| directories(kind)).collect();
    cases.retain(|case| case.to_string_lossy().contains(&wanted));
    cases
}

/// One line a difference: `~ columns public.t.a type, collation`.
pub fn lines(report: &Report, mirrored: bool) -> String {
    let mut text = String::new();
    for difference in report.differences() {
        let mark = match (difference.change, mirrored) {
            (Change::OnlyLeft, false) | (Change::OnlyRight, true) => "-",
            (Change::OnlyRight, false) | (Change::OnlyLeft, true) => "+",
            (Change::Changed, _) => "~",
        };
        let object = &difference.object;
        // A renamed object has the name of the side that was left.
        let own_name = match (difference.class, difference.attributes.as_slice()) {
            (Some(Class::Names), [name]) if mirrored && name.name == "name" => name.right.as_ref().unwrap(),
            _ => &object.name,
        };
        let name: Vec<&str> = [&object.schema, &object.relation, own_name]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(String::as_str)
            .collect();
        text.push_str(&format!("{mark} {} {}", object.kind, name.join(".")));
        if difference.change == Change::Changed {
            let attributes: Vec<String> = difference
                .attributes
                .iter()
                .map(|attribute| {
                    let (left, right) = if mirrored {
                        (&attribute.right, &attribute.left)
                    } else {
                        (&attribute.left, &attribute.right)
                    };
                    format!("{}: {} → {}", attribute.name, one_line(left), one_line(right))
                })
                .collect();
            text.push_str(&format!(" {}", attributes.join("; ")));
        }
        if let Some(class) = difference.class {
            text.push_str(&format!(" ({class})"));
        }
        if difference.maybe_spelling {
            text.push_str(" (may be spelling only)");
        }
        text.push('\n');
    }
    text
}

fn one_line(value: &Option<String>) -> String {
    let words: Vec<&str> = value.as_deref().unwrap_or("none").split_whitespace().collect();
    words.join(" ")
}

/// The tablespace `pum_space`, in the server's own directory, which is possible since PostgreSQL 15. Several tests want it.
pub fn prepare(server: &Server) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap();
    let mut connection = Connection::open(&server.target("postgres"), &Run::new()).unwrap();
    let there = connection
        .query("select from pg_tablespace where spcname = 'pum_space'", &[])
        .unwrap();
    if server.version().major() >= 15 && there.is_empty() {
        connection.execute("set allow_in_place_tablespaces = on").unwrap();
        connection.execute("create tablespace pum_space location ''").unwrap();
    }
}

/// A database with a subscription cannot be dropped.
pub const DROP_SUBSCRIPTIONS: &str = "do $$ declare name text; begin
    for name in select subname from pg_subscription
        where subdbid = (select oid from pg_database where datname = current_database())
    loop
        execute format('alter subscription %I disable', name);
        execute format('alter subscription %I set (slot_name = none)', name);
        execute format('drop subscription %I', name);
    end loop; end $$";
