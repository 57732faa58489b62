//! Commands on many databases.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::Value;

use crate::interrupted::{send, wait_for_sleep};
use crate::terminal::{has_script, on_terminal};
use crate::towns::Towns;
use crate::{Ended, ask, execute, support, value};

pub(crate) fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}\n{}", ended.out))
}

pub(crate) fn member<'a>(fleet: &'a Value, name: &str) -> &'a Value {
    let members = fleet["members"].as_array().unwrap();
    members.iter().find(|member| member["member"] == name).unwrap()
}

pub(crate) fn upgraded(name: &str) -> bool {
    ask(
        name,
        "select count(*)::text from information_schema.columns where table_schema = 'water'",
    ) == "2"
}

#[test]
fn a_hundred_databases() {
    let towns = Towns::numbered("hundred", 100);
    let plan = json(&towns.run("upgrade", "hundred_*", "--dry-run --format json").with(0));
    assert_eq!(plan["counts"], serde_json::json!({ "to upgrade": 100 }));
    assert!(!upgraded("hundred_050"));

    let ended = towns.run("upgrade", "hundred_*", "--jobs 8").with(0);
    assert!(towns.names.iter().all(|name| upgraded(name)));
    // A line for each as it ends, then the table in the order of the names.
    let told: BTreeSet<&str> = ended.err.lines().collect();
    assert_eq!((ended.err.lines().count(), told.len()), (100, 100), "{}", ended.err);
    for line in &told {
        assert!(line.contains("/100] hundred_"), "{line}");
        assert!(
            line.contains(": 2 deltas applied, from version 1.0.0 to version 1.2.0, "),
            "{line}"
        );
    }
    let rows: Vec<Vec<&str>> = ended
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["member", "from", "to", "what", "took"]);
    for (name, row) in towns.names.iter().zip(&rows[1..]) {
        assert_eq!(row[..6], [name, "1.0.0", "1.2.0", "2", "deltas", "applied"], "{row:?}");
    }
    assert!(ended.out.contains("\n100 databases: 100 upgraded; "), "{}", ended.out);

    let again = towns.run("upgrade", "hundred_*", "--jobs 8").with(0);
    assert!(again.out.contains("\n100 databases: 100 up to date; "), "{}", again.out);
    let info = json(&towns.run("info", "hundred_*", "--format json -j 8").with(0));
    assert_eq!(info["counts"]["up to date"], 100);
    assert_eq!(member(&info, "hundred_099")["result"]["current_version"], "1.2.0");
    let text = towns.run("info", "hundred_00?", "").with(0).out;
    assert!(text.contains("hundred_009  1.2.0    3 applied"), "{text}");
    assert!(text.contains("\n10 databases: 10 up to date; "), "{text}");
}

#[test]
fn one_that_fails_harms_no_other_and_is_resumed() {
    let towns = Towns::numbered("ailing", 12);
    execute(
        "ailing_005",
        "create schema water; create table water.pipe (id int, size int)",
    );
    towns.place.write(
        "deltas/delta_1.0.5_warn.sql",
        "do $$ begin\nraise warning 'first of %', current_database();\nraise warning 'second of %', current_database();\nend $$;\n",
    );
    let ended = towns.run("upgrade", "ailing_*", "--at-once 3 --format json").with(1);
    let fleet = json(&ended);
    assert_eq!(fleet["schema"], "pum/fleet/1");
    assert_eq!(fleet["command"], "upgrade");
    assert_eq!((&fleet["fine"], &fleet["complete"]), (&false.into(), &true.into()));
    assert_eq!(fleet["counts"], serde_json::json!({ "upgraded": 11, "failed": 1 }));
    let failed = member(&fleet, "ailing_005");
    assert_eq!((&failed["status"], &failed["result"]), (&"failed".into(), &Value::Null));
    assert_eq!(failed["error"]["sqlstate"], "42P06");
    assert!(
        failed["error"]["message"]
            .as_str()
            .unwrap()
            .contains("\"water\" already exists"),
        "{failed}"
    );
    assert_eq!(failed["error"]["location"]["line"], 1);
    assert!(failed["error"]["state"].as_str().unwrap().contains("1.0.5"), "{failed}");
    assert!(
        failed["target"].as_str().unwrap().contains("dbname=ailing_005"),
        "{failed}"
    );
    let fine = member(&fleet, "ailing_006");
    assert_eq!((&fine["status"], &fine["error"]), (&"upgraded".into(), &Value::Null));
    assert_eq!(fine["result"]["schema"], "pum/upgrade/1");
    assert_eq!(fine["result"]["steps"].as_array().unwrap().len(), 3);
    assert!(fine["milliseconds"].is_u64());
    for name in towns.names.iter().filter(|name| *name != "ailing_005") {
        assert!(upgraded(name), "{name}");
    }
    // What a member has to say stands below its line, whoever else was at work.
    let lines: Vec<&str> = ended.err.lines().collect();
    for name in &towns.names {
        let at = lines
            .iter()
            .position(|line| line.contains(&format!("] {name}: ")))
            .unwrap();
        assert!(
            lines[at + 1].starts_with("  server WARNING: first of ") && lines[at + 1].ends_with(name.as_str()),
            "{}",
            ended.err
        );
        assert!(
            lines[at + 2].starts_with("  server WARNING: second of ") && lines[at + 2].ends_with(name.as_str()),
            "{}",
            ended.err
        );
    }
    assert!(ended.err.contains("] ailing_005: failed, "), "{}", ended.err);
    assert!(
        ended.err.contains("\n  error: schema \"water\" already exists\n"),
        "{}",
        ended.err
    );

    let text = towns.run("upgrade", "ailing_*", "").with(1).out;
    assert!(text.contains("failed: schema \"water\" already exists"), "{text}");
    assert!(text.contains("\n12 databases: 11 up to date, 1 failed; "), "{text}");
    execute("ailing_005", "drop schema water cascade");
    let fleet = json(&towns.run("upgrade", "ailing_*", "--format json").with(0));
    assert_eq!(fleet["counts"], serde_json::json!({ "up to date": 11, "upgraded": 1 }));
    assert_eq!(member(&fleet, "ailing_005")["result"]["from"], "1.0.5");
}

