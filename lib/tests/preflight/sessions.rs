//! What other sessions do.

use std::time::Duration;

use pum::{PreflightOptions, Run, Severity};

use crate::{Scene, codes, holds, one, start};

#[test]
fn an_idle_transaction_is_told_with_what_it_locks() {
    let scene = Scene::new("idle");
    scene.execute("create table water.\"We\"\"ird\tname\" (a int); create table water.valve (id int)");
    let mut other = pum::Connection::open_for_scripts(
        &scene.target.clone().with("application_name", "a\u{1b}[31mb"),
        &Run::new(),
    )
    .unwrap();
    other
        .execute("begin; select * from water.\"We\"\"ird\tname\"; update water.pipe set size = 2 where id = 1")
        .unwrap();
    let found = scene.look_closely();
    let concern = one(&found, "idle_in_transaction");
    let pid = other.backend_pid().to_string();
    assert_eq!(concern.severity, Severity::Delays);
    // The relation that a delta names comes first.
    holds(
        &concern.what,
        &[
            &format!("process {pid} of user postgres"),
            "in its transaction for 00:00:0",
            ", idle; it holds water.pipe (ROW EXCLUSIVE, named in the deltas), water.\"We\"\"ird\tname\" (ACCESS SHARE)",
            "its last statement: begin; select",
        ],
    );
    holds(
        &concern.effect,
        &["a delta that changes one of them waits", "after 5 s", "10 times"],
    );
    let options = pum::UpgradeOptions {
        lock_timeout: Duration::ZERO,
        ..scene.upgrade()
    };
    let options = PreflightOptions {
        long_transaction: Duration::ZERO,
        ..PreflightOptions::new(options)
    };
    holds(
        &one(&scene.look_at(&scene.target, &options), "idle_in_transaction").effect,
        &["waits without end"],
    );
    // The advice works.
    let (_, sql) = concern.advice.split_once(": ").unwrap();
    assert_eq!(sql, format!("SELECT pg_terminate_backend({pid})"));
    scene.execute(sql);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(codes(&scene.look_closely()), Vec::<&str>::new());
}

#[test]
fn no_password_of_a_statement_is_told() {
    let scene = Scene::new("secret");
    let mut other = scene.open();
    other.execute("begin").unwrap();
    other
        .execute("create role water_secret password 'gulp-3141'; alter role water_secret with PASSWORD 'gulp-2718'")
        .unwrap();
    let found = scene.look_closely();
    let concern = one(&found, "idle_in_transaction");
    holds(
        &concern.what,
        &["it holds no lock on a relation", "create role water_secret passw..."],
    );
    assert!(!format!("{found:?}").contains("gulp"), "{found:#?}");
    assert_eq!(concern.severity, Severity::Know);
}

