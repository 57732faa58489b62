//! What the server as a whole is and does.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use pum::{Connection, ErrorKind, PreflightOptions, Run, Severity, plan, preflight};

use crate::support::pooler::{pgbouncer, pool};
use crate::support::standby::standby;
use crate::{Scene, codes, holds, one, start};

#[test]
fn a_standby_is_refused_and_looked_at() {
    let mut server = start(&[("wal_level", "replica"), ("hot_standby", "on")]);
    let scene = Scene::of(server.create_database("standby").unwrap());
    scene.execute("checkpoint");
    let signal = server.socket_directory().join("data/standby.signal");
    std::fs::write(&signal, "").unwrap();
    std::fs::set_permissions(&signal, std::fs::Permissions::from_mode(0o666)).unwrap();
    server.crash_and_restart().unwrap();
    let found = scene.look();
    assert_eq!(codes(&found), ["standby"]);
    assert_eq!(found.not_seen, []);
    assert_eq!(one(&found, "standby").severity, Severity::Blocks);
    let error = found.refusal().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    holds(error.message(), &["is a standby server, which takes no changes"]);
    holds(error.hint().unwrap(), &["primary"]);
    assert_eq!(error.state(), Some("nothing was changed"));
}

#[test]
fn synchronous_commits_slots_and_lag_are_told() {
    let server = start(&[
        ("wal_level", "replica"),
        ("max_wal_senders", "5"),
        ("max_wal_size", "2GB"),
    ]);
    let scene = Scene::of(server.create_database("replicas").unwrap());
    let plain = scene.plain("replicas");
    let as_plain = || scene.look_at(&plain, &PreflightOptions::new(scene.upgrade()));
    let synchronous = |names: &str| {
        let mut connection = scene.open();
        connection
            .execute(&format!("alter system set synchronous_standby_names = '{names}'"))
            .unwrap();
        connection.execute("select pg_reload_conf()").unwrap();
        while scene.ask("show synchronous_standby_names") != names {
            std::thread::sleep(Duration::from_millis(20));
        }
    };

    scene.execute("select pg_create_physical_replication_slot('left_behind', true)");
    let found = scene.look();
    assert_eq!(codes(&found), ["inactive_slot"]);
    let slot = one(&found, "inactive_slot");
    holds(
        &slot.what,
        &[
            "nobody reads the physical replication slot 'left_behind'; it keeps ",
            " of WAL",
        ],
    );
    let (_, sql) = slot.advice.split_once(": ").unwrap();
    scene.execute(sql);
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());

    for names in ["away", "FIRST 2 (away, further)", "ANY 1 (away)"] {
        synchronous(names);
        // There is none at all, which everybody may know.
        for found in [scene.look(), as_plain()] {
            let concern = one(&found, "no_synchronous_standby");
            assert_eq!((concern.severity, concern.refuses), (Severity::Blocks, true));
            let wanted = if names.contains('2') { "wants 2" } else { "wants 1" };
            holds(&concern.what, &[wanted, names, "connected are 0"]);
            holds(
                found.refusal().unwrap().message(),
                &["every COMMIT of the upgrade waits without end"],
            );
        }
    }
    synchronous("near");
    let (running, replica) = standby(&server, "near");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while scene.ask("select count(*)::text from pg_stat_replication where sync_state = 'sync'") != "1" {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
    // Who may not see the replicas says so.
    let hidden: Vec<String> = as_plain().not_seen.into_iter().map(|hidden| hidden.what).collect();
    holds(
        &hidden.join("\n"),
        &["whether the synchronous standbys", "how far 1 replica is behind"],
    );
    synchronous("FIRST 2 (near, away)");
    holds(
        &one(&scene.look(), "no_synchronous_standby").what,
        &["wants 2", "connected are 1"],
    );
    synchronous("");

    let mut paused = Connection::open(&replica, &Run::new()).unwrap();
    paused.execute("select pg_wal_replay_pause()").unwrap();
    scene.execute("create table water.much as select i, repeat('x', 900) from generate_series(1, 25000) i");
    let found = scene.wait_for("replica_lag");
    let lag = one(&found, "replica_lag");
    assert_eq!(lag.severity, Severity::Know);
    holds(&lag.what, &["the replica near (async) is ", " MB of WAL behind"]);
    holds(&lag.effect, &["sees the old structure for longer"]);
    drop((paused, running));
}

