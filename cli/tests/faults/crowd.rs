//! Twenty runs at once on one database, undisturbed and with one of them killed.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::ground::{Ground, upgrade};
use crate::proxy::{From, Proxy};
use crate::scenario::{LONG, ONE_BY_ONE, Scenario};

const RUNS: usize = 20;
/// A run that does not wait is told to go within this, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn rounds() -> usize {
    match std::env::var("PUM_FAULTS").as_deref() {
        Ok("full") => 12,
        _ => 1,
    }
}

/// What happens to a crowd, at random moments.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// The session that holds the lock is ended.
    EndSession,
    /// The run that holds the lock gets SIGKILL.
    KillHolder,
    /// Any run gets SIGKILL.
    KillOne,
}

/// Random numbers (xorshift), the same for the same seed: `PUM_SEED`.
struct Chance(u64);

impl Chance {
    fn new() -> Chance {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = std::env::var("PUM_SEED").map_or_else(
            |_| u64::from(now.unwrap().subsec_nanos()) + 1,
            |seed| seed.parse().unwrap(),
        );
        println!("faults: twenty at once: PUM_SEED={seed}");
        Chance(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Starts them, every second one told to wait. Their sessions bear their numbers.
fn start(ground: &Ground, database: &str, directory: &std::path::Path, temporary: &std::path::Path) -> Vec<Child> {
    let socket = ground.server.socket_directory().to_string_lossy().into_owned();
    (0..RUNS)
        .map(|number| {
            let mut command = upgrade(&socket, 5432, database, directory, temporary);
            command.env("PGAPPNAME", number.to_string());
            if number % 2 == 1 {
                command.args(["--wait", "50s"]);
            }
            command.spawn().unwrap()
        })
        .collect()
}

/// Deals a blow; how many runs that held the lock it killed.
fn strike(ground: &Ground, database: &str, blow: Blow, children: &mut [Child], chance: &mut Chance) -> usize {
    match blow {
        Blow::EndSession => ground.terminate_holder(database),
        Blow::KillOne => children[usize::try_from(chance.below(RUNS as u64)).unwrap()]
            .kill()
            .unwrap(),
        Blow::KillHolder => {
            let deadline = Instant::now() + LIMIT;
            while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
                assert!(Instant::now() < deadline, "no run takes the lock, and they do not end");
                // The server may hold the lock for one that was killed before.
                if let Ok(number) = ground.holder(database).parse::<usize>()
                    && children[number].try_wait().unwrap().is_none()
                {
                    children[number].kill().unwrap();
                    return 1;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    0
}

/// Twenty at once; returns how many of the runs that held the lock were killed.
fn crowd(ground: &Ground, scenario: &Scenario, round: usize, blows: &[Blow], chance: &mut Chance) -> usize {
    let (deltas, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    scenario.write_all(deltas.path());
    let kill = !blows.is_empty();
    let database = format!("crowd_{round}_{kill}");
    ground.create(&database);
    let mut children = start(ground, &database, deltas.path(), temporary.path());
    let begun = Instant::now();
    let mut killed = 0;
    for blow in blows {
        std::thread::sleep(Duration::from_millis(50 + chance.below(500)));
        killed += strike(ground, &database, *blow, &mut children, chance);
    }
    let mut applied = 0;
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert!(begun.elapsed() < LIMIT, "the runs do not end");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked") && !said.contains("duplicate key"), "{said}");
        match output.status.code() {
            Some(0) => applied += usize::from(said.contains(" applied, from version 1.0.0.")),
            // The one whose session was ended.
            Some(6)
                if kill && (said.contains("run the same command again") || said.contains("nothing was changed")) => {}
            Some(5) => {
                assert!(number % 2 == 0, "one that waits is refused: {said}");
                let holder =
                    said.contains("another run of pum is changing") || said.contains("a run of pum that is gone");
                assert!(holder && said.contains("nothing was changed"), "{said}");
            }
            None if kill => {}
            other => panic!("{other:?}: {said}"),
        }
    }
    ground.wait_for_no_session(&database).unwrap();
    if kill {
        // Whatever the killed ones had left to do.
        let socket = ground.server.socket_directory().to_string_lossy().into_owned();
        let mut last = upgrade(&socket, 5432, &database, deltas.path(), temporary.path());
        let output = last.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    } else {
        assert_eq!(
            applied, 1,
            "one run applies, and the others find that nothing is due or go"
        );
    }
    let recorded = ground.recorded(&database);
    let deltas = scenario
        .deltas
        .iter()
        .filter(|delta| delta.file.starts_with("delta"))
        .count();
    assert_eq!((recorded.applied.len(), recorded.begun), (deltas, None), "{recorded:?}");
    let sum: usize = scenario
        .deltas
        .iter()
        .flat_map(|delta| delta.statements)
        .filter(|statement| statement.starts_with("update"))
        .count();
    assert_eq!(
        ground.value(&database, "select sum(balance)::text from public.account"),
        (sum * 50 * 300).to_string()
    );
    ground.drop(&database);
    killed
}

#[test]
fn of_twenty_runs_at_once_one_applies_and_the_others_wait_or_go() {
    let ground = Ground::new();
    let mut chance = Chance::new();
    let mut blows = [Blow::KillHolder, Blow::EndSession, Blow::KillOne, Blow::KillHolder];
    let mut killed = 0;
    for round in 0..rounds() {
        crowd(&ground, &ONE_BY_ONE, round, &[], &mut chance);
        killed += crowd(&ground, &LONG, round, &blows, &mut chance);
        blows.rotate_left(1);
    }
    println!(
        "faults: twenty at once: {} rounds, all survived; {killed} times the run that held the lock was killed",
        2 * rounds()
    );
    assert!(killed > 0);
}

#[test]
fn a_run_whose_lock_is_lost_as_its_step_begins_leaves_the_step_to_the_run_that_has_it_now() {
    let ground = Ground::new();
    let (deltas, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(
        deltas.path().join("delta_1.1.0_more.sql"),
        "update public.account set balance = balance + 50",
    )
    .unwrap();
    let run = |port: u16| upgrade("127.0.0.1", port, "lost", deltas.path(), temporary.path());
    ground.create("lost");
    let noting = Proxy::start(ground.socket(), None);
    assert!(run(noting.port()).output().unwrap().status.success());
    let seen = noting.seen();
    let begins = seen
        .iter()
        .find(|seen| seen.from == From::Client && seen.head.contains("pg_advisory_xact_lock_shared"))
        .unwrap();
    let point = begins.point(false);
    ground.drop("lost");

    ground.create("lost");
    let proxy = Proxy::start(ground.socket(), Some(point));
    let first = run(proxy.port()).spawn().unwrap();
    let strike = proxy.strike(LIMIT).unwrap();
    ground.terminate_holder("lost");
    let other = Proxy::start(ground.socket(), None);
    let second = run(other.port()).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.success(), "{said}");
    strike.go_on();
    let first = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(6), "{said}");
    assert!(said.contains("the lock on the upgrades table is lost"), "{said}");
    let balance = ground.value("lost", "select max(balance)::text from public.account");
    assert_eq!((balance.as_str(), ground.recorded("lost").applied.len()), ("50", 1));
}
