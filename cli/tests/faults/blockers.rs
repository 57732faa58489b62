//! Production at work: somebody is in the way of an upgrade, and applications go on reading and writing meanwhile.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pum::{Connection, Run};

use crate::ground::{Ground, upgrade};

const LOCK_TIMEOUT: Duration = Duration::from_millis(300);
/// What a busy machine adds.
const CONSTANT: Duration = Duration::from_millis(1500);
/// How long the blocker stays; who waited behind an upgrade that waits would wait as long.
const BLOCKED: Duration = Duration::from_secs(4);

/// Reads and writes until told to stop, and says how long the longest statement took and what went wrong.
fn work(
    ground: &Ground,
    database: &str,
    statements: &[&str],
    stop: &AtomicBool,
    seen: &Mutex<(Duration, Vec<String>)>,
) {
    let mut connection = Connection::open(&ground.target(database), &Run::new()).unwrap();
    while !stop.load(Ordering::SeqCst) {
        for statement in statements {
            let begun = Instant::now();
            let outcome = connection.execute(statement);
            let mut seen = seen.lock().unwrap();
            seen.0 = seen.0.max(begun.elapsed());
            seen.1.extend(outcome.err().map(|error| error.to_string()));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Is in the way for some time.
fn block(ground: &Ground, database: &str, how: &str, there: &AtomicBool) {
    let mut connection = Connection::open(&ground.target(database), &Run::new()).unwrap();
    let hold = BLOCKED.as_secs();
    match how {
        "a reader in a long transaction" => {
            connection
                .execute("begin; select count(*) from public.account")
                .unwrap();
            there.store(true, Ordering::SeqCst);
            connection.execute(&format!("select pg_sleep({hold}); commit")).unwrap();
        }
        "an idle transaction" => {
            connection
                .execute("begin; update public.account set balance = balance where id = 1")
                .unwrap();
            there.store(true, Ordering::SeqCst);
            std::thread::sleep(BLOCKED);
            connection.execute("commit").unwrap();
        }
        "a prepared transaction" => {
            connection
                .execute("begin; select count(*) from public.account; prepare transaction 'blocker'")
                .unwrap();
            there.store(true, Ordering::SeqCst);
            std::thread::sleep(BLOCKED);
            connection.execute("commit prepared 'blocker'").unwrap();
        }
        "a dump" => {
            // It stands still as long as nobody takes what it has read.
            let mut dump = Command::new(ground.server.programs().join("pg_dump"))
                .args([
                    "-d",
                    &format!("{} application_name=faults", ground.server.target(database)),
                ])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let copies = "select count(*)::text from pg_stat_activity where query like 'COPY public.%'";
            while ground.value(database, copies) == "0" {
                std::thread::sleep(Duration::from_millis(10));
            }
            there.store(true, Ordering::SeqCst);
            std::thread::sleep(BLOCKED);
            std::io::copy(&mut dump.stdout.take().unwrap(), &mut std::io::sink()).unwrap();
            assert!(dump.wait().unwrap().success());
        }
        other => panic!("{other}"),
    }
}

#[test]
fn applications_wait_no_longer_than_the_lock_timeout_while_an_upgrade_waits_for_others() {
    let ground = Ground::with(&[("max_prepared_transactions", "5")]);
    for (number, how) in [
        "a reader in a long transaction",
        "an idle transaction",
        "a dump",
        "a prepared transaction",
    ]
    .into_iter()
    .enumerate()
    {
        let database = &*format!("blocked_{number}");
        ground.create(database);
        ground.execute_in(
            database,
            "alter table public.account add filler text;
             update public.account set filler = (select string_agg(md5(n::text), '') from generate_series(1, 3000) n);
             create table public.other (id int, note int); insert into public.other values (1, 0)",
        );
        let (deltas, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Locks in an order that crosses the applications'.
        std::fs::write(
            deltas.path().join("delta_1.1.0_note.sql"),
            "update public.other set note = -1 where id = 2; alter table public.other add more text; \
             alter table public.account add note text",
        )
        .unwrap();
        let (stop, there) = (AtomicBool::new(false), AtomicBool::new(false));
        let seen = Mutex::new((Duration::ZERO, Vec::new()));
        let took = std::thread::scope(|scope| {
            for statements in [
                &[
                    "select count(id) from public.account",
                    "select count(*) from public.other",
                ][..],
                &[
                    "begin",
                    "update public.account set balance = balance + 1 where id = 7",
                    "update public.other set note = note + 1",
                    "commit",
                ],
                &[
                    "insert into public.ledger values ('application', 'x')",
                    "select max(balance) from public.account",
                ],
            ] {
                let (ground, stop, seen) = (&ground, &stop, &seen);
                scope.spawn(move || work(ground, database, statements, stop, seen));
            }
            let blocker = scope.spawn(|| block(&ground, database, how, &there));
            while !there.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let socket = ground.server.socket_directory().to_string_lossy().into_owned();
            let begun = Instant::now();
            let output = upgrade(&socket, 5432, database, deltas.path(), temporary.path())
                .args(["--lock-timeout", &format!("{}ms", LOCK_TIMEOUT.as_millis())])
                .output()
                .unwrap();
            let took = begun.elapsed();
            blocker.join().unwrap();
            stop.store(true, Ordering::SeqCst);
            assert!(
                output.status.success(),
                "{how}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            took
        });
        let (longest, errors) = seen.into_inner().unwrap();
        println!(
            "faults: {how}: an application waited {:.2} s at most, the upgrade took {:.1} s",
            longest.as_secs_f64(),
            took.as_secs_f64()
        );
        assert!(errors.is_empty(), "{how}: {errors:?}");
        assert!(longest < LOCK_TIMEOUT + CONSTANT, "{how}: {longest:?}");
        assert!(took > BLOCKED / 2, "{how}: nothing was in the way");
        ground.drop(database);
    }
}