#[test]
fn an_archive_that_fails_is_told() {
    let server = start(&[
        ("wal_level", "replica"),
        ("archive_mode", "on"),
        ("archive_command", "false"),
    ]);
    let scene = Scene::of(server.create_database("archive").unwrap());
    scene.execute("select pg_switch_wal()");
    let found = scene.wait_for("archiver_failing");
    let concern = one(&found, "archiver_failing");
    assert_eq!(concern.severity, Severity::Know);
    holds(
        &concern.what,
        &["the last failure was at 20", "0000", "the last success never"],
    );
    holds(&concern.effect, &["stays in pg_wal"]);
}

#[test]
fn vacuums_against_wraparound_are_told() {
    let server = start(&[("autovacuum_freeze_max_age", "100000"), ("autovacuum", "off")]);
    let scene = Scene::of(server.create_database("wraparound").unwrap());
    scene.execute(
        "create table water.\"Old\" as select i, repeat('x', 500) from generate_series(1, 20000) i; \
         alter table water.\"Old\" set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)",
    );
    // A subtransaction that writes takes a number.
    let burn = |count: u32| {
        scene.execute(&format!(
            "create temp table burnt (); do $$ begin for i in 1..{count} loop \
             begin insert into burnt default values; exception when division_by_zero then null; end; \
             end loop; end $$"
        ));
    };
    burn(96_000);
    // What is older by the time of the server's creation counts less.
    let found = scene.look();
    let near = one(&found, "wraparound_near");
    assert_eq!(near.severity, Severity::Know);
    holds(&near.what, &["water.\"Old\"", "water.pipe", "96 % of the age"]);
    let sql = near.advice.strip_prefix("freeze before the upgrade: ").unwrap();
    holds(sql, &["VACUUM (FREEZE) "]);

    burn(6_000);
    assert_eq!(one(&scene.look(), "wraparound_near").severity, Severity::Delays);
    scene.execute("alter system set autovacuum_naptime = '1s'");
    scene.execute("alter system set autovacuum = on");
    scene.execute("select pg_reload_conf()");
    let found = scene.wait_for("wraparound_vacuum");
    let concern = one(&found, "wraparound_vacuum");
    assert_eq!(concern.severity, Severity::Delays);
    holds(
        &concern.what,
        &[
            "autovacuum process ",
            " freezes water.\"Old\" to prevent wraparound, for 00:0",
        ],
    );
    holds(&concern.effect, &["does not give way"]);
}

#[test]
fn a_pooler_is_told_and_refused_where_it_shares_sessions() {
    let Some(program) = pgbouncer() else { return };
    let server = start(&[]);
    let scene = Scene::of(server.create_database("pooled").unwrap());
    let base = server.socket_directory();
    let at = |port: &str| scene.target.clone().with("port", port);

    let _session = pool(&program, base, "session", "6001", "");
    let options = PreflightOptions::new(scene.upgrade());
    let plan = plan(&scene.target, &options.upgrade, &Run::new()).unwrap();
    let found = scene.look_at(&at("6001"), &options);
    assert_eq!(codes(&found), ["pooler"]);
    let concern = one(&found, "pooler");
    assert_eq!(concern.severity, Severity::Know);
    holds(&concern.what, &["a pooler stands between pum and the server"]);
    holds(&concern.effect, &["up to 3 sessions"]);
    assert!(found.refusal().is_none());

    // Where another session has to wait, this one has its process still.
    let _narrow = pool(&program, base, "session", "6004", "default_pool_size = 1\n");
    let mut narrow = Connection::open(&at("6004"), &Run::new()).unwrap();
    assert_eq!(
        narrow.query("show search_path", &[]).unwrap().value(0, 0),
        Some("pg_catalog, pg_temp")
    );

    // Of several processes that are free some poolers give the one that rested longest.
    for (mode, port, more) in [
        ("transaction", "6002", ""),
        ("statement", "6003", ""),
        ("transaction", "6005", "default_pool_size = 1\n"),
        ("transaction", "6006", "min_pool_size = 2\nserver_round_robin = 1\n"),
    ] {
        let _shared = pool(&program, base, mode, port, more);
        for _ in 0..3 {
            let error = preflight(&at(port), &plan, &options, &Run::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            holds(error.message(), &["hands each transaction to another process"]);
            holds(
                error.hint().unwrap(),
                &["(it listens on port 5432)", "pool_mode = session"],
            );
            assert_eq!(error.state(), Some("nothing was changed"));
        }
        let wait = if more.starts_with("min") { 1500 } else { 0 };
        std::thread::sleep(Duration::from_millis(wait));
        let error = Connection::open_for_scripts(&at(port), &Run::new()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}
