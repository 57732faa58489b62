//! The water example: its deltas lead where `create.sql` leads, for both towns, and what Brenn changed by hand shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, Expected, Filter, RehearsalOptions, Run, Script, TableName, Target, UpgradeOptions,
    Variables, baseline, check, rehearse, run_script, upgrade,
};
use serde_json::{Value, json};

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
    assert_eq!(differences(&at("from_nothing", "1.4.0"), &fresh()), "");
}

/// What the deltas must not change: what was billed, what everybody used in each year, and the readings of the last one.
const KEPT: &str = "select concat_ws(' ', \
    (select count(*) || ' ' || sum(value_m3)::bigint from water.reading where billed or read_on >= '2025-01-01'), \
    (select string_agg(customer || ':' || year || ':' || used_m3::bigint, ',' order by customer, year) \
     from water.consumption_by_year))";

#[test]
fn arvel_upgrades_cleanly_and_keeps_its_data() {
    for single_transaction in [false, true] {
        let arvel = town("arvel", "1.0.0");
        let before = value(&arvel, KEPT);
        // 1.4.0 has a delta that cannot be in a transaction.
        let single = UpgradeOptions {
            single_transaction,
            ..options("1.3.0")
        };
        upgrade(&arvel, &single, None, &Run::new()).unwrap();
        assert_eq!(value(&arvel, KEPT), before);
        upgrade(&arvel, &options("1.4.0"), None, &Run::new()).unwrap();
        assert_eq!(differences(&arvel, &fresh()), "");
        assert_eq!(value(&arvel, KEPT), before);
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
    upgrade(&brenn, &options("1.4.0"), None, &Run::new()).unwrap();
    let found: Value = serde_json::from_str(&differences(&brenn, &fresh())).unwrap();
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

/// What of a part of the evidence was done by a step.
fn by<'a>(evidence: &'a Value, part: &str, place: &str, step: &str) -> Vec<&'a Value> {
    let steps = evidence["steps"].as_array().unwrap();
    let number = steps.iter().position(|found| found["step"] == step).unwrap();
    let all = evidence[part].as_array().unwrap().iter();
    all.filter(|found| found[place]["step"] == number).collect()
}

#[test]
fn the_rehearsal_of_arvel_shows_what_hurts() {
    let options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![example("create.sql")])),
        server: support::options(),
        ..RehearsalOptions::new(options("1.4.0"))
    };
    let rehearsal = rehearse(&town("arvel", "1.0.0"), &options, &Run::new()).unwrap();
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    let contract: Value = serde_json::from_str(&rehearsal.contract().to_json()).unwrap();
    let evidence = &contract["evidence"];

    // A rewrite, under a lock that keeps everybody out.
    let rewrites = by(evidence, "rewrites", "by", "1.2.0 reading_value (delta sql)");
    assert_eq!(rewrites.len(), 1, "{rewrites:?}");
    assert_eq!(rewrites[0]["relation"], "water.reading");
    assert!(rewrites[0]["bytes"].as_u64().unwrap() > 5_000_000, "{rewrites:?}");
    let readers = |lock: &&&Value| lock["relation"] == "water.reading" && lock["keeps_out"] == "readers";
    let locks = by(evidence, "locks", "taken_by", "1.2.0 reading_value (delta sql)");
    let longest = locks.iter().filter(readers).map(|lock| lock["milliseconds"].as_u64());
    assert!(longest.max() > Some(Some(50)), "{locks:?}");

    // An index that is built the plain way: foretold, and seen to keep writers out for as long as it is built.
    let plain = "1.4.0 reading_day (delta sql)";
    let foretold = by(evidence, "predictions", "by", plain);
    assert_eq!(foretold.len(), 1, "{foretold:?}");
    assert_eq!(foretold[0]["rule"], "require-concurrent-index-creation");
    assert_eq!(
        (&foretold[0]["seen"], &foretold[0]["allowed"]),
        (&json!(true), &Value::Null)
    );
    let locks = by(evidence, "locks", "taken_by", plain);
    let lock = locks.iter().find(|lock| lock["keeps_out"] == "writers");
    let lock = lock.unwrap_or_else(|| panic!("{}", evidence["locks"]));
    assert_eq!(
        (&lock["relation"], &lock["mode"]),
        (&json!("water.reading"), &json!("ShareLock"))
    );
    let steps = evidence["steps"].as_array().unwrap().iter();
    let statement = steps.clone().find(|step| step["step"] == plain).unwrap()["statements"][0].clone();
    let [locked, built] = [lock, &statement].map(|value| value["milliseconds"].as_u64().unwrap());
    assert!(built > 10 && locked * 2 > built, "{lock} {statement}");

    // Its safe variant: nothing to foretell, and a lock that keeps neither readers nor writers out.
    let safe = "1.4.0 reading_standing (delta sql)";
    assert_eq!(by(evidence, "predictions", "by", safe), Vec::<&Value>::new());
    let locks = by(evidence, "locks", "taken_by", safe);
    let reading = locks.iter().find(|lock| lock["relation"] == "water.reading");
    assert_eq!(reading.unwrap()["mode"], "ShareUpdateExclusiveLock");
    let kept_out: Vec<_> = locks
        .iter()
        .filter(|lock| lock["keeps_out"] != "schema_changes")
        .collect();
    assert!(kept_out.is_empty(), "{kept_out:?}");
    let not_measured = evidence["not_measured"].to_string();
    assert!(not_measured.contains(safe), "{not_measured}");

    // Readings that are gone, which is no difference from the expected database.
    let losses: Vec<_> = evidence["data"].as_array().unwrap().iter().collect();
    let losses: Vec<_> = losses.into_iter().filter(|change| change["loses"] == true).collect();
    assert_eq!(losses.len(), 2, "{losses:?}");
    // The column that is dropped, though another has its name now.
    assert_eq!(losses[0]["table"], "water.pipe");
    assert_eq!(losses[0]["columns_dropped"], json!([["material", 1147]]));
    let rows = ["table", "rows_before", "rows_after"].map(|key| losses[1][key].clone());
    assert_eq!(rows, [json!("water.reading"), json!(203_746), json!(106_750)]);
    let text = rehearsal.contract().to_text();
    assert!(text.lines().nth(1).unwrap().starts_with("  DATA LOST     "), "{text}");
    assert!(text.contains("water.reading: 203"), "{text}");

    // What another statement of the transaction had locked before is seen, and what is allowed says why.
    let meter = by(evidence, "predictions", "by", "1.3.0 meter (delta sql)");
    let dropped = meter
        .iter()
        .filter(|told| told["rule"] == "require-concurrent-index-deletion");
    assert_eq!(dropped.clone().count(), 2, "{meter:?}");
    assert!(
        dropped
            .clone()
            .all(|told| told["seen"] == true && told["allowed"].is_string()),
        "{meter:?}"
    );

    // Nobody writes to a materialized view, and nobody is said to have waited to.
    let waits = evidence["waits"].as_array().unwrap().iter();
    let mut waits = waits.filter(|wait| wait["table"] == "water.zone_use");
    assert!(waits.all(|wait| wait["waiter"] == "reader"), "{}", evidence["waits"]);
}
