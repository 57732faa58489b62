//! The rehearsal from end to end, on the water example.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, ErrorKind, Expected, Rehearsal, RehearsalOptions, Result, Run, Script, TableName,
    Target, Terms, UpgradeOptions, Variables, baseline, rehearse, run_script, upgrade,
};

fn water(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/water")
        .join(file)
}

fn table() -> TableName {
    "water_sys.upgrades".parse().unwrap()
}

fn upgrade_options() -> UpgradeOptions {
    let mut options = UpgradeOptions::new(table(), vec![water("deltas")]);
    for (kind, name, value) in [
        ("int", "SRID", "25832"),
        ("str", "currency", "EUR"),
        ("float", "water_price", "1.85"),
    ] {
        options.variables.insert(kind, name, value).unwrap();
    }
    options
}

fn options() -> RehearsalOptions {
    RehearsalOptions {
        expected: Some(Expected::Sql(vec![water("create.sql")])),
        server: support::options(),
        ..RehearsalOptions::new(upgrade_options())
    }
}

/// A town at its release, with its data.
fn town(name: &str, release: &str) -> Target {
    let target = support::database(name);
    let run = Run::new();
    let version = "0.0.0".parse().unwrap();
    baseline(
        &target,
        &BaselineOptions {
            table: table(),
            version,
            mark_applied: None,
            wait: Duration::ZERO,
        },
        &run,
    )
    .unwrap();
    let options = UpgradeOptions {
        max_version: Some(release.parse().unwrap()),
        ..upgrade_options()
    };
    upgrade(&target, &options, None, &run).unwrap();
    let script = Script::open(&water(&format!("towns/{name}.sql")), &Variables::new()).unwrap();
    run_script(&mut Connection::open_for_scripts(&target, &run).unwrap(), &script).unwrap();
    target
}

fn execute(target: &Target, sql: &str) {
    Connection::open(target, &Run::new()).unwrap().execute(sql).unwrap();
}

fn version(target: &Target) -> String {
    pum::history(target, &table(), &Run::new())
        .unwrap()
        .unwrap()
        .current_version()
        .unwrap()
        .to_string()
}

fn refused(outcome: Result<Rehearsal>) -> pum::Error {
    match outcome {
        Ok(_) => panic!("it must be refused"),
        Err(error) => error,
    }
}

#[test]
fn a_clean_rehearsal_is_carried_out() {
    let production = town("arvel", "1.0.0");
    let directory = tempfile::tempdir().unwrap();
    let backup = directory.path().join("arvel.dump");
    let options = RehearsalOptions {
        backup: Some(backup.clone()),
        ..options()
    };
    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    assert_eq!((version(&production).as_str(), backup.is_file()), ("1.0.0", true));
    let done = rehearsal.carry_out(&Terms::default(), &Run::new()).unwrap();
    assert!(done.report.same(), "{}", done.report.to_json());
    assert_eq!(version(&production), "1.4.0");
}

#[test]
fn the_mark_on_a_database_of_a_rehearsal_is_no_difference() {
    let production = town("arvel", "1.0.0");
    let mark = |target: &Target| {
        let mut connection = Connection::open(target, &Run::new()).unwrap();
        let found = connection
            .query(
                "select coalesce(shobj_description(oid, 'pg_database'), '') from pg_database where datname = current_database()",
                &[],
            )
            .unwrap();
        found.value(0, 0).unwrap_or_default().to_owned()
    };
    let test = support::server().target("marked_by_the_rehearsal");
    let mut options = options();
    options.test = Some(test.clone());
    options.filter.include_words(&["comments"]).unwrap();
    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    assert_eq!(mark(&test), "made by pum for a rehearsal; pum drops it at the next one");
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    // It holds its copy.
    drop(rehearsal);

    // A comment of somebody's own is one.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("comment.sql");
    std::fs::write(
        &file,
        "do $$ begin execute format('comment on database %I is ''made by pum''', current_database()); end $$",
    )
    .unwrap();
    options.expected = Some(Expected::Sql(vec![water("create.sql"), file]));
    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    assert_eq!(
        rehearsal.report().differences().len(),
        1,
        "{}",
        rehearsal.report().to_json()
    );
}

#[test]
fn rows_that_deltas_make_are_compared_when_asked_for() {
    let production = town("arvel", "1.0.0");
    let mut options = options();
    options.filter.data = vec!["water.material".parse().unwrap()];
    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    let done = rehearsal.carry_out(&Terms::default(), &Run::new()).unwrap();
    assert!(done.report.same(), "{}", done.report.to_json());
    execute(
        &production,
        "update water.material set roughness_mm = 0.3 where code = 'st'; insert into water.material values (99, 'x', 'x', 1)",
    );
    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    let rows: Vec<String> = rehearsal
        .report()
        .differences()
        .iter()
        .map(|found| found.object.to_string())
        .collect();
    assert_eq!(rows, ["row water.material.id=3", "row water.material.id=99"]);
    assert!(!rehearsal.is_clean());
}

