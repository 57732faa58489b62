//! Upgrades disturbed at every message between pum and the server, by everything that can happen to either of them or to
//! the network: afterwards the database holds what its table of upgrades says, pum has told the truth, nothing is left
//! behind, and the next run comes to the same end as a run that nobody disturbed.
//!
//! `cargo test -p pum-cli --test faults` tries a sample, `PUM_FAULTS=full` thousands of points, `PUM_FAULTS=N` so many,
//! `PUM_FAULTS=commit` hundreds of COMMITs only.
//! What is printed after a failure tries that point alone: `PUM_FAULT='...' cargo test -p pum-cli --test faults`; the name
//! of a fault, such as `SIGHUP`, only that.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod blockers;
mod crowd;
mod grid;
mod ground;
mod points;
mod programs;
mod proxy;
mod reused;
mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use grid::{Fault, Known, Outcome};
use ground::Ground;
use proxy::{From, Point};
use rustix::process::Signal;
use scenario::{SCENARIOS, Scenario};

/// How many points a plain `cargo test` tries.
const SAMPLE: usize = 36;
/// How many the full form tries.
const FULL: usize = 2_400;
/// How many COMMITs are tried, where nothing else is.
const COMMITS: usize = 600;
const WORKERS: usize = 3;

/// A scenario, what happens, and where.
type Planned = (usize, Fault, Point);

#[derive(Default)]
struct Count {
    points: usize,
    survived: usize,
    not_reached: usize,
}

impl Count {
    fn add(&mut self, outcome: &Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::NotReached) => self.not_reached += 1,
            Ok(Outcome::Survived { .. }) => {
                self.points += 1;
                self.survived += 1;
            }
            Err(_) => self.points += 1,
        }
    }
}

