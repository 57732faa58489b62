//! Dumps against a real server, and what comes back of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/dumps.rs"]
mod dumps;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pum::{Connection, DumpOptions, ErrorKind, Event, Format, RestoreOptions, Restored, Run, Target, dump, restore};

use dumps::*;

/// Dumps, restores and compares.
fn round_trip(options: &DumpOptions, restoring: &RestoreOptions) -> (PathBuf, Restored, tempfile::TempDir) {
    let place = directory();
    let file = place.path().join("water.dump");
    let (run, events) = listening();
    let dumped = dump(source(), &file, options, &run).unwrap();
    assert_eq!(dumped.path, file);
    assert!(dumped.bytes > 0);
    assert_eq!(names(place.path()), ["water.dump", "water.dump.sha256"]);
    assert_eq!(warnings(&events), "");
    let progress: Vec<(u64, Option<u64>)> = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Progress {
                done,
                total,
                unit: "bytes",
            } => Some((*done, *total)),
            _ => None,
        })
        .collect();
    let last = progress.last().expect("progress");
    assert_eq!(Some(last.0), last.1);
    assert!(progress.is_sorted());
    let target = support::database("restored");
    let restored = restore(&file, &target, restoring, &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(source()));
    (file, restored, place)
}

#[test]
fn custom_format_comes_back_as_it_was() {
    let (file, restored, _place) = round_trip(&DumpOptions::default(), &RestoreOptions::default());
    assert_eq!(restored.passed_over, []);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&file.with_extension("dump.sha256")), 0o600);
}

#[test]
fn directory_format_comes_back_with_jobs() {
    let options = DumpOptions {
        format: Format::Directory,
        jobs: 2,
        ..DumpOptions::default()
    };
    let restoring = RestoreOptions {
        jobs: 2,
        ..RestoreOptions::default()
    };
    let (file, _, _place) = round_trip(&options, &restoring);
    assert_eq!(mode(&file), 0o700);
}

#[test]
fn several_excluded_schemas_are_each_left_out() {
    let place = directory();
    let file = place.path().join("a.dump");
    let options = DumpOptions {
        exclude_schemas: vec!["audit".into(), "notes".into(), "no_such".into()],
        ..DumpOptions::default()
    };
    let (run, events) = listening();
    dump(source(), &file, &options, &run).unwrap();
    assert_eq!(
        warnings(&events),
        "no schema is named \"no_such\": excluding it changes nothing"
    );
    let target = support::database("excluded");
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(
        one(
            &target,
            "select string_agg(nspname, ',' order by nspname) from pg_namespace where nspname in ('water', 'audit', 'notes')"
        ),
        "water"
    );
}

#[test]
fn foreign_tables_without_their_rows_are_counted() {
    let place = directory();
    let source = support::database("foreign");
    Connection::open(&source, &Run::new())
        .unwrap()
        .execute(
            "create foreign data wrapper far; create server away foreign data wrapper far; create schema audit;
             create foreign table public.a (x int) server away; create foreign table public.b (x int) server away;
             create foreign table audit.c (x int) server away; create table public.here (x int)",
        )
        .unwrap();
    for (excluded, told) in [
        (None, "3 foreign tables are"),
        (Some("audit"), "2 foreign tables are"),
        (Some("*"), ""),
    ] {
        let options = DumpOptions {
            exclude_schemas: excluded.map(str::to_owned).into_iter().collect(),
            ..DumpOptions::default()
        };
        let (run, events) = listening();
        dump(&source, &place.path().join("a.dump"), &options, &run).unwrap();
        let events = events.lock().unwrap();
        let messages = events.iter().filter_map(|event| match event {
            Event::Message(text) if text.contains("foreign") => Some(text.as_str()),
            _ => None,
        });
        let messages: Vec<&str> = messages.collect();
        match told {
            "" => assert_eq!(messages, [""; 0]),
            told => assert_eq!(
                messages,
                [format!("{told} in the backup without rows: those are on other servers")]
            ),
        }
    }
}

