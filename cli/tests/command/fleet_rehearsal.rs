//! The rehearsals of many databases, and their upgrades that are held to them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::fleet::{json, member, upgraded};
use crate::interrupted::send;
use crate::towns::Towns;
use crate::{Ended, ask, execute};

/// Towns, and `release.json`, which is what they must be.
fn towns(prefix: &str, names: &[&str]) -> Towns {
    let release = format!("{prefix}_release");
    let names = names.iter().map(|name| format!("{prefix}_{name}"));
    let towns = Towns::new(names.chain([release.clone()]));
    let server = towns.server.replace("dbname=postgres", &format!("dbname={release}"));
    towns.place.run(&format!("upgrade -p '{server}'")).with(0);
    towns
        .place
        .run(&format!("snapshot -p '{server}' -o release.json"))
        .with(0);
    execute("postgres", &format!("drop database \"{release}\""));
    towns
}

fn line(towns: &Towns, pattern: &str, more: &str) -> String {
    format!(
        "test -pp '{}' --databases '{pattern}' -pc release.json {more}",
        towns.server
    )
}

fn test(towns: &Towns, pattern: &str, more: &str) -> Ended {
    towns.place.run(&line(towns, pattern, more))
}

fn files(directory: &Path) -> BTreeSet<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    std::fs::read_dir(directory).unwrap().map(name).collect()
}

fn statuses<'a>(fleet: &'a Value, names: &[&str]) -> Vec<&'a str> {
    names
        .iter()
        .map(|name| member(fleet, name)["status"].as_str().unwrap())
        .collect()
}

