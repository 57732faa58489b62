//! `test` and `test-and-upgrade`.

use pum::{Connection, Run, Server, ServerOptions};

use crate::interrupted::{send, wait_for_sleep};
use crate::{Ended, Place, ask, execute, open, support};

/// Production at 1.0.0, the expected database, deltas that lead from one to the other.
fn scene(name: &str) -> (Place, String, String) {
    let place = Place::new();
    let production = place.database(&format!("{name}_prod"));
    let expected = place.database(&format!("{name}_comp"));
    execute(
        &production,
        "create table public.pipe (id int primary key); insert into public.pipe values (1), (2)",
    );
    execute(
        &production,
        "create table public.about (version text); insert into public.about values ('1.0.0')",
    );
    execute(&expected, "create table public.pipe (id int primary key, size int)");
    execute(
        &expected,
        "create table public.about (version text); create schema water_sys",
    );
    place.write(
        "deltas/delta_1.1.0_size.sql",
        "alter table public.pipe add column size int;\n",
    );
    (place, production, expected)
}

/// Production at 1.0.0, and its rehearsal in `proof.json`.
fn prove(place: &Place, production: &str, expected: &str) {
    let common = "-t water_sys.info -d deltas";
    place
        .run(&format!("baseline -p {production} {common} -b 1.0.0"))
        .with(0);
    place
        .run(&format!(
            "test -pp {production} -pc {expected} {common} --save proof.json"
        ))
        .with(0);
}

fn sized(database: &str) -> bool {
    let query = "select count(*)::text from pg_attribute where attrelid = 'public.pipe'::regclass and attname = 'size'";
    ask(database, query) == "1"
}

const PROMPT: &str = "[n]|y: ";

#[test]
fn the_whole_way_with_yes_from_a_pipe() {
    let (place, production, expected) = scene("whole");
    let test = place.database("whole_test");
    place
        .run(&format!(
            "baseline -p {production} -t water_sys.info -d deltas -b 1.0.0"
        ))
        .with(0);
    let line = format!(
        "test-and-upgrade -pp {production} -pt {test} -pc {expected} -t water_sys.info -d deltas -f dump -i views rules triggers"
    );
    // No is no, whichever way it is said.
    for answer in ["n\n", "\n", "", "no\n", "x\ny\n"] {
        let ended = place.answer(&line, answer).with(0);
        assert!(
            ended.err.contains(&format!("Apply deltas to {production}? {PROMPT}")),
            "{}",
            ended.err
        );
        assert!(
            ended.out.contains(&format!("{production} was left as it was.")),
            "{}",
            ended.out
        );
        assert!(!sized(&production) && sized(&test));
    }
    let ended = place.answer(&line, "y\ny\ny\ny\n").with(0);
    assert!(
        ended
            .out
            .contains(&format!("{production} is at version 1.1.0; 1 delta applied")),
        "{}",
        ended.out
    );
    assert!(sized(&production));
    assert!(place.path("dump").exists());
    // Once more: nothing is due, nothing is asked.
    let ended = place.answer(&line, "").with(0);
    assert!(ended.out.contains("nothing is due"), "{}", ended.out);
    assert!(!ended.err.contains(PROMPT), "{}", ended.err);
}

