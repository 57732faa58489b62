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
#[path = "support/cases.rs"]
mod cases;
mod support;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use cases::{DROP_SUBSCRIPTIONS, cases, lines, prepare, root};
use pum::{Catalog, Connection, Filter, Kind, Run, Target, check, find_program};

#[test]
fn every_case_shows_its_differences_and_no_other() {
    let cases = cases();
    assert!(
        cases.len() > 100 || std::env::var_os("PUM_CASE").is_some(),
        "only {} cases",
        cases.len()
    );
    prepare(support::server());
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

/// What a database is created with cannot be changed by a script in it.
#[test]
fn databases_that_were_created_otherwise_differ() {
    let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
    let major = support::server().version().major();
    let c = "lc_collate 'C' lc_ctype 'C'";
    let icu = "lc_collate 'C' lc_ctype 'C' locale_provider icu icu_locale";
    let cases = [
        (
            12,
            format!("{c} encoding 'UTF8'"),
            format!("{c} encoding 'LATIN1'"),
            "encoding: UTF8 → LATIN1",
        ),
        (
            12,
            c.to_owned(),
            "lc_collate 'C.UTF-8' lc_ctype 'C'".to_owned(),
            "collate: C → C.UTF-8",
        ),
        (
            12,
            c.to_owned(),
            "lc_collate 'C' lc_ctype 'C.UTF-8'".to_owned(),
            "ctype: C → C.UTF-8",
        ),
        (12, format!("{c} is_template true"), c.to_owned(), "template: yes → no"),
        (
            15,
            format!("{c} tablespace pum_space"),
            c.to_owned(),
            "tablespace: pum_space → none",
        ),
        (
            15,
            format!("{icu} 'en'"),
            c.to_owned(),
            "locale_provider: icu → libc; locale: en → none",
        ),
        (15, format!("{icu} 'en'"), format!("{icu} 'de'"), "locale: en → de"),
        (
            16,
            format!("{icu} 'en' icu_rules '&a < g'"),
            format!("{icu} 'en'"),
            "icu_rules: &a < g → none",
        ),
        (
            17,
            format!("{c} locale_provider builtin builtin_locale 'C.UTF-8' encoding 'UTF8'"),
            format!("{c} locale_provider builtin builtin_locale 'C' encoding 'UTF8'"),
            "locale: C.UTF-8 → C",
        ),
    ];
    prepare(support::server());
    for (number, (since, left, right, expected)) in cases.iter().enumerate() {
        let names = [format!("left_{number}"), format!("right_{number}")];
        if major < *since {
            continue;
        }
        let mut create = || {
            for (name, options) in names.iter().zip([left, right]) {
                connection.execute(&format!("create database {name} template template0 {options}"))?;
            }
            Ok::<(), pum::Error>(())
        };
        match create() {
            Err(error) if error.message().contains("not supported in this build") => continue,
            outcome => outcome.unwrap(),
        }
        let [left, right] = names.map(|name| support::server().target(&name));
        let mut filter = Filter::default();
        filter.include_words(&["settings", "tablespaces"]).unwrap();
        let report = check(&left, &right, &filter, &Run::new()).unwrap();
        let class = if expected.starts_with("tablespace") {
            "tablespaces"
        } else {
            "settings"
        };
        assert_eq!(
            lines(&report, false),
            format!("~ database database {expected} ({class})\n")
        );
    }
}

/// No provider of labels comes with PostgreSQL, so that they are written into the catalogs here.
#[test]
fn security_labels_are_compared() {
    let label = |label: &str| {
        build(&[
            "create table t (a int)".to_owned(),
            format!(
                "insert into pg_seclabel values ('t'::regclass, 'pg_class'::regclass, 0, 'selinux', '{label}'),
                    ('t'::regclass, 'pg_class'::regclass, 0, 'dummy', 'x'),
                    ('t'::regclass, 'pg_class'::regclass, 1, 'selinux', '{label}')"
            ),
            format!(
                "insert into pg_shseclabel select oid, 'pg_database'::regclass, 'selinux', '{label}'
                from pg_database where datname = current_database()"
            ),
        ])
        .unwrap()
    };
    let mut filter = Filter::default();
    filter.include_words(&["security_labels"]).unwrap();
    let report = check(&label("secret"), &label("public"), &filter, &Run::new()).unwrap();
    let values = "dummy: x selinux: secret → dummy: x selinux: public (security_labels)";
    let one = "selinux: secret → selinux: public (security_labels)";
    assert_eq!(
        lines(&report, false),
        format!(
            "~ tables public.t security_labels: {values}\n~ columns public.t.a security_labels: {one}\n\
             ~ database database security_labels: {one}\n"
        )
    );
}

/// What a role may not see is told as such, and nothing fails.
#[test]
fn a_role_without_privileges_can_read_a_catalog() {
    let target = build(&[
        "do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$"
            .to_owned(),
        "create foreign data wrapper w; create server s foreign data wrapper w;
         create user mapping for public server s options (password 'geheim')"
            .to_owned(),
        "create subscription s connection 'host=h password=geheim' publication p with (connect = false)".to_owned(),
    ])
    .unwrap();
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    connection.execute("set role pum_a").unwrap();
    Catalog::read(&mut connection, &Filter::default()).unwrap();
    for (kind, attribute) in [("user_mappings", "options"), ("subscriptions", "connection")] {
        let query = kind.parse::<Kind>().unwrap().query();
        let mut value = || {
            let rows = connection
                .query(&format!("select {attribute} from ({query}) kind"), &[])
                .unwrap();
            rows.value(0, 0).map(str::to_owned)
        };
        assert_eq!(value().as_deref(), Some("(not readable)"), "{kind}");
    }
    connection.execute("reset role").unwrap();
    let seen = lines(
        &check(&target, &build(&[]).unwrap(), &Filter::default(), &Run::new()).unwrap(),
        false,
    );
    assert!(
        seen.contains("- subscriptions s\n") && !seen.contains("geheim"),
        "{seen}"
    );
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

/// `None` when the server was built without what a script needs.
fn build(scripts: &[String]) -> Option<Target> {
    let target = support::database("case");
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    for script in scripts {
        match connection.execute(script) {
            Err(error) if support::is_not_built_in(&error) => return None,
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
    let mut script = dump.replace(&name, &copy);
    if support::server().version().major() < 15 {
        // The programs that serve it are newer and write options that it does not know.
        let line = script
            .lines()
            .find(|line| line.starts_with("CREATE DATABASE "))
            .unwrap();
        script = script.replacen(line, &format!("create database {copy} template template0;"), 1);
    } else {
        // It takes half the time.
        let create = format!("CREATE DATABASE {copy} WITH ");
        assert!(script.contains(&create), "{script}");
        script = script.replacen(&create, &format!("{create}STRATEGY = file_copy "), 1);
    }
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
