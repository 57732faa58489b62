//! Pairs of databases that differ in one thing, or in nothing.
//!
//! `check/<kind>/<case>/` holds `left.sql` and `right.sql`, after `both.sql` where there is one. `expected.txt` lists the
//! differences, one a line; the cases in `check/same` have none. Of every case these hold too:
//! - with the sides exchanged the report is mirrored,
//! - the left side equals its own copy by `pg_dump --create` and `psql`,
//! - `pg_dump` shows a difference as well, or `hidden.txt` says why it does not.
//!
//! `since.txt` names the first major version of the server that knows what the case needs. What a server was built without
//! (ICU) is not tested on it.
//!
//! Every class of differences counts in them; a difference of a class has its name in parentheses. A case in `check/same`
//! may have an `expected.txt` too: nothing of it counts by default.
//!
//! `PUM_BLESS=1` writes `expected.txt`, to be read before it is committed; `PUM_CASE=text` runs what has it in its path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use pum::{Change, Class, Connection, Filter, Report, Run, Target, check, find_program};

#[test]
fn every_case_shows_its_differences_and_no_other() {
    let cases = cases();
    assert!(
        cases.len() > 100 || std::env::var_os("PUM_CASE").is_some(),
        "only {} cases",
        cases.len()
    );
    create_tablespace();
    let queue = Mutex::new(VecDeque::from(cases));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else {
                        break;
                    };
                    let name = case.strip_prefix(root()).unwrap().display().to_string();
                    let outcome = std::panic::catch_unwind(|| run_case(&case, &name));
                    let problems = outcome.unwrap_or_else(|_| vec!["panicked, see above".to_owned()]);
                    failures
                        .lock()
                        .unwrap()
                        .extend(problems.into_iter().map(|problem| format!("{name}: {problem}")));
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The tablespace `pum_space`, in the server's own directory, which is possible since PostgreSQL 15.
fn create_tablespace() {
    if support::server().version().major() >= 15 {
        let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
        connection.execute("set allow_in_place_tablespaces = on").unwrap();
        connection.execute("create tablespace pum_space location ''").unwrap();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

fn cases() -> Vec<PathBuf> {
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

fn run_case(case: &Path, name: &str) -> Vec<String> {
    let kind = name.split('/').next().unwrap();
    let since: u32 = fs::read_to_string(case.join("since.txt")).map_or(0, |text| text.trim().parse().unwrap());
    if support::server().version().major() < since {
        return Vec::new();
    }
    let read = |file: &str| fs::read_to_string(case.join(file)).unwrap_or_default();
    let side = |file: &str| build(&[read("both.sql"), read(file)]);
    let (Some(left), Some(right)) = (side("left.sql"), side("right.sql")) else {
        return Vec::new();
    };
    let mut filter = Filter::default();
    filter.include_words(&["all"]).unwrap();
    let compare = |left: &Target, right: &Target| check(left, right, &filter, &Run::new()).unwrap();

    let mut problems = Vec::new();
    let found = lines(&compare(&left, &right), false);
    let expected = case.join("expected.txt");
    if std::env::var_os("PUM_BLESS").is_some() && !found.is_empty() {
        fs::write(&expected, &found).unwrap();
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    if found != wanted {
        problems.push(format!("expected\n{wanted}but found\n{found}"));
    }
    if kind != "same" && !found.lines().any(|line| line.split(' ').nth(1) == Some(kind)) {
        problems.push(format!("no difference in {kind}"));
    }
    if kind == "same" {
        let counted = lines(&check(&left, &right, &Filter::default(), &Run::new()).unwrap(), false);
        if !counted.is_empty() {
            problems.push(format!("by default it is not the same:\n{counted}"));
        }
    }
    let mirrored = lines(&compare(&right, &left), true);
    if mirrored != found {
        problems.push(format!("mirrored it is\n{mirrored}"));
    }

    let (left_dump, right_dump) = (dump(&left), dump(&right));
    let copy = restore(&left_dump, &left);
    let news = lines(&compare(&left, &copy), false);
    if !news.is_empty() {
        problems.push(format!("its own restored dump differs:\n{news}"));
    }
    let shown = normalized(&left_dump, &left) != normalized(&right_dump, &right);
    let hidden = case.join("hidden.txt").exists();
    if kind != "same" && shown == hidden {
        problems.push(if shown {
            "pg_dump shows a difference, and hidden.txt says that it does not".to_owned()
        } else {
            "pg_dump shows no difference".to_owned()
        });
    }
    // Hundreds of databases would fill the disk.
    let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
    for target in [left, right, copy] {
        // A database with a subscription cannot be dropped.
        Connection::open_for_scripts(&target, &Run::new())
            .unwrap()
            .execute(DROP_SUBSCRIPTIONS)
            .unwrap();
        connection
            .execute(&format!("drop database \"{}\"", database_name(&target)))
            .unwrap();
    }
    problems
}

/// One line a difference: `~ columns public.t.a type, collation`.
fn lines(report: &Report, mirrored: bool) -> String {
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

/// `None` when the server was built without what a script needs.
fn build(scripts: &[String]) -> Option<Target> {
    let target = support::database("case");
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    for script in scripts {
        match connection.execute(script) {
            Err(error) if error.message().contains("not supported in this build") => return None,
            outcome => outcome.unwrap(),
        }
    }
    Some(target)
}

fn client(program: &str, target: &Target) -> Command {
    let connection = Connection::open(target, &Run::new()).unwrap();
    // Those of the server's own version are the best; of some only a server is there, and newer programs serve it.
    let beside = support::server().programs().join(program);
    let major = connection.server_version().major();
    let path = find_program(
        program,
        Some(major),
        Some(beside.as_path()).filter(|path| path.is_file()),
    )
    .unwrap();
    let mut command = Command::new(path);
    for (name, value) in connection.environment() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

const DROP_SUBSCRIPTIONS: &str = "do $$ declare name text; begin
    for name in select subname from pg_subscription
        where subdbid = (select oid from pg_database where datname = current_database())
    loop
        execute format('alter subscription %I disable', name);
        execute format('alter subscription %I set (slot_name = none)', name);
        execute format('drop subscription %I', name);
    end loop; end $$";

fn database_name(target: &Target) -> String {
    let connection = Connection::open(target, &Run::new()).unwrap();
    connection.parameter("dbname").unwrap()
}

/// With the statements that create the database, for what belongs to the database itself.
fn dump(target: &Target) -> String {
    let output = client("pg_dump", target).arg("--create").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Restores the dump of a database under another name.
fn restore(dump: &str, source: &Target) -> Target {
    use std::io::Write;
    let name = database_name(source);
    let copy = format!("{name}_copy");
    let mut psql = client("psql", &support::server().target("postgres"))
        .args(["-qX", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = dump.replace(&name, &copy);
    psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    support::server().target(&copy)
}

/// Without the lines that differ from one dump to the next, and without the name of the database.
fn normalized(dump: &str, source: &Target) -> String {
    dump.replace(&database_name(source), "case")
        .split('\n')
        .filter(|line| !line.starts_with("--") && !line.starts_with(r"\restrict") && !line.starts_with(r"\unrestrict"))
        .collect::<Vec<_>>()
        .join("\n")
}
