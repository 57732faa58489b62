//! Ctrl-C, termination and hang-up.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pum::Target;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Ended, Place, TABLE, contents, database, empty_database, sql};

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits until the query has an answer other than 0.
fn until(target: &Target, query: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while sql(target, query) == "0" {
        assert!(Instant::now() < deadline, "never: {query}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: Child, words: &[&str]) -> Ended {
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        begun.elapsed()
    );
    Ended::new(&output, words)
}

/// Waits until no session but the one that asks is left.
fn until_alone(target: &Target) {
    until(
        target,
        "select (count(*) = 1)::int from pg_stat_activity where datname = current_database()",
    );
}

#[test]
fn a_long_statement_is_cancelled_and_rolled_back() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let target = database("interrupt");
        let before = contents(&target);
        let place = Place::with_deltas(&[(
            "delta_1.1.0_a.sql",
            "create table public.half();\nselect pg_sleep(600);\n",
        )]);
        let words = ["upgrade", "-p", &target.name(), "-t", TABLE, "-d", "deltas"];
        let mut command = place.command(&words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until(
            &target,
            "select count(*) from pg_stat_activity where datname = current_database() and query like 'select pg_sleep%'",
        );
        send(&child, signal);
        ended(child, &words)
            .fails(code)
            .says(&["Cancelling", "cancelled", "1.1.0 a (delta sql) was rolled back"])
            .helps(&["run the same command again: it goes on with 1.1.0 a (delta sql)"]);
        until_alone(&target);
        assert_eq!(contents(&target), before);
        // The next run is free to go.
        place.write("deltas/delta_1.1.0_a.sql", "create table public.whole();");
        place.upgrade(&target, &[]).succeeds();
    }
}

/// An upgrade with one delta that sleeps, and the end that somebody gives it meanwhile.
fn disturbed(target: &Target, place: &Place, asleep: &str, disturb: impl FnOnce(&Child)) -> Ended {
    let words = ["upgrade", "-p", &target.name(), "-t", TABLE, "-d", "deltas"];
    let mut command = place.command(&words);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(target, asleep);
    disturb(&child);
    ended(child, &words)
}

const SLEEPS: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";

#[test]
fn a_copy_and_a_commit_that_are_cancelled_say_what_next() {
    let deltas = [
        "create table public.slow (i int check (pg_sleep(600) is not null));\ncopy public.slow from stdin;\n1\n\\.\n",
        "create table public.slow (i int);\ncreate function public.slow() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(600); return null; end $$;\ncreate constraint trigger slow after insert on public.slow \
         deferrable initially deferred for each row execute function public.slow();\ninsert into public.slow values (1);\n",
    ];
    for delta in deltas {
        let target = database("interrupt");
        let before = contents(&target);
        let place = Place::with_deltas(&[("delta_1.1.0_a.sql", delta)]);
        disturbed(&target, &place, SLEEPS, |child| send(child, Signal::TERM))
            .fails(143)
            .says(&["1.1.0 a (delta sql) was rolled back"])
            .helps(&["run the same command again: it goes on with 1.1.0 a (delta sql)"]);
        until_alone(&target);
        assert_eq!(contents(&target), before);
    }
}

#[test]
fn a_session_that_somebody_ends_or_cancels_is_no_fault_of_the_delta() {
    let target = database("ended");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select pg_sleep(600);\n")]);
    let to_each = |function: &str, whose: &str| {
        sql(
            &target,
            &format!(
                "select count({function}(pid)) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid() and {whose}"
            ),
        );
    };
    disturbed(&target, &place, SLEEPS, |_| {
        to_each("pg_terminate_backend", "wait_event = 'PgSleep'")
    })
    .fails(6)
    .says(&[
        "error: the connection to the server was lost: terminating connection due to administrator command",
        "1.1.0 a (delta sql) was rolled back",
    ])
    .helps(&["run the same command again: it goes on with 1.1.0 a (delta sql)"]);
    let canceled = disturbed(&target, &place, SLEEPS, |_| {
        to_each("pg_cancel_backend", "wait_event = 'PgSleep'")
    });
    assert_ne!(canceled.code, 0);
    canceled.helps(&[
        "somebody cancelled the statement, or a timeout did: run the same command again: it goes on with 1.1.0 a",
    ]);
}