#[test]
fn a_dry_run_says_whether_the_rehearsal_still_holds() {
    let (place, production, expected) = scene("holds");
    let common = "-t water_sys.info -d deltas";
    prove(&place, &production, &expected);
    let line = format!("upgrade -p {production} {common} --rehearsal proof.json --dry-run");
    let ended = place.run(&line).with(0);
    assert!(
        ended.out.contains("are what they were at the rehearsal ") && ended.out.ends_with("Nothing was written.\n"),
        "{}",
        ended.out
    );
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&format!("{line} --format json")).with(0).out).unwrap();
    assert_eq!(json["rehearsal"]["holds"], true);
    assert_eq!(json["dry_run"], true);
    execute(&production, "create table public.extra (id int)");
    let ended = place.run(&line).with(3);
    assert!(
        ended
            .err
            .contains("was changed since the rehearsal (table public.extra is new"),
        "{}",
        ended.err
    );
    execute(&production, "drop table public.extra");
    let other = place.database("holds_not");
    let ended = place
        .run(&format!("upgrade -p {other} {common} --rehearsal proof.json --dry-run"))
        .with(3);
    assert!(ended.err.contains("is of another database"), "{}", ended.err);
    assert!(!sized(&production));
    // Carried out, it says that nothing is left to do, and still only looks.
    place
        .run(&format!("upgrade -p {production} {common} --rehearsal proof.json"))
        .with(0);
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&format!("{line} --format json")).with(0).out).unwrap();
    assert_eq!(json["dry_run"], true);
    assert_eq!(json["rehearsal"]["as_rehearsed"], true);
}

#[test]
fn an_upgrade_by_a_rehearsal_that_is_interrupted_says_that_it_goes_on_without() {
    let (place, production, expected) = scene("outdated");
    let common = "-t water_sys.info -d deltas";
    place.write(
        "deltas/delta_1.2.0_slow.sql",
        "select pg_sleep(20) from public.about where version = 'slow';\n",
    );
    prove(&place, &production, &expected);
    execute(&production, "update public.about set version = 'slow'");
    let line = format!("upgrade -p {production} {common} --rehearsal proof.json");
    let child = place
        .command(&line)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_sleep(&production);
    send(&child, "-TERM");
    let ended = Ended::from(child.wait_with_output().unwrap()).with(143);
    let help = "help: run `pum upgrade` without --rehearsal: it goes on with 1.2.0 slow (delta sql); or rehearse again";
    assert!(ended.err.contains(help), "{}", ended.err);
    let refused = place.run(&line).with(3).err;
    assert!(
        refused.contains("was changed since the rehearsal") && refused.contains("state: nothing was changed"),
        "{refused}"
    );
    execute(&production, "update public.about set version = 'fast'");
    place.run(&format!("upgrade -p {production} {common}")).with(0);
}

#[test]
fn only_production_must_be_named() {
    let (place, production, _) = scene("short");
    place.write(
        "pum.yaml",
        "upgrades_table: water_sys.info\ndelta_dir: deltas\nversion_query: select version from about\nexpected:\n  \
         command: [psql, -qc, 'create table pipe (id int primary key, size int); create table about (version text); create schema water_sys']\n",
    );
    let ended = place.run(&format!("test -pp {production}")).with(0);
    assert!(ended.out.contains("The rehearsal is clean"), "{}", ended.out);
    assert!(!sized(&production));
    assert_eq!(
        ask(&production, "select pg_catalog.to_regclass('water_sys.info')::text"),
        ""
    );

    let question =
        format!("{production} has no upgrades table. Create water_sys.info with the baseline 1.0.0? {PROMPT}");
    let ended = place
        .answer(&format!("test-and-upgrade -pp {production}"), "n\n")
        .with(0);
    assert!(ended.err.contains(&question), "{}", ended.err);
    assert!(ended.out.contains("Nothing was done"), "{}", ended.out);
    let ended = place.run(&format!("test-and-upgrade -pp {production} --yes")).with(0);
    assert!(!ended.err.contains(PROMPT), "{}", ended.err);
    assert!(sized(&production));
}

#[test]
fn a_copy_that_is_not_what_it_must_be_stops_it() {
    let (place, production, expected) = scene("drift");
    execute(&expected, "alter table public.pipe add column colour text");
    let test = place.database("drift_test");
    let line = format!("-pp {production} -pt {test} -pc {expected} -t water_sys.info -d deltas -b 1.0.0");
    let ended = place.run(&format!("test {line}")).with(1);
    assert!(ended.out.contains("colour"), "{}", ended.out);
    let ended = place.answer(&format!("test-and-upgrade {line}"), "y\ny\n").with(1);
    assert!(!ended.err.contains("Apply deltas"), "{}", ended.err);
    assert!(
        ended.out.contains(&format!("{production} was left as it was.")),
        "{}",
        ended.out
    );
    // The copy stays, to be looked at.
    assert!(!sized(&production) && sized(&test));
    // What is left out is left out.
    place.run(&format!("test {line} -P colour")).with(0);
}

