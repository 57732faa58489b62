//! The water example: its deltas lead where `create.sql` leads, for both towns, and what Brenn changed by hand shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, Filter, Run, Script, TableName, Target, UpgradeOptions, Variables, baseline, check,
    run_script, upgrade,
};

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/water")
        .join(file)
}

fn table() -> TableName {
    "water_sys.upgrades".parse().unwrap()
}

fn options(max_version: &str) -> UpgradeOptions {
    let mut options = UpgradeOptions::new(table(), vec![example("deltas")]);
    options.max_version = Some(max_version.parse().unwrap());
    for (kind, name, value) in [
        ("int", "SRID", "25832"),
        ("str", "currency", "EUR"),
        ("float", "water_price", "1.85"),
    ] {
        options.variables.insert(kind, name, value).unwrap();
    }
    options
}

fn load(target: &Target, file: &str) {
    let run = Run::new();
    let script = Script::open(&example(file), &Variables::new()).unwrap();
    run_script(&mut Connection::open_for_scripts(target, &run).unwrap(), &script).unwrap();
}

/// A database at a release, by its deltas.
fn at(name: &str, version: &str) -> Target {
    let target = support::database(name);
    let baseline_options = BaselineOptions {
        table: table(),
        version: "0.0.0".parse().unwrap(),
        mark_applied: None,
        wait: Duration::ZERO,
    };
    baseline(&target, &baseline_options, &Run::new()).unwrap();
    upgrade(&target, &options(version), None, &Run::new()).unwrap();
    target
}

fn fresh() -> Target {
    let target = support::database("fresh");
    load(&target, "create.sql");
    target
}

fn town(name: &str, version: &str) -> Target {
    let target = at(name, version);
    load(&target, &format!("towns/{name}.sql"));
    target
}

fn differences(left: &Target, right: &Target) -> String {
    let filter = Filter {
        upgrades_table: Some(("water_sys".to_owned(), "upgrades".to_owned())),
        ..Filter::default()
    };
    let report = check(left, right, &filter, &Run::new()).unwrap();
    if report.same() { String::new() } else { report.to_json() }
}

fn value(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
}

#[test]
fn the_deltas_from_nothing_lead_where_create_sql_leads() {
    assert_eq!(differences(&at("from_nothing", "1.3.0"), &fresh()), "");
}

#[test]
fn arvel_upgrades_cleanly_and_keeps_its_data() {
    for single_transaction in [false, true] {
        let arvel = town("arvel", "1.0.0");
        let before = value(&arvel, "select count(*) || ' ' || sum(value_m3) from water.reading");
        let options = UpgradeOptions {
            single_transaction,
            ..options("1.3.0")
        };
        upgrade(&arvel, &options, None, &Run::new()).unwrap();
        assert_eq!(differences(&arvel, &fresh()), "");
        assert_eq!(
            value(
                &arvel,
                "select count(*) || ' ' || sum(value_m3)::bigint from water.reading"
            ),
            before
        );
        assert_eq!(
            value(
                &arvel,
                "select string_agg(distinct remark, ', ') from water.pipe where material = 0"
            ),
            "material: lead?"
        );
        assert_eq!(
            value(&arvel, "select value from water_sys.setting where name = 'srid'"),
            "25832"
        );
    }
}

#[test]
fn what_was_changed_by_hand_in_brenn_shows_after_the_upgrade() {
    let brenn = town("brenn", "1.1.0");
    upgrade(&brenn, &options("1.3.0"), None, &Run::new()).unwrap();
    let found: serde_json::Value = serde_json::from_str(&differences(&brenn, &fresh())).unwrap();
    let mut names: Vec<String> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| {
            let text = |key: &str| difference[key].as_str().unwrap_or("").to_owned();
            format!(
                "{} {} {}.{}",
                text("change"),
                text("kind"),
                text("relation"),
                text("name")
            )
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "changed views .hydrant_inspection",
            "only_left columns customer.call_first",
            "only_right constraints pipe.pipe_diameter_mm_check",
        ]
    );
}