#[test]
fn an_index_that_a_cancelled_run_leaves_invalid_is_named_and_built_again() {
    for ended_by in ["TERM", "pg_terminate_backend", "pg_cancel_backend"] {
        let target = database("invalid");
        let place = Place::with_deltas(&[(
            "delta_1.1.0_a.sql",
            "-- pum: no-transaction\ncreate table public.a (i int);\ncreate index concurrently a_i on public.a (i);\n",
        )]);
        // An older transaction that has the table's rows in sight is waited for.
        let mut other = pum::Connection::open(&target, &pum::Run::new()).unwrap();
        other
            .execute("begin isolation level repeatable read; select 1 from pg_catalog.pg_class limit 1")
            .unwrap();
        let waits = "select count(*) from pg_stat_activity where datname = current_database() \
                     and query like 'create index concurrently%' and wait_event_type = 'Lock'";
        let ended = disturbed(&target, &place, waits, |child| match ended_by {
            "TERM" => send(child, Signal::TERM),
            function => {
                sql(
                    &target,
                    &format!(
                        "select count({function}(pid)) from pg_stat_activity \
                         where datname = current_database() and query like 'create index concurrently%'"
                    ),
                );
            }
        });
        assert_ne!(ended.code, 0);
        let count = if ended_by == "pg_terminate_backend" {
            "at least 1 of its 2 statements are done and stay"
        } else {
            "1 of its 2 statements are done and stay"
        };
        ended.helps(&[
            "the index public.a_i is left invalid, and pum drops it and builds it again when it is run again",
            count,
            "goes on with statement 2",
        ]);
        drop(other);
        until_alone(&target);
        place.upgrade(&target, &[]).succeeds();
        assert_eq!(
            sql(
                &target,
                "select string_agg(indisvalid::text, ',') from pg_index where indrelid = 'public.a'::regclass"
            ),
            "true"
        );
    }
}

const SLOW_PYTHON: &str = "import os, time
from pum.core.deltapy import DeltaPy

class Slow(DeltaPy):
    def run(self):
        if not os.path.exists('enough'):
            open('begun', 'w').close()
            time.sleep(self.variables['seconds'])
";

