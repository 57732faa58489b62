//! What a rehearsal measures: each hazard is planted in a delta and found in the evidence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::time::Duration;

use pum::{
    BaselineOptions, Connection, Evidence, Expected, KeepsOut, RehearsalOptions, Run, TableName, UpgradeOptions,
    Waiter, baseline, rehearse,
};

/// A table with rows and an index.
const TABLE: &str = "create table t (id serial primary key, a int, b text); create index t_b on t (b); \
    insert into t (a, b) select n, 'text ' || n from generate_series(1, 20000) n; create table other (a int)";

/// Rehearses deltas of these texts, in this order.
fn evidence_of(name: &str, deltas: &[&str], change: impl FnOnce(&mut UpgradeOptions)) -> Evidence {
    let production = support::database(name);
    let run = Run::new();
    let mut connection = Connection::open_for_scripts(&production, &run).unwrap();
    connection.execute(TABLE).unwrap();
    let table: TableName = "public.upgrades".parse().unwrap();
    baseline(
        &production,
        &BaselineOptions {
            table: table.clone(),
            version: "1.0.0".parse().unwrap(),
            mark_applied: None,
            wait: Duration::ZERO,
        },
        &run,
    )
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (number, text) in deltas.iter().enumerate() {
        let file = directory.path().join(format!("delta_1.{}.0_planted.sql", number + 1));
        std::fs::write(file, text).unwrap();
    }
    let expected = directory.path().join("expected.sql");
    std::fs::write(&expected, "create table t (id serial primary key)").unwrap();
    let mut upgrade = UpgradeOptions::new(table, vec![directory.path().to_owned()]);
    change(&mut upgrade);
    let options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![expected])),
        server: support::options(),
        ..RehearsalOptions::new(upgrade)
    };
    let rehearsal = rehearse(&production, &options, &run).unwrap();
    rehearsal.evidence().clone()
}

fn evidence(name: &str, delta: &str) -> Evidence {
    evidence_of(name, &[delta], |_| {})
}

fn waited(evidence: &Evidence, waiter: Waiter) -> u64 {
    let waits = evidence.waits.iter();
    let waits = waits.filter(|wait| wait.table == "public.t" && wait.waiter == waiter);
    waits.map(|wait| wait.milliseconds).max().unwrap_or(0)
}

#[test]
fn a_lock_that_is_gone_at_the_end_of_its_statement_is_seen() {
    let found = evidence(
        "evidence_do",
        "select 1;\ndo $$ begin begin lock table t in access exclusive mode; perform pg_sleep(0.4); raise exception 'undo'; \
         exception when raise_exception then null; end; end $$;\n",
    );
    let locks: Vec<_> = found.locks.iter().filter(|lock| lock.relation == "public.t").collect();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!(locks[0].keeps_out, KeepsOut::Readers);
    assert_eq!(locks[0].mode, "AccessExclusiveLock");
    assert!(
        !locks[0].until_commit && (300..2000).contains(&locks[0].milliseconds),
        "{locks:?}"
    );
    assert_eq!(
        (
            locks[0].taken_by.step,
            locks[0].taken_by.statement,
            locks[0].taken_by.line
        ),
        (0, Some(2), Some(2))
    );
    assert!(waited(&found, Waiter::Reader) >= 300, "{:?}", found.waits);
    assert!(waited(&found, Waiter::Writer) >= 300, "{:?}", found.waits);
    let statement = &found.steps[0].statements[1];
    assert!(
        statement.milliseconds >= 400 && statement.text.starts_with("do $$ begin begin lock"),
        "{statement:?}"
    );
}

#[test]
fn a_lock_by_a_text_that_cannot_be_read_is_unforeseen() {
    let found = evidence(
        "evidence_unread",
        "do $$ begin execute 'lock ' || 'table t in access exclusive mode'; perform pg_sleep(0.4); end $$;\n",
    );
    assert_eq!(found.predictions[0].rule, "unread");
    let unforeseen: Vec<_> = found.unforeseen.iter().map(|seen| &*seen.relation).collect();
    assert_eq!(unforeseen, ["public.t"], "{:?}", found.predictions);
}