#[test]
fn ctrl_c_rolls_back_and_a_killed_run_is_resumed() {
    let towns = Towns::numbered("stopped", 5);
    for slow in ["stopped_001", "stopped_002"] {
        execute(slow, "create table public.slow ()");
    }
    let spawn = || {
        towns
            .place
            .command(&towns.line("upgrade", "stopped_*", "--jobs 2 --format json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let child = spawn();
    wait_for_sleep("stopped_001");
    wait_for_sleep("stopped_002");
    send(&child, "-INT");
    let ended = Ended::from(child.wait_with_output().unwrap()).with(130);
    let fleet = json(&ended);
    let counts = serde_json::json!({ "upgraded": 1, "cancelled": 2, "not begun": 2 });
    assert_eq!((&fleet["counts"], &fleet["complete"]), (&counts, &false.into()));
    assert_eq!(member(&fleet, "stopped_001")["status"], "cancelled");
    assert_eq!(member(&fleet, "stopped_003")["milliseconds"], Value::Null);
    assert!(
        ended.err.contains("1 upgraded, 2 cancelled, 2 not begun"),
        "{}",
        ended.err
    );
    assert_eq!(
        ask("stopped_001", "select pg_catalog.to_regclass('water.pipe')::text"),
        ""
    );

    let mut child = spawn();
    wait_for_sleep("stopped_001");
    wait_for_sleep("stopped_002");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(upgraded("stopped_000") && !upgraded("stopped_003"));
    for slow in ["stopped_001", "stopped_002"] {
        execute(slow, "drop table public.slow");
    }
    let fleet = json(&towns.run("upgrade", "stopped_*", "--wait 30s --format json").with(0));
    assert_eq!(fleet["counts"], serde_json::json!({ "up to date": 1, "upgraded": 4 }));
    assert!(towns.names.iter().all(|name| upgraded(name)));
}

#[test]
fn canaries_go_first() {
    let towns = Towns::numbered("canary", 6);
    let some = "--canary canary_004 canary_002";
    execute("canary_002", "create schema water");
    let ended = towns.run("upgrade", "canary_*", &format!("{some} --yes")).with(1);
    assert!(
        ended.out.contains("\n6 databases: 1 upgraded, 1 failed, 4 not begun; "),
        "{}",
        ended.out
    );
    assert!(
        ended
            .err
            .ends_with("A canary is not fine; 4 other databases not begun.\n"),
        "{}",
        ended.err
    );
    assert!(upgraded("canary_004") && !upgraded("canary_000"));

    execute("canary_002", "drop schema water");
    let ended = towns.run("upgrade", "canary_*", some).with(3);
    assert!(
        ended
            .out
            .contains("\n6 databases: 1 up to date, 1 upgraded, 4 not begun; ")
            || ended
                .out
                .contains("\n6 databases: 1 upgraded, 1 up to date, 4 not begun; "),
        "{}",
        ended.out
    );
    assert!(ended.err.contains("--yes to go on"), "{}", ended.err);
    assert!(upgraded("canary_002") && !upgraded("canary_000"));
    // A pipe that says yes is nobody.
    let line = towns.line("upgrade", "canary_*", some);
    towns.place.answer(&line, "y\n").with(3);
    assert!(!upgraded("canary_000"));

    if has_script() {
        let (code, shown) = on_terminal(&towns.place, &line, &["n\n"], &[]);
        assert!(
            code == 0 && shown.contains("Go on with 4 other databases? [n]|y: "),
            "{code} {shown}"
        );
        assert!(!upgraded("canary_000"), "{shown}");
        let (code, shown) = on_terminal(&towns.place, &line, &["y\n"], &[]);
        assert!(code == 0 && shown.contains("4 upgraded"), "{code} {shown}");
        assert!(upgraded("canary_000") && upgraded("canary_005"));
    }
    let fleet = json(
        &towns
            .run("upgrade", "canary_*", &format!("{some} --yes --format json"))
            .with(0),
    );
    assert_eq!(member(&fleet, "canary_004")["canary"], true);
    assert_eq!(member(&fleet, "canary_003")["canary"], false);
    assert!(towns.names.iter().all(|name| upgraded(name)));

    let ended = towns.run("upgrade", "canary_*", "--canary canary_9").with(2);
    assert!(
        ended.err.contains("the canary \"canary_9\" is none of the 6 databases"),
        "{}",
        ended.err
    );
    let ended = towns
        .place
        .run(&format!("upgrade -p '{}' --canary a", towns.server))
        .with(2);
    assert!(ended.err.contains("--canary needs many databases"), "{}", ended.err);
}

#[test]
fn services_by_pattern_and_by_list() {
    let towns = Towns::numbered("service", 4);
    towns.services();
    let place = &towns.place;
    let fleet = json(
        &place
            .run("upgrade -p 'service_00[' -p 'service_00?' --format json")
            .with(1),
    );
    // A service that is not defined is a member that fails.
    assert_eq!(fleet["counts"], serde_json::json!({ "upgraded": 4, "failed": 1 }));
    assert_eq!(fleet["members"][0]["member"], "service_00[");
    assert_eq!(fleet["members"][1]["member"], "service_000");
    // One pattern that finds what another found too.
    let fleet = json(&place.run("info -p 'service_*1' -p 'service_*' --format json").with(0));
    let names: Vec<&str> = fleet["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["member"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["service_001", "service_000", "service_002", "service_003"]);

    let keys = "upgrades_table: water_sys.info\ndelta_dir: deltas\n";
    place.write("pum.yaml", &format!("{keys}fleet: ['*_00[', service_003, '*2']\n"));
    let ended = place.run("info").with(2);
    assert!(
        ended.err.contains("no service matches \"*_00[\"") && ended.err.contains("pum.yaml:3:"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("pg_service.conf"), "{}", ended.err);
    place.write("pum.yaml", &format!("{keys}fleet: [service_003, '*2']\n"));
    let text = place.run("info").with(0).out;
    assert!(
        text.contains("\n2 databases: 2 up to date; ") && text.contains("service_003  1.2.0"),
        "{text}"
    );
    assert!(place.run("config").with(0).out.contains("service_003 *2"));
    // One that is named alone is as it always was.
    let text = place.run("info -p service_000").with(0).out;
    assert!(text.starts_with("service_000 is at version 1.2.0.\n"), "{text}");
    place.write(
        "pum.yaml",
        &format!("{keys}fleet: [service_003, '*2']\npg_service: service_000\n"),
    );
    let ended = place.run("upgrade").with(2);
    assert!(ended.err.contains("both pg_service and fleet"), "{}", ended.err);
    place.run("upgrade -p service_000").with(0);
}

#[test]
fn what_names_nothing_or_one_thing_twice_is_refused() {
    let towns = Towns::numbered("twice", 2);
    towns.services();
    let place = &towns.place;
    let ended = place.run("upgrade -p 'nothing_*'").with(2);
    assert!(ended.err.contains("no service matches \"nothing_*\""), "{}", ended.err);
    let ended = towns.run("upgrade", "nothing_*", "").with(2);
    assert!(ended.err.contains("matches \"nothing_*\""), "{}", ended.err);
    let ended = towns.run("upgrade", "a.*", "").with(2);
    assert!(ended.err.contains("names a schema"), "{}", ended.err);
    for names in ["", "-p twice_000 -p twice_001", "-p 'twice_*'"] {
        place.run(&format!("upgrade {names} --databases '*'")).with(2);
    }

    let other = towns
        .server
        .replace("dbname=postgres", "dbname=twice_001 application_name=other");
    let ended = place.run(&format!("upgrade -p 'twice_*' -p '{other}'")).with(2);
    assert!(
        ended.err.contains("\"twice_001\" and \"")
            && ended.err.contains("dbname=twice_001")
            && ended.err.contains("one and the same"),
        "{}",
        ended.err
    );
    assert!(!upgraded("twice_000"));
    let ended = place.run("upgrade -p 'twice_*' -d nowhere").with(2);
    assert_eq!(ended.err.matches("nowhere").count(), 1, "{}", ended.err);
}

#[test]
fn hostile_names_are_names() {
    let names = [
        "hostile it's",
        "hostile \"quoted\"; drop",
        "hostile line\n[9/9] forged: 2 deltas applied",
        "hostile \x1b[31m red",
        "hostile dbname=postgres",
        "hostile \\ back",
        "hostile postgresql://localhost/x?y=z",
    ];
    let towns = Towns::new(names.map(str::to_owned));
    let disallowed = support::database("hostile closed");
    let disallowed = value(&disallowed, "dbname");
    execute(
        "postgres",
        &format!("alter database \"{disallowed}\" allow_connections false"),
    );
    support::server().create_database("hostile template").unwrap();
    execute("postgres", "alter database \"hostile template\" is_template true");

    let fleet = json(&towns.run("upgrade", "hostile *", "--format json --jobs 2").with(0));
    let mut sorted = names;
    sorted.sort_unstable();
    let found: Vec<&str> = fleet["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["member"].as_str().unwrap())
        .collect();
    assert_eq!(found, sorted);
    assert!(names.iter().all(|name| upgraded(name)));
    let ended = towns.run("upgrade", "hostile *", "").with(0);
    for text in [&ended.out, &ended.err] {
        assert!(
            !text.contains('\x1b') && !text.lines().any(|line| line.starts_with("[9/9]")),
            "{text}"
        );
    }
    assert!(ended.out.contains("\n7 databases: 7 up to date; "), "{}", ended.out);
    execute("postgres", "alter database \"hostile template\" is_template false");
}

#[test]
fn many_are_compared_with_one_snapshot() {
    let towns = Towns::numbered("compared", 5);
    let place = &towns.place;
    execute("compared_003", "create sequence public.extra");
    place
        .run(&format!(
            "snapshot -p '{}' -o release.json",
            towns.server.replace("dbname=postgres", "dbname=compared_000")
        ))
        .with(0);
    let many = format!("check -p1 '{}' --databases 'compared_*'", towns.server);
    let ended = place
        .run(&format!("{many} -p2 release.json -o reports --format html"))
        .with(1);
    let rows: Vec<Vec<&str>> = ended
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["member", "only", "left", "only", "right", "changed", "what", "took"]
    );
    assert_eq!(rows[1][..5], ["compared_000", "0", "0", "0", "same"]);
    assert_eq!(rows[4][..6], ["compared_003", "1", "0", "0", "1", "difference"]);
    assert!(
        ended.out.contains("\n5 databases: 4 same, 1 different; "),
        "{}",
        ended.out
    );
    let page = std::fs::read_to_string(place.path("reports/compared_003.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("extra"));
    assert_eq!(std::fs::read_dir(place.path("reports")).unwrap().count(), 5);

    // The others alone are the same; a member that cannot be reached is not known.
    let fleet = json(&place.run(&format!("{many} -p2 release.json --format json")).with(1));
    assert_eq!(member(&fleet, "compared_003")["result"]["schema"], "pum/check/1");
    assert_eq!(member(&fleet, "compared_003")["status"], "different");
    towns.services();
    let lone = place
        .run("check -p1 compared_001 -p1 'compared_00[02]' -p1 compared_004 -p2 release.json")
        .with(2);
    assert!(lone.out.contains("\n3 databases: 2 same, 1 failed; "), "{}", lone.out);
    let silent = place
        .run("check -p1 compared_001 -p1 compared_002 -p2 release.json --silent")
        .with(0);
    assert_eq!((silent.out.as_str(), silent.err.as_str()), ("", ""));

    // The list of the configuration, when it is asked for.
    let fleet = "check --fleet -p2 release.json";
    let ended = place.run(fleet).with(2);
    assert!(ended.err.contains("no list fleet"), "{}", ended.err);
    place.write(
        "pum.yaml",
        "upgrades_table: water_sys.info\nfleet: [compared_001, 'compared_00[02]', 'compared_004']\n",
    );
    let listed = place.run(fleet).with(2);
    assert!(
        listed.out.contains("\n3 databases: 2 same, 1 failed; "),
        "{}",
        listed.out
    );
    place.run("check --fleet -p1 compared_001 -p2 release.json").with(2);
    place.run("check -p2 release.json").with(2);

    for (more, says) in [
        ("--write-expected x.json", "two databases"),
        ("--format junit", "many databases have many"),
        ("-p1 release.json", "a snapshot cannot be one of many"),
    ] {
        let ended = place
            .run(&format!("check -p1 'compared_*' -p2 release.json {more}"))
            .with(2);
        assert!(ended.err.contains(says), "{}", ended.err);
    }
}
