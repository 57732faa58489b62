//! Servers that crash, wait, fail over, are several, or have no room.

use std::time::Duration;

use pum::{ErrorKind, Run, Server, ServerOptions, Target, UpgradeOptions};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::standby::standby;
use crate::{Case, ask, execute, holds, support, told, until};

/// A server of its own, with settings.
fn start(settings: &[(&str, &str)]) -> Server {
    let options = ServerOptions {
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..support::options()
    };
    Server::start(&options, &Run::new()).unwrap()
}

const REPLICATES: [(&str, &str); 2] = [("wal_level", "replica"), ("max_wal_senders", "5")];

#[test]
fn what_was_said_to_be_applied_outlives_a_crash() {
    // Without synchronous_commit the server tells of a COMMIT that only the next round of the WAL writer would keep.
    let mut server = start(&[("synchronous_commit", "off"), ("wal_writer_delay", "10s")]);
    let case = Case::of(server.create_database("crash").unwrap());
    case.delta("create table public.a ();");
    case.write(
        "delta_1.2.0_b.sql",
        "-- pum: no-transaction\ncreate table public.b (i int);\n",
    );
    assert_eq!(case.upgrade().unwrap().len(), 2);
    server.crash_and_restart().unwrap();
    assert_eq!(case.rows(), "1.1.0 a t done; 1.2.0 b t done");
    assert!(case.has("public.a") && case.has("public.b"));
}

/// Ends whoever waits for a synchronous standby, by this function, once.
fn while_it_waits(target: &Target, function: &str) -> std::thread::JoinHandle<()> {
    let target = target.clone();
    let sql = format!(
        "select coalesce(bool_or({function}(pid)), false)::text from pg_stat_activity where wait_event = 'SyncRep'"
    );
    std::thread::spawn(move || until(&target, &sql))
}

#[test]
fn a_commit_that_waits_for_a_standby_is_told_as_what_it_is() {
    let server = start(&REPLICATES);
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        let case = Case::of(server.create_database(&format!("waits_{function}")).unwrap());
        case.delta("create table public.a ();");
        let postgres = server.target("postgres");
        execute(&postgres, "alter system set synchronous_standby_names = 'nobody'");
        execute(&postgres, "select pg_reload_conf()");
        until(
            &postgres,
            "select (current_setting('synchronous_standby_names') = 'nobody')::text",
        );
        let ending = while_it_waits(&postgres, function);
        let outcome = case.upgrade();
        ending.join().unwrap();
        execute(&postgres, "alter system reset synchronous_standby_names");
        execute(&postgres, "select pg_reload_conf()");
        // It is committed here in both cases, and the run knows.
        assert_eq!(outcome.unwrap().len(), 1, "{function}");
        assert_eq!(case.rows(), "1.1.0 a t done");
        if function == "pg_cancel_backend" {
            assert!(case.heard("WARNING") && case.heard("might not have been replicated to the standby"));
        } else {
            assert!(case.heard("the connection was lost in COMMIT"));
        }
    }
}

/// A name that leads to two servers, each with a database of that name.
#[test]
fn a_name_that_leads_to_two_servers_changes_neither() {
    let (one, other) = (start(&[]), start(&[]));
    let first = Case::of(one.create_database("twin").unwrap());
    let second = Case::of(other.create_database("twin").unwrap());
    let hosts = [one.socket_directory(), other.socket_directory()].map(|path| path.display().to_string());
    let both = first.target.clone().with("host", &hosts.join(","));
    let socket = one.socket_directory().join(".s.PGSQL.5432");
    let away = one.socket_directory().join("away");
    first.delta("create table public.a ();");
    let (from, to) = (socket.clone(), away.clone());
    // After the lock is taken the first server cannot be reached any more.
    let outcome = first.upgrade_in(&first.options(), &both, move |event| {
        if format!("{event:?}").starts_with("StepStarted") {
            std::fs::rename(&from, &to).unwrap();
        }
    });
    std::fs::rename(&away, &socket).unwrap();
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
    holds(&told(&error), &["leads to two databases", "name one server"]);
    first.is_as_it_was("the first");
    second.is_as_it_was("the second");
    assert_eq!(
        ask(
            &second.target,
            "select count(*) from pg_locks where locktype = 'advisory'"
        ),
        "0"
    );
}