#[test]
fn a_column_whose_name_another_takes_is_lost_all_the_same() {
    let found = evidence(
        "evidence_reused",
        "alter table t rename b to b_old;\nalter table t add b text;\nalter table t drop b_old;\n",
    );
    let change = found.data.iter().find(|change| change.table == "public.t").unwrap();
    assert_eq!(change.columns_dropped, [("b".to_owned(), 20_000)]);
    assert!(change.loses && change.columns_changed.is_empty(), "{change:?}");
    let told = found.predictions.iter().find(|told| told.rule == "ban-drop-column");
    assert_eq!(told.unwrap().seen, Some(true));
}

#[test]
fn a_column_with_another_name_is_not_lost() {
    let found = evidence("evidence_renamed", "alter table t rename b to name;\n");
    assert!(found.data.is_empty(), "{:?}", found.data);
}

#[test]
fn values_that_a_forgotten_where_overwrites_are_seen() {
    let found = evidence("evidence_overwritten", "update t set b = 'none';\n");
    let told = found
        .predictions
        .iter()
        .find(|told| told.rule == "update-without-where");
    assert_eq!(told.unwrap().seen, Some(true), "{:?}", found.data);
}

#[test]
fn a_lock_is_held_until_its_transaction_ends() {
    let found = evidence("evidence_commit", "create index on t (a);\nselect pg_sleep(0.4);\n");
    let lock = found.locks.iter().find(|lock| lock.relation == "public.t").unwrap();
    assert_eq!(
        (lock.keeps_out, lock.taken_by.statement, lock.until_commit),
        (KeepsOut::Writers, Some(1), true)
    );
    assert!(lock.milliseconds >= 400, "{lock:?}");
    assert!(waited(&found, Waiter::Writer) >= 400, "{:?}", found.waits);
    assert!(waited(&found, Waiter::Reader) < 200, "{:?}", found.waits);
    assert_eq!((found.scans.len(), found.rewrites.len()), (1, 0), "{found:?}");
    assert!(found.data.is_empty() && found.sequences.is_empty(), "{found:?}");
}

#[test]
fn in_a_single_transaction_a_lock_is_held_until_the_end_of_all() {
    let found = evidence_of(
        "evidence_single",
        &["alter table t add c int;\n", "select pg_sleep(0.3);\n"],
        |options| options.single_transaction = true,
    );
    let lock = found.locks.iter().find(|lock| lock.relation == "public.t").unwrap();
    assert!(
        lock.taken_by.step == 0 && lock.milliseconds >= 300 && lock.until_commit,
        "{lock:?}"
    );
    assert_eq!(found.steps.len(), 2);
}

#[test]
fn an_index_that_is_built_concurrently_keeps_nobody_out_who_reads_or_writes() {
    let found = evidence(
        "evidence_concurrently",
        "-- pum: no-transaction\n\ncreate index concurrently t_a on t (a, b);\n",
    );
    let strongest = found.locks.iter().map(|lock| lock.keeps_out).max();
    assert_eq!(strongest, Some(KeepsOut::SchemaChanges), "{:?}", found.locks);
    assert!(found.waits.is_empty(), "{:?}", found.waits);
}

#[test]
fn a_default_that_rewrites_is_told_from_one_that_does_not() {
    let found = evidence(
        "evidence_rewrite",
        "alter table t add x timestamptz not null default now();\nalter table t add y uuid not null default gen_random_uuid();\n",
    );
    let rewrites: Vec<_> = found
        .rewrites
        .iter()
        .map(|rewrite| (&*rewrite.relation, rewrite.by.statement))
        .collect();
    assert_eq!(rewrites, [("public.t", Some(2))]);
    assert!(
        found.rewrites[0].bytes > 100_000 && found.steps[0].wal_bytes > 100_000,
        "{found:?}"
    );
    assert!(found.data.is_empty(), "{:?}", found.data);
}

#[test]
fn a_constraint_that_is_validated_reads_the_table() {
    let found = evidence(
        "evidence_scan",
        "alter table t add constraint later check (a >= 0) not valid;\nalter table t add constraint now check (a > 0);\n",
    );
    let scans: Vec<_> = found
        .scans
        .iter()
        .map(|scan| (&*scan.table, scan.by.statement))
        .collect();
    assert_eq!(scans, [("public.t", Some(2))]);
}

