//! What the database holds.

use std::os::unix::fs::PermissionsExt;

use pum::{Connection, Run, Severity};

use crate::{Scene, codes, holds, one, start, support};

#[test]
fn indexes_and_constraints_that_do_not_hold_are_told() {
    let scene = Scene::new("validity");
    scene
        .open()
        .execute("create unique index concurrently \"Twice\" on water.pipe (size)")
        .unwrap_err();
    scene.execute("alter table water.pipe add constraint \"Big\" check (size > 100) not valid");
    let found = scene.look();
    assert_eq!(codes(&found), ["invalid_index", "constraint_not_valid"]);
    let index = one(&found, "invalid_index");
    holds(&index.what, &["the index water.\"Twice\" of water.pipe is not "]);
    holds(&index.effect, &["IF NOT EXISTS", "duplicates"]);
    let constraint = one(&found, "constraint_not_valid");
    assert_eq!(constraint.what, "the constraint \"Big\" of water.pipe is NOT VALID");
    // What the advice says is what helps.
    let (_, sql) = index.advice.rsplit_once("; or ").unwrap();
    scene.execute(sql);
    let (sql, _) = constraint.advice.split_once(", which").unwrap();
    scene.execute("update water.pipe set size = 101");
    scene.execute(sql);
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());

    scene.execute(
        "create table water.parts (a int) partition by range (a); create table water.part partition of water.parts \
         for values from (1) to (2); create index parts_index on only water.parts (a)",
    );
    holds(
        &one(&scene.look(), "invalid_index").advice,
        &["ALTER INDEX water.parts_index ATTACH PARTITION"],
    );
}

#[test]
fn a_constraint_that_is_not_enforced_is_none() {
    let scene = Scene::new("enforced");
    if scene.open().server_version().major() < 18 {
        return;
    }
    scene.execute("alter table water.pipe add constraint c check (size > 100) not enforced");
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn event_triggers_and_publications_are_told() {
    let scene = Scene::new("triggers");
    scene.execute(
        "create function water.note() returns event_trigger language plpgsql as 'begin end'; \
         create event trigger noted on ddl_command_end when tag in ('ALTER TABLE') execute function water.note(); \
         create event trigger silent on ddl_command_end execute function water.note(); \
         alter event trigger silent disable; \
         create table water.a (); create publication all_out for table water.a, water.pipe; create publication none",
    );
    let found = scene.look();
    assert_eq!(codes(&found), ["publication", "event_trigger"]);
    let trigger = one(&found, "event_trigger");
    assert_eq!(
        trigger.what,
        "the event trigger noted of postgres calls water.note() on ddl_command_end for ALTER TABLE"
    );
    holds(&trigger.advice, &["ALTER EVENT TRIGGER noted DISABLE"]);
    let publication = one(&found, "publication");
    assert_eq!(
        publication.what,
        "the publication all_out publishes water.pipe (named in the deltas), water.a"
    );
    holds(&publication.effect, &["subscribers get rows and no structure"]);
}

#[test]
fn settings_that_reach_the_deltas_are_told_and_no_others() {
    let scene = Scene::new("settings");
    let database = scene.database();
    for setting in [
        "statement_timeout = '5min'",
        "default_transaction_read_only = on",
        "lock_timeout = '1s'",
    ] {
        scene.execute(&format!(
            "set transaction read write; alter database \"{database}\" set {setting}"
        ));
    }
    // pum sets its own for SQL deltas.
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
    scene.delta("delta_1.1.0_more.py", "");
    let found = scene.look();
    assert_eq!(codes(&found), ["python_read_only", "python_timeout"]);
    holds(
        &one(&found, "python_timeout").what,
        &["sessions of the role postgres begin with statement_timeout = 300000ms"],
    );
    holds(&one(&found, "python_read_only").effect, &["SQL deltas can"]);
    scene.execute(&format!(
        "set transaction read write; alter database \"{database}\" set session_replication_role = replica"
    ));
    let found = scene.look();
    let concern = one(&found, "replica_role");
    holds(&concern.effect, &["foreign keys do not fire"]);
    assert_eq!(concern.severity, Severity::Know);
}

#[test]
fn a_table_that_cannot_be_written_anew_is_told() {
    let server = start(&[]);
    let scene = Scene::of(server.create_database("disk").unwrap());
    let file = scene.ask("select pg_relation_filepath('water.pipe')");
    // A file with a hole takes no space, and the server counts what it could hold: beyond any disk of a test.
    let path = server.socket_directory().join("data").join(format!("{file}.1"));
    let hole = std::fs::File::create(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    hole.set_len(8 << 40).unwrap();
    let found = scene.look();
    let concern = one(&found, "disk_space");
    assert_eq!(concern.severity, Severity::Know);
    holds(
        &concern.what,
        &[
            "are free where the server's files are",
            "its largest: water.pipe 8192 GB",
        ],
    );
    holds(&concern.effect, &["a delta that writes water.pipe anew"]);
    std::fs::remove_file(path).unwrap();
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn who_holds_a_table_alone_is_not_waited_for() {
    let scene = Scene::new("alone");
    let mut other = scene.open();
    other
        .execute("begin; lock water.pipe in access exclusive mode")
        .unwrap();
    let begun = std::time::Instant::now();
    let found = scene.look_closely();
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    holds(
        &one(&found, "idle_in_transaction").what,
        &["water.pipe (ACCESS EXCLUSIVE"],
    );
    assert_eq!(found.not_seen, []);
    // Where even the catalog is locked, the rest is looked at all the same.
    other.execute("lock pg_event_trigger in access exclusive mode").unwrap();
    let found = scene.look_closely();
    one(&found, "idle_in_transaction");
    let [hidden] = found.not_seen.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (hidden.what.as_str(), hidden.because.as_str()),
        ("event triggers", "canceling statement due to lock timeout")
    );
}

#[test]
fn another_version_of_a_collation_is_told_until_the_indexes_are_built_again() {
    let postgres = support::server().target("postgres");
    let mut maintenance = Connection::open(&postgres, &Run::new()).unwrap();
    if maintenance.server_version().major() < 15 {
        return;
    }
    let made = maintenance
        .execute("create database collated template template0 locale_provider icu icu_locale 'de' locale 'C'");
    match made {
        Err(error) if support::is_not_built_in(&error) => return,
        made => made.unwrap(),
    }
    let scene = Scene::of(support::server().target("collated"));
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
    // As it is when the library is updated below a server that has run for years.
    scene.execute(
        "create collation water.swedish (provider = icu, locale = 'sv'); create collation water.unused (provider = icu, locale = 'fi'); \
         create table water.street (name text collate water.swedish primary key, note text unique); \
         update pg_database set datcollversion = '1.2.3' where datname = 'collated'; \
         update pg_collation set collversion = '4.5.6' where collname in ('swedish', 'unused')",
    );
    let found = scene.look();
    assert_eq!(codes(&found), ["collation_version", "collation_version"], "{found:#?}");
    let [collation, database] = found.concerns.as_slice() else {
        panic!("{found:#?}")
    };
    holds(&database.what, &["the database collated", "1.2.3"]);
    holds(&collation.what, &["the collation water.swedish", "4.5.6"]);
    holds(&database.effect, &["does not find every row", "duplicates"]);
    // What the advice says is what helps.
    let (sql, refresh) = database.advice.split_once("; then ").unwrap();
    scene.execute(sql.split_once(": ").unwrap().1);
    scene.execute(refresh);
    scene.execute(collation.advice.split_once("; then ").unwrap().1);
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}
