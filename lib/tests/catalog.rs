//! Reading a catalog under hard conditions: without privileges, and while objects come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::time::Duration;

use pum::{Catalog, Connection, Filter, KINDS, Run, check};

const HIDDEN: &str = "
    create schema hidden;
    create table hidden.t (a serial primary key, b text default 'x' check (b <> ''), c int generated always as identity,
        exclude (b with =) where (b > 'q'), foreign key (c) references hidden.t);
    create index on hidden.t (lower(b)) where b > 'a';
    create view hidden.v as select * from hidden.t;
    alter view hidden.v alter a set default 7;
    comment on column hidden.v.a is 'x';
    create materialized view hidden.m as select 1 as a;
    create function hidden.f() returns trigger language plpgsql as 'begin return new; end';
    create trigger x before update of b on hidden.t for each row when (old.b > new.b) execute function hidden.f('q');
    create rule r as on delete to hidden.t do instead nothing;
    create foreign data wrapper w;
    create server s foreign data wrapper w;
    create foreign table hidden.f (a int options (n 'm')) server s options (x 'y');
    create aggregate hidden.g(int) (sfunc = int4pl, stype = int);
    create table hidden.p (a int) partition by list ((a + 1));
    create table hidden.q partition of hidden.p for values in (1);
    revoke all on schema hidden from public;
    revoke all on function hidden.f() from public;";

#[test]
fn a_role_that_may_only_connect_sees_everything() {
    let target = support::database("hidden");
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    connection.execute(HIDDEN).unwrap();
    connection.execute("create role pum_nobody login").unwrap();
    let nobody = target.clone().with("user", "pum_nobody");
    let mut filter = Filter::default();
    filter.include_words(&["all"]).unwrap();
    let report = check(&target, &nobody, &filter, &Run::new()).unwrap();
    assert_eq!(report.differences(), []);
    let fingerprint = |target| {
        let mut connection = Connection::open(target, &Run::new()).unwrap();
        Catalog::read(&mut connection, &filter).unwrap().fingerprint()
    };
    assert_eq!(fingerprint(&target), fingerprint(&nobody));
    for kind in KINDS.iter().take(9) {
        let rows = connection.query(kind.query(), &[]).unwrap();
        assert!(rows.iter().count() > 0, "{kind} has nothing to hide");
    }
}

#[test]
fn objects_that_vanish_while_reading_are_no_failure() {
    let target = support::database("vanishing");
    let mut reader = Connection::open(&target, &Run::new()).unwrap();
    let mut other = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    for round in 0..30 {
        other
            .execute(
                "create table t (a serial primary key, b text default lower('X') check (b <> ''));
                 create view v as select * from t; create index on t (lower(b)) where b > 'a';
                 create table p (a int) partition by list ((a + 1)); create table q partition of p default",
            )
            .unwrap();
        std::thread::scope(|scope| {
            let other = &mut other;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(round * 2));
                other.execute("drop table t cascade; drop table p").unwrap();
            });
            Catalog::read(&mut reader, &Filter::default()).unwrap();
        });
    }
}

#[test]
fn a_structure_that_is_changed_while_it_is_read_is_read_again() {
    let target = support::database("changing");
    let name = support::database("changing_too");
    let mut other = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    other.execute("create view v as select 1 as one").unwrap();
    let report = pum::check(&target, &target, &Filter::default(), &Run::new()).unwrap();
    assert_eq!(report.warnings(), ["both sides are one and the same database"]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                other
                    .execute(&format!("create or replace view v as select {number} as one"))
                    .unwrap();
            }
        });
        let report = pum::check(&target, &name, &Filter::default(), &Run::new()).unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(
            report.warnings(),
            [
                "the structure of the left database was changed while it was read, each time: compare again when it is at rest"
            ]
        );
    });
    let report = pum::check(&target, &name, &Filter::default(), &Run::new()).unwrap();
    assert_eq!((report.warnings().len(), report.differences().len()), (0, 1));
    // Other writers do not change the structure.
    let mut other = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    other.execute("create table t (a int)").unwrap();
    stop.store(false, std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                other.execute("insert into t values (1)").unwrap();
                other.execute("create temp table x (a int); drop table x").unwrap();
            }
        });
        let report = pum::check(&target, &name, &Filter::default(), &Run::new()).unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(report.warnings().is_empty(), "{:?}", report.warnings());
    });
}

#[test]
fn the_same_comparison_says_the_same_to_the_byte() {
    let (left, right) = (support::database("again"), support::database("again"));
    let mut connection = Connection::open(&left, &Run::new()).unwrap();
    connection.execute(HIDDEN).unwrap();
    let mut filter = Filter::default();
    filter.include_words(&["all"]).unwrap();
    let said = || {
        let report = check(&left, &right, &filter, &Run::new()).unwrap();
        [
            report.to_json(),
            report.to_junit(),
            report.to_html(&pum::HtmlOptions::default()),
            report.to_text(&pum::TextOptions::default()),
        ]
    };
    let first = said();
    assert!(first[0].contains("hidden"));
    for _ in 0..9 {
        assert_eq!(said(), first);
    }
}
