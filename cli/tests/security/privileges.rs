//! Each command as a role that has what SECURITY.md says and nothing more, and without each of it.

use pum::Target;

use crate::support::{Ended, Place, TABLE, database, empty_database, sql};

/// A role that may connect, and nothing else.
fn role(name: &str) -> &str {
    sql(
        &crate::support::server().target("postgres"),
        &format!("drop role if exists {name};\ncreate role {name} login;\nselect ''"),
    );
    name
}

fn execute(target: &Target, statements: &str) {
    sql(target, &format!("{statements};\nselect ''"));
}

/// Tries a command as a role without each of the grants, which it must refuse with a sentence, and then with all.
fn needs(target: &Target, role: &str, grants: &[&str], run: &dyn Fn(&Target) -> Ended) {
    let own = target.clone().with("user", role);
    let database = sql(target, "select quote_ident(current_database())");
    let filled = |grant: &str| grant.replace("ROLE", role).replace("DATABASE_NAME", &database);
    for left_out in grants {
        for grant in grants.iter().filter(|grant| *grant != left_out) {
            execute(target, &filled(grant));
        }
        let ended = run(&own);
        assert_ne!(ended.code, 0, "it did without {left_out}: {ended:#?}");
        assert!(ended.stderr.contains("error: "), "{ended:#?}");
        execute(target, &format!("drop owned by {role}"));
    }
    for grant in grants {
        execute(target, &filled(grant));
    }
    run(&own).succeeds();
    execute(target, &format!("drop owned by {role}"));
}

#[test]
fn check_and_snapshot_need_to_connect_and_say_what_they_do_not_see() {
    let target = empty_database("least_check");
    let role = role("least_check");
    execute(
        &target,
        "create schema hidden; create table hidden.t (a int check (a > 0)); revoke all on schema hidden from public;
         create foreign data wrapper w; create server s foreign data wrapper w;
         create user mapping for postgres server s options (user 'gis', password 'x')",
    );
    let own = target.clone().with("user", role);
    let place = Place::new();
    let words = ["check", "-p1", &target.name(), "-p2", &own.name()];
    let ended = place.pum(&words);
    assert_eq!(ended.code, 1, "{ended:#?}");
    let said = "warning: not compared, because the role on the right side may not read it: options of user mapping s: postgres";
    assert!(ended.stdout.contains(said), "{ended:#?}");
    assert!(!ended.stdout.contains("on the left side"), "{ended:#?}");
    // What neither side may see would look the same.
    let ended = place.pum(&["check", "-p1", &own.name(), "-p2", &own.name()]).succeeds();
    for side in ["left", "right"] {
        let said = format!("the role on the {side} side may not read it: options of user mapping s: postgres");
        assert!(ended.stdout.contains(&said), "{ended:#?}");
    }
    place.pum(&["snapshot", "-p", &own.name(), "-o", "own.json"]).succeeds();
    let snapshot = std::fs::read_to_string(place.path("own.json")).unwrap();
    assert!(
        snapshot.contains("hidden") && snapshot.contains("(not readable)"),
        "{snapshot}"
    );
    // Rows are another matter.
    let data = ["check", "-p1", &own.name(), "-p2", &own.name(), "--data", "hidden.t"];
    place.pum(&data).fails(2).says(&["hidden.t"]);
}

#[test]
fn info_and_a_dry_run_need_to_read_the_table() {
    let target = database("least_info");
    let role = role("least_info");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let grants = [
        "grant usage on schema water_sys to ROLE",
        "grant select on water_sys.upgrades to ROLE",
    ];
    for words in [&["info"][..], &["upgrade", "--dry-run"]] {
        needs(&target, role, &grants, &|own| {
            place.pum(&[words, &["-p", &own.name(), "-t", TABLE, "-d", "deltas"]].concat())
        });
    }
}