#[test]
fn each_is_rehearsed_and_held_to_its_own_rehearsal() {
    let towns = towns("proved", &["broken", "clean", "drifted", "moved"]);
    let place = &towns.place;
    let names = ["proved_broken", "proved_clean", "proved_drifted", "proved_moved"];
    execute("proved_broken", "create schema water");
    execute("proved_drifted", "create sequence public.by_hand");
    // A table of options that need directories, and one form each.
    let ended = test(
        &towns,
        "proved_*",
        "--save proofs --report pages -f backups --format json",
    )
    .with(1);
    let fleet = json(&ended);
    assert_eq!(
        (fleet["schema"].as_str(), fleet["command"].as_str()),
        (Some("pum/fleet/1"), Some("test"))
    );
    assert_eq!(statuses(&fleet, &names), ["failed", "clean", "differences", "clean"]);
    assert!(names.iter().all(|name| !upgraded(name) || *name == "proved_broken"));
    let failed = &member(&fleet, "proved_broken")["error"];
    assert_eq!(failed["sqlstate"], "42P06");
    assert!(
        failed["state"].as_str().unwrap().contains("production was only read"),
        "{failed}"
    );
    let clean = &member(&fleet, "proved_clean")["result"];
    assert_eq!(
        (&clean["schema"], &clean["clean"]),
        (&"pum/test/1".into(), &true.into())
    );
    assert_eq!((&clean["to"], &clean["upgraded"]), (&"1.2.0".into(), &Value::Null));
    assert_eq!(clean["evidence"]["steps"].as_array().unwrap().len(), 2);
    let drifted = &member(&fleet, "proved_drifted")["result"]["comparison"]["differences"];
    assert_eq!(drifted[0]["name"], "by_hand");
    assert!(
        ended
            .err
            .contains("] proved_drifted: differences: 2 steps; 1 difference, from 1.0.0 to 1.2.0, "),
        "{}",
        ended.err
    );
    let done = |ending: &str| {
        names[1..]
            .iter()
            .map(|name| format!("{name}.{ending}"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(files(&place.path("proofs")), done("rehearsal.json"));
    assert_eq!(files(&place.path("pages")), done("html"));
    // The backup is made before the upgrade of the copy fails.
    let backups = files(&place.path("backups"));
    assert!(
        done("backup").is_subset(&backups) && done("backup.rehearsal.json").is_subset(&backups),
        "{backups:?}"
    );

    execute("proved_moved", "create table public.since ()");
    let upgrade = |more: &str| towns.run("upgrade", "proved_*", &format!("--rehearsal proofs {more}"));
    let ended = upgrade("--canary proved_moved --yes").with(1);
    assert!(
        ended.out.contains("\n4 databases: 1 failed, 3 not begun; "),
        "{}",
        ended.out
    );
    let ended = upgrade("--format json").with(1);
    let fleet = json(&ended);
    assert_eq!(statuses(&fleet, &names), ["failed", "upgraded", "failed", "failed"]);
    let said = |name: &str| member(&fleet, name)["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        said("proved_broken").contains("proofs/proved_broken.rehearsal.json"),
        "{}",
        said("proved_broken")
    );
    assert_eq!(said("proved_drifted"), "the rehearsal was not clean");
    assert!(
        said("proved_moved").starts_with("the structure of "),
        "{}",
        said("proved_moved")
    );
    let result = &member(&fleet, "proved_clean")["result"];
    assert_eq!(
        (&result["schema"], &result["to"]),
        (&"pum/upgrade/1".into(), &"1.2.0".into())
    );
    assert_eq!(
        (&result["rehearsal"]["id"], &result["rehearsal"]["as_rehearsed"]),
        (&clean["id"], &true.into())
    );
    assert!(upgraded("proved_clean") && !upgraded("proved_moved") && !upgraded("proved_drifted"));

    // What was mended is rehearsed again, and only that; then all follow.
    execute("proved_moved", "drop table public.since");
    execute("proved_drifted", "drop sequence public.by_hand");
    execute("proved_broken", "drop schema water");
    std::fs::remove_file(place.path("pages/proved_moved.html")).unwrap();
    let fleet = json(
        &test(
            &towns,
            "proved_*",
            "--save proofs --report pages --resume --format json",
        )
        .with(0),
    );
    let before = |name: &str| member(&fleet, name)["result"]["rehearsed_before"].as_bool().unwrap();
    assert_eq!(names.map(before), [false, false, false, true]);
    assert!(place.path("pages/proved_moved.html").is_file());
    let ended = upgrade("").with(0);
    assert!(
        ended.out.contains("\n4 databases: 3 upgraded, 1 up to date; ")
            || ended.out.contains("\n4 databases: 1 up to date, 3 upgraded; "),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("2 deltas applied, as rehearsed"), "{}", ended.out);
    assert!(names.iter().all(|name| upgraded(name)));

    // Done again it is compared again, and what differs since is told.
    execute("proved_moved", "alter table water.pipe add column colour text");
    let fleet = towns.run("upgrade", "proved_*", "--rehearsal proofs").with(1);
    assert!(fleet.out.contains("up to date, NOT AS REHEARSED"), "{}", fleet.out);
    assert!(fleet.err.contains("colour"), "{}", fleet.err);
}

#[test]
fn a_rehearsal_that_was_stopped_is_gone_on_with() {
    let towns = towns("halted", &["1", "2", "3"]);
    execute("halted_2", "create table public.slow ()");
    let mut command = towns
        .place
        .command(&line(&towns, "halted_*", "--save proofs --at-once 1 --format json"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !towns.place.path("proofs/halted_1.rehearsal.json").exists() {
        std::thread::sleep(Duration::from_millis(50));
    }
    // Whatever the second one is at by now, it takes longer.
    std::thread::sleep(Duration::from_secs(1));
    send(&child, "-INT");
    let ended = Ended::from(child.wait_with_output().unwrap()).with(130);
    let fleet = json(&ended);
    assert_eq!(
        statuses(&fleet, &["halted_1", "halted_2", "halted_3"]),
        ["clean", "cancelled", "not begun"]
    );
    assert!(ended.err.contains("--resume"), "{}", ended.err);
    assert_eq!(files(&towns.place.path("proofs")).len(), 1);

    execute("halted_2", "drop table public.slow");
    let fleet = json(&test(&towns, "halted_*", "--save proofs --resume --format json").with(0));
    let before = |name: &str| member(&fleet, name)["result"]["rehearsed_before"].as_bool().unwrap();
    assert_eq!(["halted_1", "halted_2", "halted_3"].map(before), [true, false, false]);
    // Another question is no answer.
    let fleet = json(&test(&towns, "halted_1", "--save proofs --resume --schema-only --format json").with(0));
    assert_eq!(member(&fleet, "halted_1")["result"]["rehearsed_before"], false);
    let text = test(&towns, "halted_?", "--save proofs --resume").with(0).out;
    let kept = text
        .lines()
        .filter(|line| line.contains("clean: 2 steps; rehearsed before"));
    assert_eq!(kept.count(), 2, "{text}");
}

#[test]
fn files_of_hostile_names_stay_where_they_belong() {
    let hostile = ["rogue ../../up", "rogue /tmp/x\n[9/9] forged", "rogue %2f", "rogue /"];
    let names: Vec<&str> = hostile
        .iter()
        .map(|name| name.strip_prefix("rogue ").unwrap())
        .collect();
    let towns = Towns::new(hostile.map(str::to_owned));
    towns.place.write(
        "pum.yaml",
        "upgrades_table: water_sys.info\ndelta_dir: deltas\nexpected: {command: ['true']}\n",
    );
    let before = files(towns.place.directory.path());
    let command = format!("test -pp '{}' --databases 'rogue *' --schema-only", towns.server);
    // An empty database is not what they must be; the files are written all the same.
    let ended = towns.place.run(&format!("{command} --save proofs --at-once 4")).with(1);
    assert!(
        ended.out.contains("\n4 databases: 4 differences; "),
        "{}{}",
        ended.out,
        ended.err
    );
    for text in [&ended.out, &ended.err] {
        assert!(!text.lines().any(|line| line.starts_with("[9/9]")), "{text}");
    }
    let mut after = files(towns.place.directory.path());
    assert!(after.remove("proofs"));
    assert_eq!(before, after);
    let written = files(&towns.place.path("proofs"));
    assert_eq!(written.len(), names.len(), "{written:?}");
    assert!(written.contains("rogue%20..%2f..%2fup.rehearsal.json"), "{written:?}");
    let ended = towns
        .run("upgrade", "rogue *", "--rehearsal proofs --format json")
        .with(1);
    let fleet = json(&ended);
    for name in hostile {
        assert_eq!(
            member(&fleet, name)["error"]["message"],
            "the rehearsal was not clean",
            "{name}"
        );
    }
}

#[test]
fn what_makes_no_sense_for_many_is_refused_before_anything_is_done() {
    let towns = towns("senseless", &["1", "2"]);
    let place = &towns.place;
    let many = format!("test -pp '{}' --databases 'senseless_*'", towns.server);
    place.write("file", "");
    for (more, says) in [
        ("-pc release.json -pt 'dbname=x'", "one test database (-pt)"),
        ("-pc 'dbname=x'", "with a snapshot of it"),
        ("-pc release.json --copy template", "--copy template"),
        ("-pc nowhere.json", "nowhere.json"),
        ("", "nothing to compare"),
        ("-pc release.json --save file", "--save names a directory"),
        (
            "-pc release.json -f file/x",
            "-f, or backup_file in the configuration, names a directory",
        ),
        ("-pc release.json --resume", "--save"),
    ] {
        let ended = place.run(&format!("{many} {more}"));
        assert_ne!(ended.code, 0, "{more}");
        assert!(
            ended.err.contains(says) && !ended.err.contains("/2]"),
            "{more}: {}",
            ended.err
        );
    }
    towns.services();
    let keys = "upgrades_table: water_sys.info\ndelta_dir: deltas\n";
    place.write(
        "pum.yaml",
        &format!("{keys}fleet: ['senseless_?']\npg_service_test: x\n"),
    );
    let ended = place.run("test -pc release.json").with(2);
    assert!(ended.err.contains("pum.yaml:4:"), "{}", ended.err);
    place.write(
        "pum.yaml",
        &format!("{keys}fleet: ['senseless_?']\npg_service_prod: senseless_1\n"),
    );
    let ended = place.run("test -pc release.json").with(2);
    assert!(
        ended.err.contains("both pg_service_prod and fleet") && ended.err.contains("--fleet"),
        "{}",
        ended.err
    );
    let ended = place
        .run("test -pp senseless_1 --resume --save x -pc release.json")
        .with(2);
    assert!(ended.err.contains("--resume needs many databases"), "{}", ended.err);
    let ended = place.run("upgrade --fleet --rehearsal release.json").with(2);
    assert!(
        ended.err.contains("there is no directory \"release.json\""),
        "{}",
        ended.err
    );
    // And what the list says, with or without the word.
    let text = place.run("test --fleet -pc release.json --schema-only").with(0).out;
    assert!(text.contains("\n2 databases: 2 clean; "), "{text}");
    place.write("pum.yaml", &format!("{keys}fleet: ['senseless_?']\n"));
    let text = place.run("test -pc release.json --schema-only").with(0).out;
    assert!(text.contains("\n2 databases: 2 clean; "), "{text}");
}

#[test]
fn one_rehearsal_as_json_is_the_file() {
    let towns = towns("single", &["1"]);
    let place = &towns.place;
    towns.services();
    let ended = place
        .run("test -pp single_1 -pc release.json --format json --save saved.json")
        .with(0);
    let saved = std::fs::read_to_string(place.path("saved.json")).unwrap();
    assert_eq!(json(&ended), serde_json::from_str::<Value>(&saved).unwrap());
    assert_eq!(json(&ended)["schema"], "pum/rehearsal/1");
    place.write("printed.json", &ended.out);
    let line = "upgrade -p single_1 --rehearsal printed.json";
    let done = json(&place.run(&format!("{line} --format json")).with(0));
    assert_eq!((&done["from"], &done["to"]), (&"1.0.0".into(), &"1.2.0".into()));
    assert_eq!(done["rehearsal"]["as_rehearsed"], true);
    assert_eq!(done["rehearsal"]["comparison"]["schema"], "pum/check/1");
    assert_eq!(ask("single_1", "select count(*)::text from water_sys.info"), "3");
    // The same again only looks.
    let text = place.run(line).with(0).out;
    assert_eq!(
        text,
        "single_1 is at version 1.2.0; nothing was due.\nsingle_1 is now what was rehearsed.\n"
    );
    execute("single_1", "alter table water.pipe drop column size");
    let done = json(&place.run(&format!("{line} --format json")).with(1));
    assert_eq!(done["rehearsal"]["as_rehearsed"], false);
}
