//! Many deltas, and many runs at once, again and again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pum::{
    BaselineOptions, Connection, Delta, Deltas, Entry, ErrorKind, History, Language, Plan, Run, Stage, UpgradeOptions,
    Version, baseline, upgrade,
};

fn version(number: usize) -> Version {
    format!("1.{}.{}", number / 100, number % 100).parse().unwrap()
}

/// How long it takes to plan with so many deltas, all but the last hundred applied.
fn planning(count: usize) -> Duration {
    let directory = PathBuf::from("deltas");
    let deltas = Deltas {
        directories: vec![directory.clone()],
        deltas: (0..count)
            .map(|number| Delta {
                version: version(number),
                name: format!("step_{number}"),
                stage: Stage::Normal,
                language: Language::Sql,
                path: directory.join(format!("delta_{}_step_{number}.sql", version(number))),
                directory: directory.clone(),
            })
            .collect(),
        ..Deltas::default()
    };
    let entries = (0..count - 100).map(|number| Entry {
        id: i64::try_from(number).unwrap(),
        version: version(number),
        name: format!("step_{number}"),
        code: 8,
        script: String::new(),
        checksum: String::new(),
        installed_by: String::new(),
        installed_on: String::new(),
        execution_time_ms: 1,
        success: true,
        run: None,
        digest: None,
        state: None,
        statements_done: 0,
        rehearsal: None,
    });
    let table = "pum_sys.upgrades".parse().unwrap();
    let entries = entries.collect();
    let begun = Instant::now();
    let history = History::from_entries(table, entries);
    let plan = Plan::new(&deltas, &history, None).unwrap();
    let spent = begun.elapsed();
    assert_eq!(plan.steps.len(), 100);
    assert_eq!(plan.reached, Some(version(count - 1)));
    spent
}

#[test]
fn thousands_of_deltas_are_planned_in_linear_time() {
    let (few, many) = (planning(2_000), planning(40_000));
    // Looking for each among all would take four hundred times as long.
    assert!(many < 100 * few.max(Duration::from_millis(2)), "{few:?} and {many:?}");
}

/// Two to five at once, each with a delta to apply; `PUM_ROUNDS` says how often.
#[test]
fn of_several_runs_at_once_exactly_one_applies_each_time() {
    let rounds = std::env::var("PUM_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    let (target, directory) = (support::database("at_once"), tempfile::tempdir().unwrap());
    let table: pum::TableName = "pum_sys.upgrades".parse().unwrap();
    baseline(
        &target,
        &BaselineOptions::new(table.clone(), "1.0.0".parse().unwrap()),
        &Run::new(),
    )
    .unwrap();
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    connection
        .execute("create table public.account (balance int); insert into public.account values (0)")
        .unwrap();
    let (mut locked, mut late) = (0, 0);
    for round in 1..=rounds {
        std::fs::write(
            directory.path().join(format!("delta_1.{round}.0_more.sql")),
            "update public.account set balance = balance + 1",
        )
        .unwrap();
        let runs = 2 + round % 4;
        let barrier = std::sync::Barrier::new(runs);
        let one = |number: usize| {
            // Some wait, and find that nothing is due any more.
            let wait = Duration::from_secs(if number.is_multiple_of(2) { 60 } else { 0 });
            let options = UpgradeOptions {
                wait,
                ..UpgradeOptions::new(table.clone(), vec![directory.path().to_owned()])
            };
            barrier.wait();
            upgrade(&target, &options, None, &Run::new()).map(|applied| applied.steps.len())
        };
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let one = &one;
            let runs: Vec<_> = (0..runs).map(|number| scope.spawn(move || one(number))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let mut applied = 0;
        for outcome in outcomes {
            match outcome {
                Ok(0) => late += 1,
                Ok(steps) => applied += steps,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
                    locked += 1;
                }
            }
        }
        let balance = connection
            .query("select balance::text from public.account", &[])
            .unwrap();
        assert_eq!((applied, balance.value(0, 0)), (1, Some(round.to_string().as_str())));
    }
    println!(
        "{rounds} rounds, one applied in each; {locked} were told who is at work, {late} waited and had nothing to do"
    );
}