#[test]
fn what_an_earlier_step_read_is_not_read_by_the_next() {
    let found = evidence_of(
        "evidence_scans",
        &[
            "alter table t add constraint a_is_positive check (a > 0);\n",
            "alter table t drop constraint a_is_positive;\n",
            "update t set a = a + 1 where b = 'nothing';\nselect count(*) from t;\nalter table t add c int;\n",
        ],
        |_| {},
    );
    let reads: Vec<_> = found.scans.iter().map(|scan| (&*scan.table, scan.by.step)).collect();
    assert_eq!(reads, [("public.t", 0)]);
}

#[test]
fn rows_that_are_gone_are_found() {
    let found = evidence("evidence_delete", "delete from t;\ninsert into other select 1;\n");
    let data: Vec<_> = found
        .data
        .iter()
        .map(|change| (&*change.table, change.rows_before, change.rows_after, change.loses))
        .collect();
    assert_eq!(
        data,
        [
            ("public.other", Some(0), Some(1), false),
            ("public.t", Some(20000), Some(0), true)
        ]
    );
    assert_eq!(
        found.steps[0].statements.iter().map(|statement| statement.rows).max(),
        Some(20000)
    );
}

#[test]
fn values_that_are_gone_or_changed_are_found() {
    let found = evidence(
        "evidence_columns",
        "alter table t drop column b;\nupdate t set a = 20001 - a;\nselect nextval('t_id_seq');\n",
    );
    let change = &found.data[0];
    assert_eq!((change.rows_before, change.rows_after), (Some(20000), Some(20000)));
    assert_eq!(change.columns_dropped, [("b".to_owned(), 20000)]);
    assert!(change.loses, "{change:?}");
    let sequence = &found.sequences[0];
    assert_eq!(
        (sequence.before.as_deref(), sequence.after.as_deref()),
        (Some("20000"), Some("20001"))
    );
    // The same values in other rows.
    let found = evidence("evidence_permuted", "update t set a = 20001 - a;\n");
    assert_eq!(found.data[0].columns_changed, ["a", "b", "id"]);
    let found = evidence("evidence_updated", "update t set a = a + 1;\n");
    assert_eq!(found.data[0].columns_changed, ["a"]);
}

#[test]
fn a_table_with_another_name_is_not_lost() {
    let renamed = evidence("evidence_renamed", "alter table t rename to u;\n");
    assert_eq!(renamed.data, []);
    let shrunk = evidence_of(
        "evidence_swapped",
        &[
            "alter table t rename to u;\nalter table other rename to t;\n",
            "delete from u where id <= 5000;\n",
        ],
        |_| {},
    );
    let told: Vec<_> = shrunk
        .data
        .iter()
        .map(|change| (&*change.table, change.rows_before, change.rows_after, change.loses))
        .collect();
    assert_eq!(told, [("public.u", Some(20_000), Some(15_000), true)]);
    let locked: Vec<_> = shrunk
        .locks
        .iter()
        .map(|lock| (lock.taken_by.step, &*lock.relation))
        .collect();
    assert!(
        locked.iter().all(|(step, name)| *step == 0 || *name == "public.u"),
        "{locked:?}"
    );
}

#[test]
fn a_table_that_is_gone_with_its_rows_is_found() {
    let found = evidence("evidence_drop", "drop table t;\ncreate table made (a int);\n");
    let data: Vec<_> = found
        .data
        .iter()
        .map(|change| (&*change.table, change.rows_after, change.loses))
        .collect();
    assert_eq!(data, [("public.made", Some(0), false), ("public.t", None, true)]);
}

#[test]
fn what_the_static_reading_says_is_held_against_what_was_seen() {
    let found = evidence(
        "evidence_predictions",
        "alter table t alter column a type bigint;\n\ncreate index on other (a);\n\n\
         -- pum: allow delete-without-where they are made anew\ndelete from other;\n\n\
         do $$ begin execute 'alter table t alter column a type numeric'; end $$;\n",
    );
    let told = |rule: &str| {
        let prediction = found.predictions.iter().find(|prediction| prediction.rule == rule);
        prediction.unwrap_or_else(|| panic!("{rule}: {:?}", found.predictions))
    };
    let change = told("changing-column-type");
    assert_eq!(
        (change.by.statement, change.by.line, change.seen),
        (Some(1), Some(1), Some(true))
    );
    // There were no rows.
    let delete = told("delete-without-where");
    assert_eq!(
        (delete.allowed.as_deref(), delete.seen),
        (Some("they are made anew"), Some(false))
    );
    assert_eq!(told("unread").seen, None);
    assert_eq!(found.rewrites.len(), 2);
}
