//! The crash rehearsal: an upgrade that is killed in each step and run again comes to the same, or it is said where not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use pum::{
    BaselineOptions, Connection, Crashes, Expected, Rehearsal, RehearsalOptions, Run, TableName, UpgradeOptions,
    baseline, rehearse,
};

fn rehearsed(name: &str, deltas: &[&str]) -> Rehearsal {
    let production = support::database(name);
    let run = Run::new();
    let table: TableName = "public.upgrades".parse().unwrap();
    let mut connection = Connection::open_for_scripts(&production, &run).unwrap();
    connection
        .execute("create table t (id serial primary key, a int); insert into t (a) select generate_series(1, 100)")
        .unwrap();
    let version = "1.0.0".parse().unwrap();
    baseline(&production, &BaselineOptions::new(table.clone(), version), &run).unwrap();
    // As in production, deltas find their tables by what the database has set.
    let database = connection.query("select current_database()", &[]).unwrap();
    let database = database.value(0, 0).unwrap();
    connection
        .execute(&format!(
            "create schema own; alter database \"{database}\" set search_path = own, public"
        ))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (number, text) in deltas.iter().enumerate() {
        let file = directory.path().join(format!("delta_1.{}.0_step.sql", number + 1));
        std::fs::write(file, text).unwrap();
    }
    let expected = directory.path().join("create.sql");
    std::fs::write(&expected, "create table t (id serial primary key, a int);").unwrap();
    let options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![expected])),
        server: support::options(),
        crash: true,
        ..RehearsalOptions::new(UpgradeOptions::new(table, vec![directory.path().to_owned()]))
    };
    rehearse(&production, &options, &run).unwrap()
}

fn crashes(rehearsal: &Rehearsal) -> &Crashes {
    rehearsal.contract().crashes.as_ref().unwrap()
}

#[test]
fn an_upgrade_that_is_killed_and_run_again_comes_to_the_same() {
    let rehearsal = rehearsed(
        "crash_same",
        &[
            "create table log (at timestamptz default clock_timestamp(), what text);\ninsert into log (what) select 'x' from t;\n\
             insert into t (a) select 1 from generate_series(1, 10);\nupdate t set a = a + 1;\n",
            "-- pum: no-transaction\n\ninsert into t (a) values (7);\ncreate index concurrently t_a on t (a);\n\
             insert into t (a) values (8);\n",
        ],
    );
    let crashes = crashes(&rehearsal);
    let points: Vec<_> = crashes
        .points
        .iter()
        .map(|point| (point.step, point.statement, point.problem.as_deref()))
        .collect();
    assert_eq!(points, [(0, 2, None), (1, 2, None)]);
    assert!(crashes.converge());
    assert_eq!(
        crashes.not_tried,
        ["not compared, because every run gives other values: own.log.at, public.t.id"]
    );
}

#[test]
fn a_delta_that_cannot_be_run_again_is_found() {
    let rehearsal = rehearsed(
        "crash_lost",
        &[
            "-- pum: no-transaction\n\ncreate temp table remembered as select 1 as one;\nselect 1;\nselect 2;\n\
             insert into t (a) select one from remembered;\n",
        ],
    );
    let crashes = crashes(&rehearsal);
    assert_eq!((crashes.points.len(), crashes.converge()), (1, false));
    let problem = crashes.points[0].problem.as_deref().unwrap();
    assert!(
        problem.starts_with("the second run failed: ") && problem.contains("remembered"),
        "{problem}"
    );
    assert!(!rehearsal.is_clean());
    assert!(
        rehearsal.contract().to_text().contains("killed"),
        "{}",
        rehearsal.contract().to_text()
    );
}