#[test]
fn a_drift_stops_it_before_production_is_touched() {
    let production = town("brenn", "1.1.0");
    let rehearsal = rehearse(&production, &options(), &Run::new()).unwrap();
    assert!(
        !rehearsal.is_clean() && rehearsal.report().differences().len() >= 3,
        "{}",
        rehearsal.report().to_json()
    );
    let error = rehearsal.carry_out(&Terms::default(), &Run::new()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(version(&production), "1.1.0");
}

#[test]
fn what_changed_since_is_seen() {
    let production = town("arvel", "1.0.0");
    for (sql, word) in [
        ("create table public.new_since (a int)", "structure"),
        (
            "insert into water_sys.upgrades (version, description, type, script, checksum, installed_by, execution_time, success) values ('1.0.1', 'x', 8, '', '', '', 1, true)",
            "upgrades table",
        ),
    ] {
        let rehearsal = rehearse(
            &production,
            &RehearsalOptions {
                expected: Some(Expected::Deltas),
                ..options()
            },
            &Run::new(),
        )
        .unwrap();
        let clean = rehearsal.is_clean();
        execute(&production, sql);
        let error = rehearsal.carry_out(&Terms::default(), &Run::new()).err().unwrap();
        // The table of the first round is a drift in the second.
        assert!(error.message().contains(word) || !clean, "{error}");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

#[test]
fn production_by_another_name_is_refused() {
    let production = town("arvel", "1.0.0");
    let alias = production.clone().with("application_name", "another");
    let error = refused(rehearse(
        &production,
        &RehearsalOptions {
            test: Some(alias.clone()),
            ..options()
        },
        &Run::new(),
    ));
    assert!(error.message().contains("the test database is production"), "{error}");
    let other = support::database("other");
    let both = RehearsalOptions {
        test: Some(other.clone()),
        comparison: Some(alias),
        ..options()
    };
    let error = refused(rehearse(&production, &both, &Run::new()));
    assert!(
        error.message().contains("the comparison database is production"),
        "{error}"
    );
    let both = RehearsalOptions {
        test: Some(other.clone()),
        comparison: Some(other),
        ..options()
    };
    assert!(
        refused(rehearse(&production, &both, &Run::new()))
            .message()
            .contains("the test database")
    );
    // One that is not there yet is both once it is made.
    let missing = support::server().target("made_as_both");
    let both = RehearsalOptions {
        test: Some(missing.clone()),
        comparison: Some(missing.with("application_name", "another")),
        expected: None,
        ..options()
    };
    assert!(
        refused(rehearse(&production, &both, &Run::new()))
            .message()
            .contains("the comparison database is the test database")
    );
}

#[test]
fn a_test_database_is_made_taken_when_empty_and_never_somebody_elses() {
    let production = town("arvel", "1.0.0");
    let foreign = support::database("foreign");
    execute(&foreign, "create table public.precious (a int)");
    let error = refused(rehearse(
        &production,
        &RehearsalOptions {
            test: Some(foreign.clone()),
            ..options()
        },
        &Run::new(),
    ));
    assert!(
        error.message().contains("pum did not make") && error.hint().is_some(),
        "{error}"
    );
    execute(&foreign, "select * from public.precious");

    let empty = support::database("empty_test");
    let missing = support::server().target("made_by_the_rehearsal");
    for test in [empty.clone(), empty, missing.clone(), missing.clone()] {
        let options = RehearsalOptions {
            test: Some(test.clone()),
            ..options()
        };
        assert!(rehearse(&production, &options, &Run::new()).unwrap().is_clean());
        assert_eq!(version(&test), "1.4.0");
    }
}

#[test]
fn a_test_database_that_cannot_be_created_again_is_not_dropped() {
    let production = town("arvel", "1.0.0");
    let test = support::database("given_to_owner");
    execute(
        &production,
        "drop role if exists test_owner; create role test_owner login; grant pg_read_all_data to test_owner",
    );
    execute(
        &test,
        "do $$ begin execute format('alter database %I owner to test_owner', current_database()); end $$",
    );
    let options = || RehearsalOptions {
        test: Some(test.clone().with("user", "test_owner")),
        ..options()
    };
    // The second time it holds the first rehearsal.
    assert!(rehearse(&production, &options(), &Run::new()).is_ok());
    let error = refused(rehearse(&production, &options(), &Run::new()));
    assert!(error.message().contains("may not create it again"), "{error}");
    assert_eq!(version(&test), "1.4.0");
}

#[test]
fn a_copy_in_use_is_not_dropped_by_another_rehearsal() {
    let production = town("arvel", "1.0.0");
    let options = RehearsalOptions {
        test: Some(support::server().target("in_use")),
        ..options()
    };
    let first = rehearse(&production, &options, &Run::new()).unwrap();
    let error = refused(rehearse(&production, &options, &Run::new()));
    assert_eq!(error.sqlstate(), Some("55006"));
    assert!(
        error.hint().unwrap().contains("another rehearsal"),
        "{:?}",
        error.hint()
    );
    assert!(first.carry_out(&Terms::default(), &Run::new()).unwrap().report.same());
}

#[test]
fn settings_of_the_database_come_along() {
    let production = town("arvel", "1.0.0");
    let name = Connection::open(&production, &Run::new())
        .unwrap()
        .parameter("dbname")
        .unwrap();
    execute(
        &production,
        &format!(
            "alter database {name} set role_s.a = 'weaker'; alter role postgres in database {name} set role_s.a = 'it''s'; \
             alter database {name} set search_path = water, public; alter database {name} set work_mem = '7MB'; \
             alter database {name} set default_transaction_read_only = on"
        ),
    );
    let test = support::server().target("with_settings");
    rehearse(
        &production,
        &RehearsalOptions {
            test: Some(test.clone()),
            ..options()
        },
        &Run::new(),
    )
    .unwrap();
    let mut connection = Connection::open_for_scripts(&test, &Run::new()).unwrap();
    let rows = connection
        .query(
            "select current_setting('search_path'), current_setting('work_mem'), current_setting('role_s.a')",
            &[],
        )
        .unwrap();
    assert_eq!(
        (rows.value(0, 0), rows.value(0, 1), rows.value(0, 2)),
        (Some("water, public"), Some("7MB"), Some("it's"))
    );
}

#[test]
fn a_production_without_a_table_is_baselined_on_the_copy_first() {
    let production = support::database("unversioned");
    let script = Script::open(&water("create.sql"), &Variables::new()).unwrap();
    run_script(
        &mut Connection::open_for_scripts(&production, &Run::new()).unwrap(),
        &script,
    )
    .unwrap();
    let error = refused(rehearse(&production, &options(), &Run::new()));
    assert!(
        error.message().contains("no upgrades table") && error.hint().unwrap().contains("-b"),
        "{error}"
    );
    let options = RehearsalOptions {
        baseline: Some("1.4.1".parse().unwrap()),
        ..options()
    };
    // A delta that came since is seen before the baseline is written.
    let directory = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(water("deltas")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
    }
    let mut of_copy = options.clone();
    of_copy.upgrade.directories = vec![directory.path().to_owned()];
    let rehearsal = rehearse(&production, &of_copy, &Run::new()).unwrap();
    std::fs::write(directory.path().join("delta_1.4.2_new.sql"), "select 1;").unwrap();
    let error = rehearsal.carry_out(&Terms::default(), &Run::new()).err().unwrap();
    assert!(
        error
            .message()
            .contains("1.4.2 new (delta sql) is due and was not rehearsed"),
        "{error}"
    );
    assert_eq!(pum::history(&production, &table(), &Run::new()).unwrap(), None);

    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    assert_eq!(pum::history(&production, &table(), &Run::new()).unwrap(), None);
    assert!(
        rehearsal
            .carry_out(&Terms::default(), &Run::new())
            .unwrap()
            .report
            .same()
    );
    assert_eq!(version(&production), "1.4.1");
}

#[test]
fn an_expected_database_by_a_command_that_fails_is_told() {
    let production = town("arvel", "1.0.0");
    let fails = Expected::Command {
        words: vec!["sh".into(), "-c".into(), "echo no luck; exit 3".into()],
        directory: None,
    };
    let error = refused(rehearse(
        &production,
        &RehearsalOptions {
            expected: Some(fails),
            ..options()
        },
        &Run::new(),
    ));
    assert!(
        error.message().contains("expected database could not be built") && error.message().contains('3'),
        "{error}"
    );
    let words = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "create.sql"];
    let works = Expected::Command {
        words: words.map(str::to_owned).to_vec(),
        directory: Some(water("")),
    };
    assert!(
        rehearse(
            &production,
            &RehearsalOptions {
                expected: Some(works),
                ..options()
            },
            &Run::new()
        )
        .unwrap()
        .is_clean()
    );
}