#[test]
fn after_a_fail_over_the_next_run_goes_on_where_the_new_primary_is() {
    let server = start(&REPLICATES);
    let base = server.socket_directory().to_string_lossy().into_owned();
    let mut case = Case::of(server.create_database("fails_over").unwrap());
    let (_running, second) = standby(&server, "second");
    let second = second.with("dbname", "fails_over");
    until(
        &case.target,
        "select (count(*) = 1)::text from pg_stat_replication where state = 'streaming'",
    );
    // The standby stands first, and is passed over as long as it is one.
    case.target = case
        .target
        .with("host", &format!("{base},{base}"))
        .with("port", "5433,5432")
        .with("target_session_attrs", "read-write");
    case.write("delta_1.0.1_good.sql", "create table public.good ();");
    case.delta("create table public.a ();\nselect pg_sleep(600);\n");
    let postmaster = std::fs::read_to_string(server.socket_directory().join("data/postmaster.pid")).unwrap();
    let postmaster = Pid::from_raw(postmaster.lines().next().unwrap().parse().unwrap()).unwrap();
    let error = std::thread::scope(|scope| {
        let upgrading = scope.spawn(|| case.upgrade());
        until(
            &second,
            "select (to_regclass('public.good') is not null and pg_is_in_recovery())::text",
        );
        until(
            &server.target("postgres"),
            "select (count(*) = 1)::text from pg_stat_activity where query like 'select pg_sleep(600)%'",
        );
        kill_process(postmaster, Signal::QUIT).unwrap();
        execute(&second, "select pg_promote()");
        upgrading.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    holds(
        error.state().unwrap(),
        &["applied by this run: 1.0.1 good (delta sql); 1.1.0 a (delta sql) was rolled back"],
    );
    case.delta("create table public.a ();");
    assert_eq!(case.upgrade().unwrap(), ["1.1.0 a (delta sql)"]);
    assert_eq!(case.rows(), "1.0.1 good t done; 1.1.0 a t done");
    assert_eq!(ask(&second, "select current_setting('port')"), "5433");
}

/// A file system of a few megabytes that is gone with the value; none where it cannot be made.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(server: &Server) -> Option<SmallDisk> {
        use std::os::unix::fs::{MetadataExt, chown};
        let path = server.socket_directory().join("small");
        std::fs::create_dir(&path).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            return None;
        }
        let owner = server.socket_directory().metadata().unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        Some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[allow(clippy::print_stdout)]
fn a_disk_that_is_full_rolls_back_and_a_larger_one_goes_on() {
    let server = start(&[]);
    let case = Case::of(server.create_database("full").unwrap());
    let statement = "create table public.a as select i, repeat('x', 500) from generate_series(1, 40000) i;\n";
    let Some(disk) = SmallDisk::new(&server) else {
        // Only root may mount. The limit for temporary files is refused on the same way.
        println!("no small disk can be made here: the limit for temporary files stands in for it");
        execute(&case.target, "alter system set temp_file_limit = '64kB'");
        execute(&case.target, "select pg_reload_conf()");
        case.delta("set local work_mem = '64kB';\ncreate table public.a as select i from generate_series(1, 200000) i order by md5(i::text);\n");
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.sqlstate(), Some("53400"), "{error}");
        return case.is_as_it_was("no room");
    };
    execute(
        &case.target,
        &format!("create tablespace small location '{}'", disk.0.display()),
    );
    case.write("delta_1.0.1_good.sql", "create table public.good ();");
    case.delta(format!("set local default_tablespace = small;\n{statement}"));
    let error = case.upgrade().unwrap_err();
    assert_eq!(
        (error.sqlstate(), error.location().unwrap().line),
        (Some("53100"), 2),
        "{error}"
    );
    holds(
        &told(&error),
        &[
            "No space left on device",
            "applied by this run: 1.0.1 good (delta sql); 1.1.0 a (delta sql) was rolled back",
        ],
    );
    assert_eq!(
        (case.rows(), case.has("public.a")),
        ("1.0.1 good t done".to_owned(), false)
    );
    case.delta(statement);
    assert_eq!(case.upgrade().unwrap().len(), 1);
    drop(server);
}

#[test]
fn a_prepared_transaction_in_the_way_is_named() {
    let server = start(&[("max_prepared_transactions", "5")]);
    let case = Case::of(server.create_database("prepared").unwrap());
    execute(
        &case.target,
        "create table public.t (i int); create table public.other (i int)",
    );
    execute(
        &case.target,
        "begin; lock table public.other; prepare transaction 'elsewhere'",
    );
    execute(
        &case.target,
        "begin; insert into public.t values (1); prepare transaction 'it''s here'",
    );
    case.delta("alter table public.t add j int;");
    let options = UpgradeOptions {
        lock_timeout: Duration::from_secs(2),
        attempts: 1,
        ..case.options()
    };
    let error = case.upgrade_with(&options, &case.target).unwrap_err();
    holds(
        &told(&error),
        &[
            "in the way was a prepared transaction (see pg_prepared_xacts: 'it''s here')",
            "COMMIT PREPARED 'it''s here' or ROLLBACK PREPARED 'it''s here'",
        ],
    );
    assert!(case.heard("waiting for a prepared transaction"));
    execute(&case.target, "rollback prepared 'it''s here'");
    assert_eq!(case.upgrade().unwrap().len(), 1);
    execute(&case.target, "rollback prepared 'elsewhere'");
}

#[test]
fn a_wait_for_an_outcome_is_bounded() {
    // The server is gone for good in COMMIT.
    let server = start(&[]);
    let case = Case::of(server.create_database("gone").unwrap());
    let postmaster = std::fs::read_to_string(server.socket_directory().join("data/postmaster.pid")).unwrap();
    let postmaster = postmaster.lines().next().unwrap().to_owned();
    execute(
        &case.target,
        "create table public.t (i int); create function public.sleeps() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(600); return null; end $$; \
         create constraint trigger sleeps after insert on public.t deferrable initially deferred for each row \
         execute function public.sleeps()",
    );
    case.delta("insert into public.t values (1);");
    case.write("delta_1.2.0_b.sql", "create table public.b ();");
    let options = UpgradeOptions {
        patience: Duration::from_secs(1),
        ..case.options()
    };
    let begun = std::time::Instant::now();
    let error = std::thread::scope(|scope| {
        let upgrading = scope.spawn(|| case.upgrade_with(&options, &case.target));
        until(
            &server.target("postgres"),
            "select (count(*) = 1)::text from pg_stat_activity where query = 'commit' and wait_event = 'PgSleep'",
        );
        kill_process(Pid::from_raw(postmaster.parse().unwrap()).unwrap(), Signal::QUIT).unwrap();
        upgrading.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    holds(
        &told(&error),
        &[
            "it is not known whether",
            "To look by hand: select",
            "1.1.0 a (delta sql) is not known; not applied: 1.2.0 b (delta sql)",
        ],
    );
}
