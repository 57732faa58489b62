//! The same on two servers of different versions is no difference.
//!
//! Every case of `check/` is built on both, and compared with every class of differences. The servers are those that
//! support/servers.sh has brought: the oldest and the newest, a third of the cases; with `PUM_MATRIX=full` all cases, and all
//! neighbours too. What an older
//! server does not know is left to `since.txt`; `PUM_CASE=text` runs the cases that have it in their path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#[path = "support/cases.rs"]
mod cases;
mod support;

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::{DROP_SUBSCRIPTIONS, cases, lines, prepare, root};
use pum::{Connection, Error, Filter, Run, Server, Target, check};

/// What the same statements make otherwise on another version: true differences, by what their lines begin with and hold.
const OTHERWISE: &[(&str, &str)] = &[
    // Each version brings its own extensions.
    ("~ extensions ", " version: "),
    // PostgreSQL 14 gave the functions of conversions one more argument.
    ("- functions public.f(integer, integer, cstring, internal, integer)", ""),
    (
        "+ functions public.f(integer, integer, cstring, internal, integer, boolean)",
        "",
    ),
    // PostgreSQL 15 took the right to create in the schema public from everybody.
    ("~ schemas public privileges: ", "(privileges)"),
    // PostgreSQL 17 brought a privilege, which an owner has by itself.
    ("~ tables ", ", MAINTAIN, "),
    // PostgreSQL 18 streams in parallel unless it is told otherwise.
    ("~ subscriptions ", " streaming: off → parallel"),
];

#[test]
fn the_same_on_two_versions_is_no_difference() {
    let majors = support::majors();
    let mut pairs: Vec<[&(u32, PathBuf); 2]> = Vec::new();
    if let [oldest, .., newest] = &majors[..] {
        pairs.push([oldest, newest]);
    }
    let full = is_full();
    if full && majors.len() > 2 {
        pairs.extend(majors.windows(2).map(|pair| [&pair[0], &pair[1]]));
    }
    if pairs.is_empty() {
        println!("there are no two versions; lib/tests/support/servers.sh brings some");
    }
    let mut failures = Vec::new();
    for [old, new] in pairs {
        let servers = [old, new].map(|(_, programs)| support::start(programs));
        servers.iter().for_each(prepare);
        failures.extend(compare(&servers[0], &servers[1]));
    }
    failures.sort();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn is_full() -> bool {
    std::env::var_os("PUM_MATRIX").is_some_and(|matrix| matrix == "full")
}

/// The cases on two servers. What is wrong.
fn compare(old: &Server, new: &Server) -> Vec<String> {
    let [before, after] = [old, new].map(|server| server.version().major());
    // Many cases begin with the same; once is enough.
    let mut seen = BTreeSet::new();
    let queue: VecDeque<PathBuf> = cases()
        .into_iter()
        .filter(|case| since(case) <= before && seen.insert(scripts(case)))
        .enumerate()
        .filter(|(number, _)| number % 3 == 0 || is_full() || std::env::var_os("PUM_CASE").is_some())
        .map(|(_, case)| case)
        .collect();
    let queue = Mutex::new(queue);
    let failures = Mutex::new(Vec::new());
    let (ran, skipped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else {
                        break;
                    };
                    let name = case.strip_prefix(root()).unwrap().display().to_string();
                    let found = match run_case(&case, old, new) {
                        Err(error) if support::is_not_built_in(&error) => {
                            skipped.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        Err(error) => error.to_string(),
                        Ok(differences) => differences,
                    };
                    ran.fetch_add(1, Ordering::Relaxed);
                    for line in found.lines().filter(|line| !is_otherwise(line)) {
                        let problem = format!("{name}, {before} and {after}: {line}");
                        println!("{problem}");
                        failures.lock().unwrap().push(problem);
                    }
                }
            });
        }
    });
    println!("PostgreSQL {before} and {after}: {ran:?} cases, {skipped:?} left out that a server was built without");
    failures.into_inner().unwrap()
}

fn is_otherwise(line: &str) -> bool {
    OTHERWISE
        .iter()
        .any(|(begin, rest)| line.starts_with(begin) && line.contains(rest))
}

fn since(case: &Path) -> u32 {
    fs::read_to_string(case.join("since.txt")).map_or(0, |text| text.trim().parse().unwrap())
}

fn scripts(case: &Path) -> [String; 2] {
    ["both.sql", "left.sql"].map(|file| fs::read_to_string(case.join(file)).unwrap_or_default())
}

/// The differences, one a line.
fn run_case(case: &Path, old: &Server, new: &Server) -> Result<String, Error> {
    let mut filter = Filter::default();
    filter.include_words(&["all"])?;
    let left = build(case, old)?;
    let right = build(case, new)?;
    let report = check(&left.target, &right.target, &filter, &Run::new())?;
    Ok(lines(&report, false))
}

/// Dropped with the value: hundreds would fill the disk.
struct Database<'a> {
    server: &'a Server,
    name: String,
    target: Target,
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let open = |target: &Target| Connection::open_for_scripts(target, &Run::new()).unwrap();
        open(&self.target).execute(DROP_SUBSCRIPTIONS).unwrap();
        let mut connection = open(&self.server.target("postgres"));
        connection.execute(&format!("drop database \"{}\"", self.name)).unwrap();
    }
}

fn build<'a>(case: &Path, server: &'a Server) -> Result<Database<'a>, Error> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("case_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let target = server.create_database(&name)?;
    let database = Database { server, name, target };
    let mut connection = Connection::open_for_scripts(&database.target, &Run::new())?;
    for script in scripts(case) {
        connection.execute(&script)?;
    }
    Ok(database)
}

#[test]
fn a_test_server_of_another_version_is_told() {
    let brought = support::majors();
    let here = support::server().version().major();
    let Some((_, programs)) = brought.iter().find(|(major, _)| *major < here) else {
        assert!(std::env::var_os("CI").is_none(), "no older server was brought");
        eprintln!("no older server was brought: not tested");
        return;
    };
    let old = support::start(programs);
    let production = old.create_database("older").unwrap();
    let run = Run::new();
    let table: pum::TableName = "public.upgrades".parse().unwrap();
    let options = pum::BaselineOptions::new(table.clone(), "1.0.0".parse().unwrap());
    pum::baseline(&production, &options, &run).unwrap();
    let deltas = tempfile::tempdir().unwrap();
    std::fs::write(
        deltas.path().join("delta_1.1.0_a.sql"),
        "create table public.a (b int);\n",
    )
    .unwrap();
    let warnings = Mutex::new(Vec::new());
    let warnings = std::sync::Arc::new(warnings);
    let heard = std::sync::Arc::clone(&warnings);
    let run = run.on_event(move |event| {
        if let pum::Event::Warning(text) = event {
            heard.lock().unwrap().push(text);
        }
    });
    let options = pum::RehearsalOptions {
        test: Some(support::server().target("newer")),
        expected: Some(pum::Expected::Deltas),
        server: pum::ServerOptions {
            programs: Some(programs.clone()),
            ..pum::ServerOptions::default()
        },
        ..pum::RehearsalOptions::new(pum::UpgradeOptions::new(table, vec![deltas.path().to_owned()]))
    };
    // What comes of it is another matter.
    let _ = pum::rehearse(&production, &options, &run);
    let said = warnings.lock().unwrap().join("\n");
    let told = format!("the server of the copy is PostgreSQL {}", support::server().version());
    assert!(said.contains(&told), "{said}");
}
