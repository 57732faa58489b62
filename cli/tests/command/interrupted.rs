//! Ctrl-C and its like, and readers that go away.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Ended, Place, ask, open};

fn sleeping(name: &str) -> (Place, String) {
    let place = Place::new();
    let db = place.database(name);
    place.write("pum.yaml", "upgrades_table: s.info\ndelta_dir: deltas\n");
    place.write("deltas/delta_1.1.0_a.sql", "create table public.a (id int);\n");
    place.write(
        "deltas/delta_1.2.0_b.sql",
        "create table public.b (id int);\nselect pg_sleep(20);\n",
    );
    place.run(&format!("baseline -p {db} -b 1.0.0")).with(0);
    (place, db)
}

/// Waits until the database sleeps in a statement of ours.
pub(crate) fn wait_for_sleep(db: &str) {
    let started = Instant::now();
    let mut connection = open("postgres");
    loop {
        let rows = connection
            .query(
                "select count(*)::text from pg_stat_activity where datname = $1::text and query ~ 'pg_sleep' and state = 'active'",
                &[Some(db)],
            )
            .unwrap();
        if rows.value(0, 0) == Some("1") {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it never slept");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// After an interruption nothing of ours is left in the server, and the database is where it is recorded to be.
fn nothing_left(db: &str) {
    assert_eq!(ask(db, "select pg_catalog.to_regclass('public.b')::text"), "");
    let started = Instant::now();
    let query =
        "select count(*)::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    while ask(db, query) != "0" {
        assert!(started.elapsed() < Duration::from_secs(5), "a session is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn signals_roll_back_and_clean_up() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let (place, db) = sleeping("signalled");
        let child = place
            .command(&format!("upgrade -p {db}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_sleep(&db);
        let started = Instant::now();
        send(&child, signal);
        let ended = Ended::from(child.wait_with_output().unwrap()).with(code);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert!(ended.err.contains("1.1.0"), "{}", ended.err);
        nothing_left(&db);
        let info = place.run(&format!("info -p {db}")).with(0).out;
        assert!(info.starts_with(&format!("{db} is at version 1.1.0.")), "{info}");
    }
}

#[test]
fn a_second_ctrl_c_changes_nothing() {
    let (place, db) = sleeping("twice");
    let child = place
        .command(&format!("upgrade -p {db}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_sleep(&db);
    for _ in 0..5 {
        send(&child, "-INT");
    }
    Ended::from(child.wait_with_output().unwrap()).with(130);
    nothing_left(&db);
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let (place, db) = sleeping("nohup");
    place.write(
        "deltas/delta_1.2.0_b.sql",
        "create table public.b (id int);\nselect pg_sleep(2);\n",
    );
    let child = place
        .hermetic("sh")
        .arg("-c")
        .arg(format!(
            "trap '' HUP; exec {} upgrade -p {db}",
            env!("CARGO_BIN_EXE_pum")
        ))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_sleep(&db);
    send(&child, "-HUP");
    Ended::from(child.wait_with_output().unwrap()).with(0);
    assert_eq!(ask(&db, "select pg_catalog.to_regclass('public.b')::text"), "public.b");
}

#[test]
fn a_reader_that_goes_away_does_not_stop_an_upgrade() {
    let (place, db) = sleeping("head");
    place.write(
        "deltas/delta_1.2.0_b.sql",
        "create table public.b (id int);\nselect pg_sleep(1);\n",
    );
    let mut child = place
        .command(&format!("upgrade -p {db} -vv"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // `| head -n 1`, on both streams.
    drop(child.stdout.take());
    let mut first = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.contains("1.1.0"), "{first}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(ask(&db, "select pg_catalog.to_regclass('public.b')::text"), "public.b");
}

#[test]
fn a_question_can_be_interrupted() {
    let (place, db) = sleeping("question");
    let other = place.database("question_other");
    place.write("deltas/delta_1.2.0_b.sql", "create table public.b (id int);\n");
    place.write(
        "pum.yaml",
        "upgrades_table: s.info\ndelta_dir: deltas\nexpected: {deltas: true}\n",
    );
    let mut child = place
        .command(&format!("test-and-upgrade -pp {db} -pt {other}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut all = Vec::new();
    // The question ends with a space and no line end.
    while !all.ends_with(b"y: ") {
        let read = told.read_until(b' ', &mut all).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&all));
    }
    let input = child.stdin.take();
    send(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
    assert_eq!(ask(&db, "select pg_catalog.to_regclass('public.a')::text"), "");
}