#[test]
fn a_baseline_needs_to_create_or_to_write() {
    let role = role("least_baseline");
    let place = Place::new();
    let baseline =
        |own: &Target, version: &str| place.pum(&["baseline", "-p", &own.name(), "-t", TABLE, "-b", version]);
    // Where there is nothing.
    let target = empty_database("least_baseline");
    needs(
        &target,
        role,
        &["grant create on database DATABASE_NAME to ROLE"],
        &|own| baseline(own, "1.0.0"),
    );
    // Where the schema is there.
    let target = empty_database("least_baseline");
    execute(&target, "create schema water_sys");
    let grants = ["grant create, usage on schema water_sys to ROLE"];
    needs(&target, role, &grants, &|own| baseline(own, "1.0.0"));
    // Where the table is.
    let target = database("least_baseline");
    let grants = [
        "grant usage on schema water_sys to ROLE",
        "grant select on water_sys.upgrades to ROLE",
        "grant insert on water_sys.upgrades to ROLE",
        "grant usage on sequence water_sys.upgrades_id_seq to ROLE",
    ];
    needs(&target, role, &grants, &|own| baseline(own, "1.0.1"));
}

#[test]
fn an_upgrade_needs_the_table_and_what_its_deltas_need() {
    let role = role("least_upgrade");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "alter table town.pipe add column size int;")]);
    let grants = [
        "grant usage on schema water_sys to ROLE",
        "grant select on water_sys.upgrades to ROLE",
        "grant insert on water_sys.upgrades to ROLE",
        "grant update on water_sys.upgrades to ROLE",
        "grant usage on sequence water_sys.upgrades_id_seq to ROLE",
        "alter table town.pipe owner to ROLE",
        "grant usage on schema town to ROLE",
    ];
    let target = database("least_upgrade");
    let own = target.clone().with("user", role);
    let scene = || {
        execute(
            &target,
            "drop schema if exists town cascade; create schema town; create table town.pipe (id int)",
        )
    };
    for left_out in grants {
        scene();
        for grant in grants.iter().filter(|grant| **grant != left_out) {
            execute(&target, &grant.replace("ROLE", role));
        }
        let ended = place.upgrade(&own, &[]);
        assert_ne!(ended.code, 0, "it did without {left_out}: {ended:#?}");
        assert!(ended.stderr.contains("error: "), "{ended:#?}");
        assert_eq!(
            sql(&target, "select count(*) from water_sys.upgrades"),
            "1",
            "{left_out}"
        );
        execute(&target, &format!("drop owned by {role}"));
    }
    scene();
    for grant in grants {
        execute(&target, &grant.replace("ROLE", role));
    }
    place.upgrade(&own, &[]).succeeds();
    execute(&target, &format!("drop owned by {role}"));
}

#[test]
fn a_dump_and_a_rehearsal_need_to_read_and_a_restore_to_create() {
    let role = role("least_dump");
    let target = database("least_dump");
    execute(
        &target,
        "create schema town; create table town.pipe (id serial primary key); insert into town.pipe default values",
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "alter table town.pipe add column size int;")]);
    place.write(
        "create.sql",
        "create schema town; create table town.pipe (id serial primary key, size int);",
    );
    place.write("pum.yaml", "expected: {sql: [create.sql]}\n");
    let grants = [
        "grant usage on schema town, water_sys to ROLE",
        "grant select on all tables in schema town, water_sys to ROLE",
        "grant select on all sequences in schema town, water_sys to ROLE",
    ];
    needs(&target, role, &grants, &|own| {
        place.pum(&["dump", "-p", &own.name(), "least.backup"])
    });
    needs(&target, role, &grants, &|own| {
        place.pum(&["test", "-pp", &own.name(), "-t", TABLE, "-d", "deltas"])
    });
    let empty = empty_database("least_restore");
    needs(
        &empty,
        role,
        &["grant create on database DATABASE_NAME to ROLE"],
        &|own| place.pum(&["restore", "-p", &own.name(), "least.backup"]),
    );
}