#[test]
fn the_report_is_a_page_whatever_it_says() {
    let (place, production, expected) = scene("page");
    let test = place.database("page_test");
    let line = format!(
        "test -pp {production} -pt {test} -pc {expected} -t water_sys.info -d deltas -b 1.0.0 --report page.html"
    );
    let page = || std::fs::read_to_string(place.path("page.html")).unwrap();
    let ended = place.run(&line).with(0);
    assert!(ended.out.contains("The report is in page.html.\n"), "{}", ended.out);
    assert!(page().contains("<h1 class=\"same\">The upgraded copy is what it must be</h1>"));
    assert!(page().contains("Pre-flight of production"));
    execute(&expected, "alter table public.pipe add column colour text");
    place.run(&line).with(1);
    let written = page();
    assert!(written.contains("<h1 class=\"differ\">The upgraded copy is not what it must be</h1>"));
    assert!(written.contains("<bdi class=\"name\">colour</bdi>"));
    // What could not be written in the end is said at once.
    for (extra, words) in [
        ("--save page.html", "is named twice"),
        ("--save nowhere/x.json", "there is no directory"),
    ] {
        let ended = place.run(&format!("{line} {extra}")).with(2);
        assert!(ended.err.contains(words), "{}", ended.err);
        assert!(!ended.err.contains("[1/"), "{}", ended.err);
    }
    assert_eq!(page(), written);
}

#[test]
fn what_must_not_be_is_refused() {
    let (place, production, expected) = scene("refused");
    let line = format!("-pp {production} -t water_sys.info -d deltas -b 1.0.0");
    let ended = place
        .run(&format!(
            "test {line} -pt 'service={production} application_name=x' -pc {expected}"
        ))
        .with(3);
    assert!(ended.err.contains("production"), "{}", ended.err);
    let ended = place.run(&format!("test {line}")).with(2);
    assert!(ended.err.contains("-pc"), "{}", ended.err);
    // A test database that holds something else.
    let test = place.database("refused_test");
    execute(&test, "create table public.mine (id int)");
    place.run(&format!("test {line} -pt {test} -pc {expected}")).with(3);
    assert_eq!(
        ask(&test, "select pg_catalog.to_regclass('public.mine')::text"),
        "mine".replace("mine", "public.mine")
    );
    place
        .run(&format!("test {line} -pt {test} -pc {expected} --overwrite-test"))
        .with(0);
    // A query for the version that says nothing of use.
    place.write("pum.yaml", "version_query: delete from about\n");
    let ended = place
        .run(&format!(
            "test -pp {production} -pc {expected} -t water_sys.info -d deltas"
        ))
        .with(1);
    assert!(ended.err.contains("pum.yaml:1"), "{}", ended.err);
    assert_eq!(ask(&production, "select count(*)::text from public.about"), "1");
}

