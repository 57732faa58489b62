//! The server crashes in COMMIT, and hands the number of the lost transaction out again, to one that commits.

use std::time::Duration;

use pum::{Connection, Run};

use crate::ground::{Ground, upgrade};
use crate::points::commit_of;
use crate::proxy::Proxy;

const MORE: &str = "update public.account set balance = balance + 50";
const AROUND: &str = "create or replace view public.around as select 2 as two";

/// Loses the COMMIT of the transaction that says `text`, lets another session commit one with its number, and gives pum the
/// link back only then. Returns the exit code and what it says.
fn lose(ground: &mut Ground, database: &str, files: &[(&str, &str)], text: &str) -> (Option<i32>, String) {
    let mut tries = (0..2).filter_map(|_| try_to_lose(ground, database, files, text));
    tries.next().expect("twice the server handed no lost number out again")
}

/// As [`lose`]; none where the number was not lost: the background writer notes every 15 seconds which come next.
fn try_to_lose(
    ground: &mut Ground,
    database: &str,
    files: &[(&str, &str)],
    text: &str,
) -> Option<(Option<i32>, String)> {
    let (deltas, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, content) in files {
        std::fs::write(deltas.path().join(name), content).unwrap();
    }
    let run = |port: u16| upgrade("127.0.0.1", port, database, deltas.path(), temporary.path());
    ground.create(database);
    let noting = Proxy::start(ground.socket(), None);
    assert!(run(noting.port()).output().unwrap().status.success());
    let (point, _) = commit_of(&noting.seen(), text).unwrap();
    ground.drop(database);

    ground.create(database);
    // What is known until here is durable, and what comes now is not.
    ground.execute("checkpoint");
    let proxy = Proxy::start(ground.socket(), Some(point));
    let first = run(proxy.port()).spawn().unwrap();
    let strike = proxy.strike(Duration::from_secs(60)).unwrap();
    let lost: u64 = ground
        .value(
            "postgres",
            &format!("select backend_xid::text from pg_stat_activity where datname = '{database}' and backend_xid is not null"),
        )
        .parse()
        .unwrap();
    proxy.cut();
    ground.server.crash_and_restart().unwrap();
    let mut other = Connection::open(&ground.target("postgres"), &Run::new()).unwrap();
    loop {
        let rows = other.query("select txid_current()::text", &[]).unwrap();
        let number: u64 = rows.value(0, 0).unwrap().parse().unwrap();
        if number > lost {
            proxy.mend();
            strike.go_on();
            first.wait_with_output().unwrap();
            ground.wait_for_no_session(database).unwrap();
            ground.drop(database);
            return None;
        }
        if number == lost {
            break;
        }
    }
    let status = other.query(&format!("select txid_status({lost})"), &[]).unwrap();
    assert_eq!(status.value(0, 0), Some("committed"));
    proxy.mend();
    strike.go_on();
    let output = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();

    // Whatever it says, nothing of that transaction is there, and the next run makes it whole.
    let outcome = (output.status.code(), said);
    let again = || run(proxy.port()).output().unwrap();
    drop(other);
    assert_eq!(
        ground.value(database, "select count(*)::text from pg_class where relname = 'around'"),
        "0",
        "{outcome:?}"
    );
    let balance = |ground: &Ground| ground.value(database, "select max(balance)::text from public.account");
    let applied = ground.recorded(database).applied.len();
    assert_eq!(balance(ground), (50 * applied).to_string(), "{outcome:?}");
    assert!(again().status.success());
    assert_eq!(
        (balance(ground).as_str(), ground.recorded(database).applied.len()),
        ("50", 1)
    );
    ground.drop(database);
    Some(outcome)
}

#[test]
fn a_number_that_is_handed_out_again_after_a_crash_is_no_proof_of_a_commit() {
    // Nothing is written to the disk but what a COMMIT asks for.
    let mut ground = Ground::with(&[("wal_writer_delay", "10s"), ("autovacuum", "off")]);
    let delta = ("delta_1.1.0_more.sql", MORE);
    let (code, said) = lose(&mut ground, "of_a_delta", &[delta], "set balance");
    assert_eq!(code, Some(6), "{said}");
    assert!(
        said.contains("was rolled back: the link broke before its COMMIT"),
        "{said}"
    );
    // It is not recorded, so that nothing tells it from what else has that number now.
    let hook = ("post-all.sql", AROUND);
    let (code, said) = lose(&mut ground, "of_a_hook", &[hook, delta], "public.around");
    assert_eq!(code, Some(7), "{said}");
    assert!(
        said.contains("it is not known whether") && said.contains("after a crash the number of its transaction"),
        "{said}"
    );
    lives(&ground);
}

/// As long as the server lives, the number of what is not recorded is proof enough.
fn lives(ground: &Ground) {
    let (deltas, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(deltas.path().join("delta_1.1.0_more.sql"), MORE).unwrap();
    std::fs::write(deltas.path().join("post-all.sql"), AROUND).unwrap();
    let run = |port: u16| upgrade("127.0.0.1", port, "lives", deltas.path(), temporary.path());
    ground.create("lives");
    let noting = Proxy::start(ground.socket(), None);
    assert!(run(noting.port()).output().unwrap().status.success());
    let (_, answer) = commit_of(&noting.seen(), "public.around").unwrap();
    ground.drop("lives");

    ground.create("lives");
    let proxy = Proxy::start(ground.socket(), Some(answer));
    let run = run(proxy.port()).spawn().unwrap();
    let strike = proxy.strike(Duration::from_secs(60)).unwrap();
    proxy.reset();
    strike.go_on();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("lost in COMMIT of post-all"),
        "{said}"
    );
}