#[test]
fn a_transaction_that_works_is_told_from_a_dump() {
    let scene = Scene::new("active");
    let busy = scene.busy("begin; select count(*) from water.pipe; select pg_sleep(60)");
    std::thread::sleep(Duration::from_millis(500));
    let found = scene.look_closely();
    let concern = one(&found, "long_transaction");
    holds(
        &concern.what,
        &[
            "(application pum)",
            "it holds water.pipe (ACCESS SHARE, named in the deltas)",
            "it runs: begin; select count",
        ],
    );
    holds(&concern.effect, &["needs ACCESS EXCLUSIVE on one of them"]);
    let (_, sql) = concern.advice.split_once(": ").unwrap();
    assert!(sql.starts_with("SELECT pg_cancel_backend("), "{sql}");
    scene.execute(sql);
    busy.join().unwrap();

    // By its name, whatever it has locked and however young it is.
    let named = scene.target.clone().with("application_name", "pg_dump");
    let mut dump = pum::Connection::open_for_scripts(&named, &Run::new()).unwrap();
    dump.execute("begin isolation level repeatable read; select count(*) from water.pipe")
        .unwrap();
    let concern = one(&scene.look(), "running_dump").clone();
    holds(
        &concern.what,
        &["(application pg_dump), a dump, in its transaction for", "water.pipe"],
    );
    assert_eq!(concern.severity, Severity::Delays);
    drop(dump);

    // By what it does.
    for number in 0..12 {
        scene.execute(&format!("create table water.t{number} ()"));
    }
    let mut dump = scene.open();
    dump.execute("begin isolation level repeatable read; select * from water.pipe")
        .unwrap();
    for number in 0..12 {
        dump.execute(&format!("lock water.t{number} in access share mode"))
            .unwrap();
    }
    holds(
        &one(&scene.look(), "running_dump").what,
        &["a dump", "water.pipe (ACCESS SHARE, named", " and 8 more"],
    );
    dump.execute(
        "commit; begin; update water.pipe set size = 3; lock water.t0, water.t1, water.t2, water.t3, water.t4, \
                  water.t5, water.t6, water.t7, water.t8, water.t9 in access share mode",
    )
    .unwrap();
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn a_snapshot_matters_where_an_index_is_built_concurrently() {
    let scene = Scene::new("snapshot");
    let mut other = scene.open();
    other
        .execute("begin isolation level repeatable read; select 1")
        .unwrap();
    assert_eq!(
        one(&scene.look_closely(), "idle_in_transaction").severity,
        Severity::Know
    );
    scene.delta(
        "delta_1.2.0_index.sql",
        "-- pum: no-transaction\ncreate index concurrently on water.pipe (size)",
    );
    let found = scene.look_closely();
    let concern = one(&found, "idle_in_transaction");
    assert_eq!(concern.severity, Severity::Delays);
    holds(&concern.effect, &["CREATE INDEX CONCURRENTLY"]);
    other.execute("update water.pipe set size = 1").unwrap();
    holds(
        &one(&scene.look_closely(), "idle_in_transaction").effect,
        &[
            "10 times in all",
            "a delta without a transaction stops it the first time",
        ],
    );
}

#[test]
fn what_a_plain_role_may_not_see_is_said() {
    let scene = Scene::new("hidden");
    let mut other = scene.open();
    other.execute("begin; update water.pipe set size = 2").unwrap();
    let plain = scene.plain("hidden");
    let options = PreflightOptions {
        long_transaction: Duration::ZERO,
        ..PreflightOptions::new(scene.upgrade())
    };
    let found = scene.look_at(&plain, &options);
    assert_eq!(codes(&found), Vec::<&str>::new());
    let hidden = found
        .not_seen
        .iter()
        .find(|hidden| hidden.what.contains("how long"))
        .unwrap();
    assert_eq!(
        hidden.what,
        format!(
            "how long 1 session of other roles is in a transaction, and what it runs (process {}); locked: \
             water.pipe (ROW EXCLUSIVE, named in the deltas)",
            other.backend_pid()
        )
    );
    let role = plain.name();
    let (_, role) = role.rsplit_once("user=").unwrap();
    holds(&hidden.because, &[role.split(' ').next().unwrap(), "pg_read_all_stats"]);
    scene.execute(hidden.advice.as_deref().unwrap());
    let found = scene.look_at(&plain, &options);
    holds(&one(&found, "idle_in_transaction").what, &["water.pipe (ROW EXCLUSIVE"]);
}

#[test]
fn who_is_not_tracked_is_said() {
    let scene = Scene::new("untracked");
    let mut other = scene.open();
    other.execute("set track_activities = off").unwrap();
    other.execute("begin; update water.pipe set size = 2").unwrap();
    let found = scene.look_closely();
    assert_eq!(codes(&found), Vec::<&str>::new());
    let [hidden] = found.not_seen.as_slice() else {
        panic!("{found:#?}")
    };
    holds(&hidden.what, &["locked: water.pipe (ROW EXCLUSIVE"]);
    assert_eq!(hidden.because, "they have track_activities = off");
}

#[test]
fn another_run_is_seen() {
    let scene = Scene::new("run");
    scene.delta("delta_1.0.1_slow.sql", "select pg_sleep(3)");
    let (target, options) = (scene.target.clone(), scene.upgrade());
    let running = std::thread::spawn(move || pum::upgrade(&target, &options, None, &Run::new()));
    let found = scene.wait_for("other_run");
    let concern = one(&found, "other_run");
    assert_eq!(concern.severity, Severity::Delays);
    holds(&concern.what, &["another run of pum", "of user postgres, since 20"]);
    holds(&concern.effect, &["does not begin before its end"]);
    assert!(found.refusal().is_none());
    running.join().unwrap().unwrap();
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn a_prepared_transaction_is_told_with_what_it_locks() {
    let server = start(&[("max_prepared_transactions", "5")]);
    let scene = Scene::of(server.create_database("prepared").unwrap());
    scene.execute("begin; update water.pipe set size = 3; prepare transaction 'it''s here'");
    let found = scene.look();
    let concern = one(&found, "prepared_transaction");
    assert_eq!(concern.severity, Severity::Delays);
    holds(
        &concern.what,
        &[
            "'it''s here' of postgres, for 00:00:0",
            "it holds water.pipe (ROW EXCLUSIVE, named in the deltas)",
        ],
    );
    holds(&concern.effect, &["after 5 s"]);
    holds(&concern.advice, &["COMMIT PREPARED 'it''s here'", "not even a restart"]);
    scene.execute("rollback prepared 'it''s here'");
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn commands_at_work_are_told() {
    let scene = Scene::new("commands");
    scene.execute(
        "create function water.slow(int) returns int language plpgsql immutable as \
         $$ begin perform pg_sleep(0.02); return $1; end $$; \
         create table water.big as select i, repeat('x', 500) as filler from generate_series(1, 20000) i; \
         create table water.small as select i from generate_series(1, 500) i; \
         alter table water.big set (autovacuum_enabled = off)",
    );
    scene.execute(
        "create table water.packed as select 500 as i from generate_series(1, 500); \
         create index packed_slow on water.packed (water.slow(i)) where i < 500; update water.packed set i = i - 500",
    );
    let (server, mut commands) = (
        scene.open().server_version().major(),
        vec![
            (
                "create index slow_index on water.small (water.slow(i))",
                ["CREATE INDEX on water.small: process ", ", building index"],
            ),
            (
                "vacuum full water.packed",
                ["VACUUM FULL on water.packed: process ", ", rebuilding index"],
            ),
        ],
    );
    if server >= 14 {
        commands.push((
            "copy water.small from program 'echo 1; sleep 30'",
            ["COPY FROM water.small: process ", " so far"],
        ));
    }
    for (sql, parts) in commands {
        let busy = scene.busy(sql);
        let found = scene.wait_for("running_command");
        let concern = one(&found, "running_command");
        assert_eq!(concern.severity, Severity::Delays);
        holds(&concern.what, &parts);
        holds(&concern.what, &["of user postgres (application pum), for 00:00:"]);
        holds(&concern.effect, &["a delta that changes this table waits"]);
        let (_, sql) = concern.advice.split_once(": ").unwrap();
        scene.execute(sql);
        busy.join().unwrap();
    }
    let mut vacuum = scene.open();
    vacuum.execute("set vacuum_cost_delay = 50").unwrap();
    vacuum.execute("set vacuum_cost_limit = 1").unwrap();
    let pid = vacuum.backend_pid();
    let busy = std::thread::spawn(move || vacuum.execute("vacuum water.big").is_err());
    let found = scene.wait_for("running_command");
    holds(
        &one(&found, "running_command").what,
        &[&format!("VACUUM on water.big: process {pid}"), "scanning heap"],
    );
    scene.execute(&format!("select pg_cancel_backend({pid})"));
    assert!(busy.join().unwrap());
}