/// Which concerns are found, the library's tests try; here is who is told of them, and when.
#[test]
fn the_pre_flight_is_told_before_the_question() {
    let (place, production, expected) = scene("preflight");
    let test = place.database("preflight_test");
    place
        .run(&format!(
            "baseline -p {production} -t water_sys.info -d deltas -b 1.0.0"
        ))
        .with(0);
    let line = format!("test-and-upgrade -pp {production} -pt {test} -pc {expected} -t water_sys.info -d deltas");
    let ended = place.answer(&line, "n\n").with(0);
    let quiet = format!("Pre-flight of {production}: nothing in the way.\n");
    assert!(ended.out.contains(&quiet), "{}", ended.out);

    let dry_run = format!("upgrade -p {production} -t water_sys.info -d deltas --dry-run");
    let ended = place.run(&dry_run).with(0);
    assert!(
        ended.out.ends_with(&format!("\n{quiet}\nNothing was written.\n")),
        "{}",
        ended.out
    );

    execute(
        &production,
        "alter table public.pipe add constraint \"odd\u{1b}[31m\" check (id > 1) not valid",
    );
    execute(
        &expected,
        "alter table public.pipe add constraint \"odd\u{1b}[31m\" check (id > 1) not valid",
    );
    let told = format!(
        "Pre-flight of {production}: to know: 1.\n\nknow: the constraint \"odd\\x1b[31m\" of public.pipe is NOT VALID [constraint_not_valid]\n  effect: "
    );
    assert!(place.answer(&line, "n\n").with(0).out.contains(&told));
    assert!(place.run(&dry_run).with(0).out.contains(&told));
    let ended = place.run(&format!("{dry_run} --format json")).with(0);
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["preflight"]["concerns"][0]["code"], "constraint_not_valid");
    assert_eq!(json["preflight"]["schema"], "pum/preflight/1");

    // An upgrade tells what is in its way, and nothing that is only good to know.
    let mut dump = open(&production);
    dump.execute("set application_name = pg_dump; begin; select 1").unwrap();
    let ended = place.run(&dry_run.replace("--dry-run", "--format json")).with(0);
    assert!(
        ended.err.contains("a dump") && ended.err.contains("[running_dump]\n  effect: "),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("NOT VALID"), "{}", ended.err);
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["preflight"]["concerns"][0]["severity"], "delays");
    assert_eq!(json["dry_run"], false);
    // Nothing is due now, and nothing is looked at.
    let ended = place.run(&dry_run).with(0);
    assert!(!ended.out.contains("Pre-flight"), "{}", ended.out);
}

#[test]
fn an_upgrade_that_cannot_succeed_does_not_begin() {
    let (place, _, expected) = scene("refusal");
    let settings = [("wal_level", "replica"), ("max_wal_senders", "2")];
    let options = ServerOptions {
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..support::options()
    };
    let server = Server::start(&options, &Run::new()).unwrap();
    let target = server.create_database("refused").unwrap();
    let mut production = Connection::open(&target, &Run::new()).unwrap();
    production
        .execute("create table public.pipe (id int primary key); create table public.about (version text)")
        .unwrap();
    let name = target.name();
    place
        .run(&format!("baseline -p '{name}' -t water_sys.info -d deltas -b 1.0.0"))
        .with(0);
    production
        .execute("alter system set synchronous_standby_names = 'away'")
        .unwrap();
    production.execute("select pg_reload_conf()").unwrap();
    let there = |connection: &mut Connection| {
        let rows = connection.query("show synchronous_standby_names", &[]).unwrap();
        rows.value(0, 0) == Some("away")
    };
    while !there(&mut production) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let waits = "every COMMIT of the upgrade waits without end";
    let ended = place
        .run(&format!("upgrade -p '{name}' -t water_sys.info -d deltas"))
        .with(3);
    for text in [waits, "state: nothing was changed", "help: bring the standby back"] {
        assert!(ended.err.contains(text), "{text}: {}", ended.err);
    }
    let ended = place
        .answer(
            &format!("test-and-upgrade -pp '{name}' -pc {expected} -t water_sys.info -d deltas"),
            "y\n",
        )
        .with(3);
    assert!(
        ended
            .out
            .contains(": blocking: 1.\n\nblocks: synchronous_standby_names is 'away'"),
        "{}",
        ended.out
    );
    assert!(
        !ended.err.contains(PROMPT) && ended.err.contains(waits),
        "{}",
        ended.err
    );
    // A dry run shows it, and is none the worse.
    let ended = place
        .run(&format!("upgrade -p '{name}' -t water_sys.info -d deltas --dry-run"))
        .with(0);
    assert!(ended.out.contains("[no_synchronous_standby]"), "{}", ended.out);
    let rows = production
        .query("select count(*)::text from water_sys.info", &[])
        .unwrap();
    assert_eq!(rows.value(0, 0), Some("1"));
}