#[test]
fn an_upgrade_disturbed_at_any_message_is_whole_or_not_there() {
    let begun = Instant::now();
    let mut grounds: Vec<Ground> = (0..WORKERS).map(|_| Ground::new()).collect();
    let only = std::env::var("PUM_FAULT").ok();
    let wanted = |scenario: &&Scenario| {
        only.as_ref()
            .is_none_or(|only| !only.contains(": ") || only.starts_with(&format!("{}: ", scenario.name)))
    };
    let wanted: Vec<&'static Scenario> = SCENARIOS.iter().filter(wanted).collect();
    let known: Vec<Known> = std::thread::scope(|scope| {
        let learning: Vec<_> = wanted
            .into_iter()
            .enumerate()
            .map(|(number, scenario)| {
                let ground = &grounds[number % WORKERS];
                scope.spawn(move || Known::learn(ground, scenario))
            })
            .collect();
        learning.into_iter().map(|learning| learning.join().unwrap()).collect()
    });
    println!("faults: learned in {:.0} s", begun.elapsed().as_secs_f64());
    let asked = std::env::var("PUM_FAULTS");
    let only_commits = asked.as_deref() == Ok("commit");
    for known in &known {
        println!(
            "faults: {}: {} points, {} at a COMMIT",
            known.scenario.name,
            known.points.len(),
            known.commits.len()
        );
    }
    let mut commits = spread(&known, |known| &known.commits);
    let mut plan = if only_commits {
        std::mem::take(&mut commits)
    } else {
        spread(&known, |known| &known.points)
    };
    let all = plan.len();
    if only.is_some() {
        plan.extend(commits);
    } else if asked.is_err() {
        // One of each in the sample: where the link breaks, it is the answer that is lost.
        let mut first = BTreeSet::new();
        commits.retain(|point| (!point.1.breaks_the_link() || is_answer(point)) && first.insert(point.1));
        commits.append(&mut plan);
        plan = commits;
    }
    // So many of each kind of fault.
    let each = match asked.as_deref() {
        Ok("full") => FULL,
        Ok("commit") => COMMITS,
        Ok(number) => number.parse().unwrap(),
        Err(_) => SAMPLE,
    } / Fault::ALL.len();
    let mut taken: BTreeMap<Fault, usize> = BTreeMap::new();
    if let Some(only) = &only {
        plan.retain(|point| name(&known, point) == *only || point.1.to_string() == *only);
    }
    for fault in Fault::ALL {
        if fault.signal().is_some_and(is_ignored) {
            println!("faults: {fault} is ignored here, as under nohup or in the background of a script, and not tried");
            plan.retain(|point| point.1 != fault);
        }
    }
    plan.retain(|point| {
        let taken = taken.entry(point.1).or_default();
        *taken += 1;
        *taken <= each
    });
    println!("faults: trying {} of {all}", plan.len());
    let is_commit = |point: &Planned| known[point.0].commits.contains(&point.2);
    let swallowed = plan
        .iter()
        .filter(|point| is_commit(point) && is_answer(point) && point.1.breaks_the_link());
    let (silent, reset): (Vec<&Planned>, Vec<&Planned>) = swallowed.partition(|point| point.1 == Fault::Stall);
    println!(
        "faults: the answer to a COMMIT is swallowed by a reset {} times, by a link that is silent before {} times",
        reset.len(),
        silent.len()
    );
    let next = AtomicUsize::new(0);
    let counts: Mutex<BTreeMap<Fault, Count>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    let longest: Mutex<Duration> = Mutex::default();
    let at_commits: Mutex<Count> = Mutex::default();
    std::thread::scope(|scope| {
        for ground in &mut grounds {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(point) = plan.get(number) else { break };
                    let database = format!("disturbed_{number}");
                    let outcome = known[point.0].try_out(ground, &database, point.2, point.1);
                    if is_commit(point) {
                        at_commits.lock().unwrap().add(&outcome);
                    }
                    let mut counts = counts.lock().unwrap();
                    counts.entry(point.1).or_default().add(&outcome);
                    match outcome {
                        Ok(Outcome::NotReached) => {}
                        Ok(Outcome::Survived { lingered }) => {
                            let mut longest = longest.lock().unwrap();
                            *longest = longest.max(lingered);
                        }
                        Err(what) => {
                            ground.drop(&database);
                            println!("faults: PUM_FAULT='{}': {what}", name(&known, point));
                            failures
                                .lock()
                                .unwrap()
                                .push(format!("PUM_FAULT='{}': {what}", name(&known, point)));
                        }
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    for (fault, count) in &counts {
        println!(
            "faults: {fault}: {} points, {} survived ({} not reached)",
            count.points, count.survived, count.not_reached
        );
    }
    let at_commits = at_commits.into_inner().unwrap();
    println!(
        "faults: of these at a COMMIT: {} points, {} survived ({} not reached)",
        at_commits.points, at_commits.survived, at_commits.not_reached
    );
    let points: usize = counts.values().map(|count| count.points).sum();
    let survived: usize = counts.values().map(|count| count.survived).sum();
    println!(
        "faults: {points} points, {survived} survived; the server kept a session for {:.2} s at most; {:.0} s in all",
        longest.into_inner().unwrap().as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(points > plan.len() / 2, "most points were not reached");
}

/// Whether whoever started the tests has it so, which pum keeps to.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1)
}

/// Every fault at every one of these points, always in the same order, in which everything is spread.
fn spread(known: &[Known], points: impl Fn(&Known) -> &[Point]) -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    for (number, known) in known.iter().enumerate() {
        for fault in Fault::ALL {
            plan.extend(points(known).iter().map(|point| (number, fault, *point)));
        }
    }
    plan.sort_by_key(|point| {
        let mut hasher = DefaultHasher::new();
        point.1.to_string().hash(&mut hasher);
        format!("{point:?}").hash(&mut hasher);
        hasher.finish()
    });
    plan
}

/// Whether it is a message of the server that does not arrive where the link breaks.
fn is_answer((_, _, point): &Planned) -> bool {
    point.from == From::Server && !point.passed
}

/// What a point is called, to try it alone.
fn name(known: &[Known], (scenario, fault, point): &Planned) -> String {
    let moment = if point.passed { "after" } else { "before" };
    format!(
        "{}: {fault} {moment} {:?} {}.{}",
        known[*scenario].scenario.name, point.from, point.connection, point.message
    )
}