/// An upgrade by a Python delta that is at work.
fn in_python(target: &Target, place: &Place, seconds: &str) -> Child {
    let words = [
        "-p",
        &target.name(),
        "-t",
        TABLE,
        "-d",
        "deltas",
        "-v",
        "int",
        "seconds",
        seconds,
    ];
    let child = place
        .program(env!("CARGO_BIN_EXE_pum"))
        .arg("upgrade")
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !place.path("begun").exists() {
        assert!(Instant::now() < deadline, "the delta never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::remove_file(place.path("begun")).unwrap();
    child
}

#[test]
fn a_python_delta_that_is_cancelled_is_begun_anew() {
    let target = database("python");
    let place = Place::with_deltas(&[("delta_1.1.0_a.py", SLOW_PYTHON)]);
    let child = in_python(&target, &place, "600");
    send(&child, Signal::TERM);
    ended(child, &["upgrade"])
        .fails(143)
        .says(&[
            "what is not committed is rolled back",
            "what 1.1.0 a (delta py) committed stays",
        ])
        .helps(&[
            "the next run begins it anew: make it safe to run twice",
            "then run the same command again",
        ]);
    place.write("enough", "");
    place.upgrade(&target, &[]).succeeds();
}

#[test]
fn a_python_delta_whose_run_lost_its_sessions_says_that_the_next_one_refuses() {
    for (seconds, words) in [
        ("600", "what 1.1.0 a (delta py) did is not known"),
        ("2", "came to its end"),
    ] {
        let target = database("python");
        let place = Place::with_deltas(&[("delta_1.1.0_a.py", SLOW_PYTHON)]);
        let child = in_python(&target, &place, seconds);
        sql(
            &target,
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        );
        if seconds == "600" {
            // What pum has started, which has pum's process for its parent.
            let python = std::process::Command::new("pkill")
                .args(["-KILL", "-P", &child.id().to_string()])
                .status()
                .unwrap();
            assert!(python.success());
        }
        ended(child, &["upgrade"])
            .fails(6)
            .says(&["the lock on the upgrades table is lost"])
            .helps(&[
                words,
                "--rerun-interrupted",
                "UPDATE \"water_sys\".\"upgrades\" SET success = true",
            ]);
        place.write("enough", "");
        place.upgrade(&target, &[]).fails(3).helps(&["--rerun-interrupted"]);
        place.upgrade(&target, &["--rerun-interrupted"]).succeeds();
    }
}

#[test]
fn the_files_of_a_python_delta_that_was_killed_are_removed_by_the_next_upgrade() {
    let target = database("python");
    let place = Place::with_deltas(&[("delta_1.1.0_a.py", SLOW_PYTHON)]);
    let temporary = place.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let left = || std::fs::read_dir(&temporary).unwrap().count();
    let place = place.set("TMPDIR", temporary.to_str().unwrap());
    let mut child = in_python(&target, &place, "600");
    assert_eq!(left(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(), 1);
    // It removes them, although it refuses.
    place
        .upgrade(&target, &["--wait", "10s"])
        .fails(3)
        .says(&["was interrupted"]);
    assert_eq!(left(), 0);
}

#[test]
fn a_dump_leaves_nothing() {
    let target = database("interrupt");
    sql(&target, "create table public.pipe(id int);\nselect ''");
    // Somebody else's lock holds the dump up.
    let mut other = pum::Connection::open(&target, &pum::Run::new()).unwrap();
    other
        .execute("begin; lock table public.pipe in access exclusive mode")
        .unwrap();
    let place = Place::new();
    let words = ["dump", "-p", &target.name(), "water.backup"];
    let mut command = place.command(&words);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(
        &target,
        "select count(*) from pg_locks where not granted and locktype = 'relation'",
    );
    send(&child, Signal::INT);
    ended(child, &words).fails(130).says(&["cancelled", "was not touched"]);
    drop(other);
    assert_eq!(place.files(), Vec::<String>::new());
    until_alone(&target);
}

#[test]
fn a_restore_leaves_no_session() {
    let place = Place::new();
    let source = database("interrupt");
    sql(
        &source,
        "create function public.slow(int) returns boolean language sql as 'select true';
         create table public.pipe(id int check (public.slow(id)));
         insert into public.pipe values (1);
         create or replace function public.slow(int) returns boolean language sql
            as 'select pg_catalog.pg_sleep(600) is not null';
         select ''",
    );
    place.pum(&["dump", "-p", &source.name(), "water.backup"]).succeeds();
    let target = empty_database("interrupt");
    let words = ["restore", "-p", &target.name(), "water.backup"];
    let mut command = place.command(&words);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(
        &target,
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    );
    send(&child, Signal::INT);
    ended(child, &words).fails(130).says(&["cancelled", "state: "]);
    until_alone(&target);
}

/// `pum test-and-upgrade` that has come to its question, and what it said until then.
fn asking(place: &Place, production: &Target) -> (Child, std::process::ChildStderr, Vec<u8>) {
    let expected = database("expected");
    sql(&expected, "create table public.a();\nselect ''");
    let words = [
        "test-and-upgrade",
        "-pp",
        &production.name(),
        "-pc",
        &expected.name(),
        "-t",
        TABLE,
        "-d",
        "deltas",
    ];
    let mut command = place.command(&words);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The question comes on standard error when standard output is no terminal.
    let mut said = Vec::new();
    let mut stderr = child.stderr.take().unwrap();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&said).contains("[n]|y: ") {
        let count = std::io::Read::read(&mut stderr, &mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..count]);
    }
    (child, stderr, said)
}

#[test]
fn a_question_is_cancelled() {
    let production = database("question");
    let before = contents(&production);
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let (mut child, mut stderr, mut said) = asking(&place, &production);
    send(&child, Signal::INT);
    std::io::Read::read_to_end(&mut stderr, &mut said).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{}", String::from_utf8_lossy(&said));
    assert_eq!(contents(&production), before);
}

#[test]
fn while_a_question_is_open_nothing_is_held() {
    let production = database("question");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let (mut child, stderr, said) = asking(&place, &production);
    // Somebody's coffee may last, and a pooler may end the idle: no lock, no transaction, not even a session.
    until_alone(&production);
    sql(
        &production,
        "begin; lock table water_sys.upgrades in access exclusive mode nowait; commit;\nselect ''",
    );
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"y\n").unwrap();
    drop(stderr);
    assert_eq!(
        child.wait().unwrap().code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&said)
    );
    assert_eq!(
        sql(&production, "select max(version) from water_sys.upgrades where success"),
        "1.1.0"
    );
}
