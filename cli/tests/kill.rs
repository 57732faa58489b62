//! A run that is killed leaves each delta applied and recorded, or neither; the next run goes on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use pum::{BaselineOptions, Connection, Run, Server, ServerOptions, Target};

const DELTAS: usize = 4;

fn value(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
}

fn pum(target: &Target, directory: &std::path::Path, wait: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pum"));
    command
        .args([
            "upgrade",
            "-p",
            &target.to_string(),
            "-t",
            "pum_sys.upgrades",
            "--wait",
            wait,
            "-d",
        ])
        .arg(directory)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// `PUM_TEST_SERVER` names the directory of the server programs to test with.
fn server_options() -> ServerOptions {
    ServerOptions {
        programs: std::env::var_os("PUM_TEST_SERVER").map(std::path::PathBuf::from),
        ..ServerOptions::default()
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_or_done_twice() {
    let server = Server::start(&server_options(), &Run::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for number in 1..=DELTAS {
        // The account has 100 more after each delta; the last one runs without a transaction.
        let header = if number == DELTAS {
            "-- pum: no-transaction\n"
        } else {
            ""
        };
        fs::write(
            directory.path().join(format!("delta_1.{number}.0_more.sql")),
            format!(
                "{header}select pg_sleep(0.02);\nupdate public.account set balance = balance + 50;\nselect pg_sleep(0.02);\n\
                 update public.account set balance = balance + 50;\nselect pg_sleep(0.02);\n"
            ),
        )
        .unwrap();
    }
    let mut half_way = 0;
    // `PUM_KILLS` says at how many moments; they are spread over the run.
    let points = std::env::var("PUM_KILLS").map_or(24, |points| points.parse().unwrap());
    for point in 0..points {
        let target = server.create_database(&format!("killed_{point}")).unwrap();
        Connection::open(&target, &Run::new())
            .unwrap()
            .execute("create table public.account (balance int); insert into public.account values (0)")
            .unwrap();
        let options = BaselineOptions::new("pum_sys.upgrades".parse().unwrap(), "1.0.0".parse().unwrap());
        pum::baseline(&target, &options, &Run::new()).unwrap();

        let mut child = pum(&target, directory.path(), "30s").spawn().unwrap();
        std::thread::sleep(Duration::from_micros(20_000 + 408_000 * point / points));
        child.kill().unwrap();
        child.wait().unwrap();
        let done: usize = value(
            &target,
            "select count(*)::text from pum_sys.upgrades where type <> 0 and success",
        )
        .parse()
        .unwrap();
        half_way += usize::from(done > 0 && done < DELTAS);

        let output = pum(&target, directory.path(), "30s").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "point {point}: {said}");
        let rows = value(
            &target,
            "select count(*)::text from pum_sys.upgrades where type <> 0 and success",
        );
        let balance = value(&target, "select balance::text from public.account");
        assert_eq!(
            (rows, balance),
            (DELTAS.to_string(), (100 * DELTAS).to_string()),
            "point {point}"
        );
        Connection::open(&server.target("postgres"), &Run::new())
            .unwrap()
            .execute(&format!("drop database killed_{point}"))
            .unwrap();
    }
    println!("killed at {points} moments, {half_way} of them half way");
    assert!(half_way > 3, "only {half_way} points were half way");
}

#[test]
fn a_commit_that_outlives_its_run_is_waited_for() {
    let server = Server::start(&server_options(), &Run::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("delta_1.1.0_more.sql"),
        "update public.account set balance = balance + 100",
    )
    .unwrap();
    let target = server.create_database("outlived").unwrap();
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    connection
        .execute(
            "create table public.account (balance int); insert into public.account values (0); \
             create function public.slow() returns trigger language plpgsql \
             as 'begin perform pg_sleep(0.6); return null; end'; \
             create constraint trigger slow after update on public.account deferrable initially deferred \
             for each row execute function public.slow()",
        )
        .unwrap();
    let options = BaselineOptions::new("pum_sys.upgrades".parse().unwrap(), "1.0.0".parse().unwrap());
    pum::baseline(&target, &options, &Run::new()).unwrap();

    let mut child = pum(&target, directory.path(), "30s").spawn().unwrap();
    let committing = "select count(*)::text from pg_stat_activity where query = 'commit' and state = 'active'";
    while connection.query(committing, &[]).unwrap().value(0, 0) != Some("1") {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    // Told and refused without --wait; waited for with it.
    let mut impatient = pum(&target, directory.path(), "0s");
    let output = impatient.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("a run of pum that is gone left the server at work"),
        "{said}"
    );
    let output = pum(&target, directory.path(), "30s").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(value(&target, "select balance::text from public.account"), "100");
    assert_eq!(value(&target, "select count(*)::text from pum_sys.upgrades"), "2");
}