#[test]
fn plain_format_comes_back_as_it_was() {
    let options = DumpOptions {
        format: Format::Plain,
        ..DumpOptions::default()
    };
    let (file, restored, _place) = round_trip(&options, &RestoreOptions::default());
    assert_eq!(restored.passed_over, []);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn all_tables_of_a_role_come_back_when_errors_are_passed_over() {
    for format in [Format::Custom, Format::Plain, Format::Directory] {
        let restoring = RestoreOptions {
            ignore_errors: true,
            ..RestoreOptions::default()
        };
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        let (_, restored, _place) = round_trip(&options, &restoring);
        assert_eq!(restored.passed_over, []);
    }
}

/// What is left of a run that is killed, or told to stop: nothing under the final name.
fn is_dump_or_nothing(place: &Path) -> bool {
    names(place).is_empty() || names(place) == ["water.dump", "water.dump.sha256"]
}

/// A database whose dump waits: another session holds a lock on a table until the connection is dropped.
fn locked(target: &Target) -> Connection {
    let mut holder = Connection::open(target, &Run::new()).unwrap();
    holder
        .execute("begin; lock table public.t in access exclusive mode")
        .unwrap();
    holder
}

/// Whether pg_dump waits for a lock in this database.
fn waits(target: &Target) -> bool {
    let sql = "select count(*)::text from pg_stat_activity where datname = current_database()
               and application_name = 'pum pg_dump' and wait_event_type = 'Lock'";
    one(target, sql) != "0"
}

#[test]
fn a_cancelled_dump_leaves_nothing_and_no_session() {
    let source = support::database("cancelled");
    execute(&source, "create table public.t (id int)");
    let _holder = locked(&source);
    let place = directory();
    for (format, jobs) in [(Format::Custom, 1), (Format::Directory, 2), (Format::Plain, 1)] {
        let run = Run::new();
        let cancel = run.cancel().clone();
        let file = place.path().join("water.dump");
        let options = DumpOptions {
            format,
            jobs,
            ..DumpOptions::default()
        };
        let (watched, directory) = (source.clone(), place.path().to_owned());
        let canceller = std::thread::spawn(move || {
            wait_for("the dump waiting for the lock", || {
                waits(&watched) && !names(&directory).is_empty()
            });
            cancel.cancel();
        });
        let error = dump(&source, &file, &options, &run).unwrap_err();
        canceller.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(names(place.path()), Vec::<String>::new());
        wait_for("the end of pg_dump's session", || {
            sessions(&source, "pum pg_dump") == "0"
        });
    }
}

/// Runs this test binary again for one test that dumps `PUM_TEST_SOURCE` to `PUM_TEST_FILE`.
fn dump_in_a_process(source: &Target, file: &Path, limit: Option<&str>) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dump_of_another_process", "--nocapture"])
        .env("PUM_TEST_SOURCE", source.to_string())
        .env("PUM_TEST_FILE", file)
        .env("PUM_TEST_LIMIT", limit.unwrap_or(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// No test by itself: the other half of the tests that kill or limit a process.
#[test]
fn dump_of_another_process() {
    let (Ok(source), Some(file)) = (std::env::var("PUM_TEST_SOURCE"), std::env::var_os("PUM_TEST_FILE")) else {
        return;
    };
    if let Ok(limit) = std::env::var("PUM_TEST_LIMIT").unwrap().parse() {
        let limit = rustix::process::Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    }
    let result = dump(
        &Target::new(&source).unwrap(),
        Path::new(&file),
        &DumpOptions::default(),
        &Run::new(),
    );
    match result {
        Ok(_) => println!("outcome: dumped"),
        Err(error) => println!(
            "outcome: {error} | {} | {}",
            error.hint().unwrap_or(""),
            error.state().unwrap_or("")
        ),
    }
}

#[test]
fn what_a_killed_dump_left_is_removed_by_the_next() {
    let source = support::database("killed");
    execute(&source, "create table public.t (id int)");
    let place = directory();
    let file = place.path().join("water.dump");
    let holder = locked(&source);
    let mut process = dump_in_a_process(&source, &file, None);
    wait_for("the dump waiting for the lock", || waits(&source));
    process.kill().unwrap();
    process.wait().unwrap();
    let left = names(place.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(
        left[0].starts_with(".water.dump.pum-") && left[0].ends_with(".part"),
        "{left:?}"
    );
    assert_eq!(mode(&place.path().join(&left[0])), 0o600);
    // A part of a dump that still goes on is left alone.
    let mut living = dump_in_a_process(&source, &file, None);
    wait_for("a second dump beside the orphan", || {
        sessions(&source, "pum pg_dump") == "2"
    });
    let part = names(place.path());
    assert_eq!(part.len(), 1);
    assert_ne!(part, left);
    let refused = DumpOptions {
        lock_timeout: Some(std::time::Duration::from_millis(200)),
        ..DumpOptions::default()
    };
    let error = dump(&source, &file, &refused, &Run::new()).unwrap_err();
    assert!(error.hint().unwrap().contains("holds one"), "{:?}", error.hint());
    assert_eq!(names(place.path()), part);
    drop(holder);
    assert!(living.wait().unwrap().success());
    // The pg_dump of the killed run does not go on alone.
    wait_for("the end of the orphan", || sessions(&source, "pum pg_dump") == "0");
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    assert_eq!(names(place.path()), ["water.dump", "water.dump.sha256"]);
}

#[test]
fn a_full_disk_leaves_the_dump_of_before() {
    let place = directory();
    let file = place.path().join("water.dump");
    fs::write(&file, "the dump of before").unwrap();
    // Without root a limit of the file size stands for the disk that is full.
    let mut outcomes = Vec::new();
    let output = dump_in_a_process(source(), &file, Some("100000"))
        .wait_with_output()
        .unwrap();
    outcomes.push(String::from_utf8_lossy(&output.stdout).into_owned());
    if rustix::process::geteuid().is_root() {
        let disk = place.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=200k", "tmpfs"])
            .arg(&disk)
            .status()
            .unwrap();
        if mounted.success() {
            let small = disk.join("water.dump");
            fs::write(&small, "the dump of before").unwrap();
            let error = dump(source(), &small, &DumpOptions::default(), &Run::new()).unwrap_err();
            let before = fs::read_to_string(&small).unwrap();
            let left = names(&disk);
            assert!(
                std::process::Command::new("umount")
                    .arg(&disk)
                    .status()
                    .unwrap()
                    .success()
            );
            assert_eq!(before, "the dump of before");
            assert_eq!(left, ["water.dump"]);
            assert!(error.message().contains("No space left on device"), "{error}");
            assert!(error.hint().unwrap().contains("MB are free"), "{:?}", error.hint());
        } else {
            println!("no tmpfs here: only the limit of the file size was tested");
        }
        fs::remove_dir(&disk).unwrap();
    }
    for outcome in outcomes {
        assert!(outcome.contains("was not touched"), "{outcome}");
        assert!(
            outcome.contains("ulimit -f") || outcome.contains("File too large"),
            "{outcome}"
        );
    }
    assert_eq!(names(place.path()), ["water.dump"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "the dump of before");
}

#[test]
fn a_failing_dump_leaves_the_dump_of_before() {
    let place = directory();
    let file = place.path().join("water.dump");
    dump_to(&file, Format::Custom);
    let before = fs::read(&file).unwrap();
    let wrong = support::server().target("no such database");
    let error = dump(&wrong, &file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    let options = DumpOptions {
        snapshot: Some("no such snapshot".into()),
        ..DumpOptions::default()
    };
    let error = dump(source(), &file, &options, &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    assert!(error.message().contains("invalid snapshot identifier"), "{error}");
    assert!(error.state().unwrap().contains("was not touched"));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(is_dump_or_nothing(place.path()));
    // A good one replaces it, and its checksums.
    let options = DumpOptions {
        exclude_schemas: vec!["water".into()],
        ..DumpOptions::default()
    };
    dump(source(), &file, &options, &Run::new()).unwrap();
    assert_ne!(fs::read(&file).unwrap(), before);
    restore(
        &file,
        &support::database("replaced"),
        &RestoreOptions::default(),
        &Run::new(),
    )
    .unwrap();
}

#[test]
fn what_is_in_the_way_is_refused() {
    let place = directory();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("directory/mine"), "mine").unwrap();
    fs::write(at("file"), "mine").unwrap();
    std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
    let attempt = |file: &Path, format| {
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        dump(source(), file, &options, &Run::new()).unwrap_err().to_string()
    };
    for (error, words) in [
        (attempt(&at("directory"), Format::Custom), "is a directory"),
        (
            attempt(&at("directory"), Format::Directory),
            "is a directory that holds no dump",
        ),
        (attempt(&at("file"), Format::Directory), "is a file"),
        (attempt(&at("link"), Format::Custom), "is a symbolic link"),
        (attempt(Path::new("/dev/null"), Format::Plain), "is not a regular file"),
        (attempt(Path::new("-"), Format::Custom), "not to the standard output"),
        (attempt(Path::new("/"), Format::Custom), ""),
        (
            attempt(&at("nowhere/file"), Format::Custom),
            "No such file or directory",
        ),
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(names(place.path()), ["directory", "file", "link"]);
    // A directory that holds a dump is replaced.
    let options = DumpOptions {
        format: Format::Directory,
        ..DumpOptions::default()
    };
    dump(source(), &at("dump"), &options, &Run::new()).unwrap();
    fs::write(at("dump/old"), "of the old dump").unwrap();
    dump(source(), &at("dump"), &options, &Run::new()).unwrap();
    assert!(!at("dump/old").exists());
    assert_eq!(
        names(place.path()),
        ["directory", "dump", "dump.sha256", "file", "link"]
    );
}

#[test]
fn a_place_without_the_right_to_write_is_a_sentence() {
    // Nobody may write here, root neither.
    let file = Path::new("/proc/water.dump");
    let error = dump(source(), file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.message().starts_with("cannot write \"/proc/water.dump\": "),
        "{error}"
    );
    assert!(error.hint().is_some());
}

/// A program that tells another version: enough to be refused before it runs.
fn program_of_version(place: &Path, name: &str, version: &str) -> PathBuf {
    let program = place.join(name);
    fs::write(&program, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn programs_that_are_older_missing_or_others_are_refused() {
    let place = directory();
    let file = place.path().join("water.dump");
    let with = |program: PathBuf| DumpOptions {
        pg_dump: Some(program),
        ..DumpOptions::default()
    };
    let version = support::server().version().to_string();
    let old = program_of_version(place.path(), "pg_dump", "9.6.24");
    let error = dump(source(), &file, &with(old), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error.message().contains(&format!("the server is PostgreSQL {version}")),
        "{error}"
    );
    assert!(error.message().contains("is 9.6.24"), "{error}");
    let error = dump(source(), &file, &with("/no/such/pg_dump".into()), &Run::new()).unwrap_err();
    assert!(error.message().contains("\"/no/such/pg_dump\" is not there"), "{error}");
    let silent = program_of_version(place.path(), "pg_dump_silent", "unknown");
    let error = dump(source(), &file, &with(silent), &Run::new()).unwrap_err();
    assert!(error.message().contains("does not tell its version"), "{error}");
    // It says that it is pg_dump, and writes something else.
    let liar = program_of_version(place.path(), "pg_dump_liar", "99.0");
    let error = dump(source(), &file, &with(liar), &Run::new()).unwrap_err();
    assert!(error.message().starts_with("the new dump is not whole"), "{error}");
    assert!(!file.exists());
    assert_eq!(names(place.path()), ["pg_dump", "pg_dump_liar", "pg_dump_silent"]);
}

#[test]
fn a_password_is_in_no_argument() {
    let source = support::database("password");
    execute(&source, "create table public.t (id int)");
    let holder = locked(&source);
    let place = directory();
    let file = place.path().join("water.dump");
    let secret = "canary-4711-password";
    let target = source.clone().with("password", secret);
    let (run, events) = listening();
    let path = file.clone();
    let dumping = std::thread::spawn(move || dump(&target, &path, &DumpOptions::default(), &run).map(|_| ()));
    wait_for("the dump waiting for the lock", || waits(&source));
    let mut seen = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(words) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(!words.contains(secret), "{words}");
        seen += usize::from(words.contains("pg_dump") && words.contains("--format=custom"));
    }
    assert!(seen > 0, "pg_dump was not running");
    drop(holder);
    dumping.join().unwrap().unwrap();
    assert!(!format!("{:?}", events.lock().unwrap()).contains(secret));
}

#[test]
fn what_a_role_may_not_read_is_named() {
    let source = support::database("rights");
    execute(
        &source,
        "create role reader login; create table public.open (id int); grant select on public.open to reader;
         create table public.shut (id int); create table public.locked (id int)",
    );
    let place = directory();
    let file = place.path().join("a");
    let target = source.clone().with("user", "reader");
    let error = dump(&target, &file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert!(error.message().contains("permission denied for table"), "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("public.locked, public.shut") && !hint.contains("open"),
        "{hint}"
    );
    execute(
        &source,
        "grant select on all tables in schema public to reader; alter table public.open enable row level security",
    );
    let error = dump(&target, &file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert!(error.hint().unwrap().contains("BYPASSRLS"), "{error}");
    assert_eq!(names(place.path()), Vec::<String>::new());
    execute(&source, "drop owned by reader; drop role reader");
}

#[test]
fn a_snapshot_is_dumped_as_it_was() {
    let source = support::database("snapshot");
    execute(
        &source,
        "create table public.t (id int); insert into public.t values (1)",
    );
    let mut holder = Connection::open(&source, &Run::new()).unwrap();
    holder.execute("begin isolation level repeatable read").unwrap();
    let snapshot = holder
        .query("select pg_export_snapshot()", &[])
        .unwrap()
        .value(0, 0)
        .unwrap()
        .to_owned();
    execute(&source, "insert into public.t values (2)");
    let place = directory();
    let file = place.path().join("a");
    let options = DumpOptions {
        snapshot: Some(snapshot),
        ..DumpOptions::default()
    };
    dump(&source, &file, &options, &Run::new()).unwrap();
    let target = support::database("of the snapshot");
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(one(&target, "select count(*)::text from public.t"), "1");
}

#[test]
fn what_needs_a_schema_that_is_left_out_is_told() {
    let source = support::database("needed");
    execute(
        &source,
        "create schema lists; create table lists.material (id int primary key); create type lists.kind as enum ('a');
         create function lists.f() returns int language sql immutable as 'select 1';
         create schema town; create table town.pipe (id int references lists.material, kind lists.kind default 'a');
         create view town.v as select * from lists.material; create table town.alone (id int);
         create schema apart; create table apart.t (id int)",
    );
    let place = directory();
    let dumped = |schemas: &[&str]| {
        let (run, events) = listening();
        let options = DumpOptions {
            exclude_schemas: schemas.iter().map(|schema| (*schema).to_owned()).collect(),
            ..DumpOptions::default()
        };
        dump(&source, &place.path().join("a"), &options, &run).unwrap();
        warnings(&events)
    };
    let said = dumped(&["lists"]);
    assert!(
        said.contains("needs something of the schema lists, which is left out"),
        "{said}"
    );
    assert!(said.contains(" more)") && said.contains("town."), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    // It is true.
    let target = support::database("needed");
    restore(
        &place.path().join("a"),
        &target,
        &RestoreOptions::default(),
        &Run::new(),
    )
    .unwrap_err();
    assert_eq!(dumped(&["apart"]), "");
    assert_eq!(dumped(&["lists", "town"]), "");
    assert_eq!(dumped(&[]), "");
}
