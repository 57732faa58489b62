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
            .says(&["Cancelling", "cancelled", "1.1.0 a (delta sql) was rolled back"]);
        until_alone(&target);
        assert_eq!(contents(&target), before);
        // The next run is free to go.
        place.write("deltas/delta_1.1.0_a.sql", "create table public.whole();");
        place.upgrade(&target, &[]).succeeds();
    }
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
