//! The first row of the upgrades table.

use std::process::Stdio;

use crate::support::{Ended, Place, TABLE, contents, database, empty_database, sql};

/// What a baseline leaves: no table, or the table with its row.
fn whole(target: &pum::Target) -> bool {
    let there = sql(target, "select count(*) from pg_tables where schemaname = 'water_sys'");
    if there == "0" {
        return false;
    }
    assert_eq!(sql(target, "select count(*) from water_sys.upgrades"), "1");
    true
}

#[test]
fn where_it_is_written_is_told_before() {
    let target = empty_database("told");
    let place = Place::new();
    let words = ["baseline", "-p", &target.name(), "-t", TABLE, "-b", "1.0.0"];
    let ended = place.pum(&words).succeeds();
    let name = sql(&target, "select current_database()");
    let told = ended.stderr.lines().next().unwrap_or_default();
    for fact in [
        &format!("is the database {name} ("),
        "port 5432",
        "PostgreSQL ",
        "as postgres.",
    ] {
        assert!(told.contains(fact), "{fact}: {ended:#?}");
    }
}

#[test]
fn another_history_in_the_same_database_is_named() {
    let target = database("two_histories");
    let place = Place::new();
    let baseline = |table: &str, version: &str| {
        let words = ["baseline", "-p", &target.name(), "-t", table, "-b", version];
        place.pum(&words).succeeds()
    };
    let told = "warning: water_sys.upgrades holds a history of pum already: every delta applied there would be due again by \
                neu.info";
    baseline("neu.info", "1.0.0").says(&[told]);
    // The second time it is there, and was meant.
    assert!(!baseline("neu.info", "2.0.0").stderr.contains("holds a history"));
    assert!(
        !baseline("water_sys.upgrades", "2.0.0")
            .stderr
            .contains("holds a history")
    );
}

#[test]
fn a_lower_one_is_recorded_and_told_to_change_nothing() {
    // A database may have several baselines, as those in the field do.
    let target = database("lower");
    let place = Place::new();
    let baseline = |version: &str| {
        let words = ["baseline", "-p", &target.name(), "-t", TABLE, "-b", version];
        place.pum(&words).succeeds()
    };
    baseline("2.0.0");
    let lower = baseline("1.5.0");
    assert!(
        lower
            .stdout
            .contains("stays at version 2.0.0, above the baseline 1.5.0.")
    );
    lower.says(&[
        "the database is at version 2.0.0 already",
        "the baseline 1.5.0 changes nothing of that",
    ]);
    assert_eq!(sql(&target, "select count(*) from water_sys.upgrades"), "3");
}

#[test]
fn killed_at_any_moment_there_is_no_table_or_one_with_its_row() {
    let place = Place::new();
    let mut done = 0;
    for point in 0..16_u64 {
        let target = empty_database("killed");
        let words = ["baseline", "-p", &target.name(), "-t", TABLE, "-b", "1.0.0"];
        let mut child = place
            .program(env!("CARGO_BIN_EXE_pum"))
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(6 * point));
        child.kill().unwrap();
        child.wait().unwrap();
        // The server ends what it was sent before it sees that nobody listens.
        let alone = "select (count(*) = 1)::text from pg_stat_activity where datname = current_database() and backend_type = 'client backend'";
        while sql(&target, alone) != "true" {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let there = whole(&target);
        done += u32::from(there);
        let again = place.pum(&words);
        assert_eq!(again.code, if there { 3 } else { 0 }, "{again:#?}");
        assert!(whole(&target));
    }
    assert!(done < 16, "none was killed before its end");
}

#[test]
fn of_many_at_once_one_is_recorded() {
    let target = empty_database("race");
    let place = Place::new();
    let words = ["baseline", "-p", &target.name(), "-t", TABLE, "-b", "1.0.0"];
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = place.command(&words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut codes = Vec::new();
    for child in children {
        let ended = Ended::new(&child.wait_with_output().unwrap(), &words);
        assert!(!ended.stderr.contains("duplicate key"), "{ended:#?}");
        codes.push(ended.code);
    }
    codes.sort_unstable();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    // The others were too late, or met the lock of who was not.
    assert!(codes.iter().all(|code| [0, 3, 5].contains(code)), "{codes:?}");
    assert!(whole(&target));
    assert!(contents(&target).contains("0 locks"));
}
