//! Whatever deltas there are and whatever was applied: no delta twice, none lost, and the order kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::*;
use crate::history::{Entry, TableName, state};

const VERSIONS: [&str; 7] = ["0.9.0", "1.0.0", "1.2.0", "1.10.0", "2.0.0", "2.0.1", "10.0.0"];
const NAMES: [&str; 4] = ["", "_a", "_b", "_c_1"];
const ENDINGS: [&str; 6] = ["sql", "pre.sql", "post.sql", "py", "pre.py", "post.py"];
const SURROUNDING: [&str; 4] = ["pre-all.py", "pre-all.sql", "post-all.py", "post-all.sql"];
const STATES: [Option<&str>; 5] = [
    None,
    Some(state::STARTED),
    Some(state::FAILED),
    Some(state::DONE),
    Some(state::MORE),
];
const DIRECTORIES: usize = 3;

fn version(index: usize) -> Version {
    VERSIONS[index].parse().unwrap()
}

/// The names in each directory, in an order that means nothing.
type Files = Vec<Vec<String>>;

/// Deltas, each in one of the directories, among files that are none.
fn files() -> impl Strategy<Value = Files> {
    let deltas = btree_map(
        (0..VERSIONS.len(), 0..NAMES.len(), 0..ENDINGS.len()),
        0..DIRECTORIES,
        0..16,
    );
    let others = vec((0..SURROUNDING.len(), 0..DIRECTORIES), 0..4);
    let near = option::weighted(0.2, 0..DIRECTORIES);
    (deltas, others, near).prop_flat_map(|(deltas, others, near)| {
        let mut directories = vec![BTreeSet::from(["README.md".to_owned()]); DIRECTORIES];
        for ((version, name, ending), directory) in deltas {
            let name = format!("delta_{}{}.{}", VERSIONS[version], NAMES[name], ENDINGS[ending]);
            directories[directory].insert(name);
        }
        for (name, directory) in others {
            directories[directory].insert(SURROUNDING[name].to_owned());
        }
        if let Some(directory) = near {
            directories[directory].insert("delta_1.0_near.sql".to_owned());
        }
        let shuffled = directories
            .into_iter()
            .map(|names| Just(names.into_iter().collect::<Vec<_>>()).prop_shuffle());
        shuffled.collect::<Vec<_>>()
    })
}

/// In memory, where there is such a place: there a directory is listed in the order in which its files came to be.
fn write(files: &Files) -> (TempDir, Vec<PathBuf>) {
    let memory = Path::new("/dev/shm");
    let root = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let root = root.unwrap();
    let directories: Vec<PathBuf> = (0..files.len())
        .map(|number| root.path().join(number.to_string()))
        .collect();
    for (directory, names) in directories.iter().zip(files) {
        fs::create_dir(directory).unwrap();
        for name in names {
            fs::write(directory.join(name), "").unwrap();
        }
    }
    (root, directories)
}

/// What a row is made of.
#[derive(Debug, Clone)]
enum Row {
    Baseline(usize),
    /// Of one of the deltas that there are.
    Of(Index, bool, usize),
    /// Of a delta whose file is gone.
    Gone(usize, bool, usize),
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = prop_oneof![
        2 => (0..VERSIONS.len()).prop_map(Row::Baseline),
        6 => (any::<Index>(), any::<bool>(), 0..STATES.len()).prop_map(|(which, success, state)| Row::Of(which, success, state)),
        1 => (0..VERSIONS.len(), any::<bool>(), 0..STATES.len()).prop_map(|(version, success, state)| Row::Gone(version, success, state)),
    ];
    vec(row, 0..8)
}

fn entry(id: usize, version: Version, name: &str, code: i32, success: bool, state: Option<&str>) -> Entry {
    Entry {
        id: i64::try_from(id).unwrap(),
        version,
        name: name.to_owned(),
        code,
        script: String::new(),
        checksum: String::new(),
        installed_by: String::new(),
        installed_on: String::new(),
        execution_time_ms: 1,
        success,
        run: None,
        digest: None,
        state: state.map(str::to_owned),
        statements_done: 0,
        rehearsal: None,
    }
}

fn history(entries: Vec<Entry>) -> History {
    let table: TableName = "pum_sys.upgrades".parse().unwrap();
    History::from_entries(table, entries)
}

fn entries(rows: &[Row], deltas: &Deltas) -> Vec<Entry> {
    let made = rows.iter().enumerate().filter_map(|(id, row)| match row {
        Row::Baseline(of) => Some(entry(id, version(*of), "baseline", BASELINE, true, None)),
        Row::Of(which, success, state) => {
            let delta = (!deltas.deltas.is_empty()).then(|| which.get(&deltas.deltas))?;
            let code = delta.code();
            Some(entry(id, delta.version, &delta.name, code, *success, STATES[*state]))
        }
        Row::Gone(of, success, state) => Some(entry(id, version(*of), "gone", 8, *success, STATES[*state])),
    });
    made.collect()
}

/// The history after the first steps of a plan were applied and recorded, as an upgrade does it.
fn after(mut entries: Vec<Entry>, plan: &Plan, count: usize) -> Vec<Entry> {
    for (step, goes_back) in plan.steps.iter().zip(plan.goes_back()).take(count) {
        if let Some(delta) = step.delta() {
            let state = if goes_back { state::MORE } else { state::DONE };
            if state == state::DONE {
                for earlier in &mut entries {
                    if earlier.state.as_deref() == Some(state::MORE) {
                        earlier.state = Some(state::DONE.to_owned());
                    }
                }
            }
            let id = 1000 + entries.len();
            entries.push(entry(id, delta.version, &delta.name, delta.code(), true, Some(state)));
        }
    }
    entries
}

fn due(plan: &Plan) -> Vec<&Delta> {
    plan.steps.iter().filter_map(Step::delta).collect()
}

fn path(delta: &Delta) -> String {
    delta.path.display().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_delta_is_applied_pending_skipped_or_changed_and_in_its_place(
        files in files(),
        rows in rows(),
        limit in option::of(0..VERSIONS.len()),
        edited in any::<u64>(),
    ) {
        let (_root, directories) = write(&files);
        let deltas = Deltas::read(&directories).unwrap();
        let history = history(entries(&rows, &deltas));
        let (mut current, mut floor) = (None, None);
        for row in history.entries().iter().filter(|row| row.success) {
            current = current.max(Some(row.version));
            if row.state.as_deref() != Some(state::MORE) {
                floor = floor.max(Some(row.version));
            }
        }
        let limit = limit.map(version);
        let Ok(plan) = Plan::new(&deltas, &history, limit) else {
            prop_assert!(limit < current);
            return Ok(());
        };
        prop_assert!(limit.is_none() || limit >= current);
        // What is due, and nothing else, once.
        let applied = |delta: &Delta| {
            history.entries().iter().any(|row| {
                row.success && (row.version, row.code, &row.name) == (delta.version, delta.code(), &delta.name)
            })
        };
        let is_due = |delta: &&Delta| {
            !applied(delta) && Some(delta.version) >= floor && limit.is_none_or(|limit| delta.version <= limit)
        };
        let expected: Vec<&Delta> = deltas.deltas.iter().filter(is_due).collect();
        prop_assert_eq!(due(&plan), expected);
        prop_assert_eq!(plan.reached, due(&plan).iter().map(|delta| delta.version).max().max(current));
        // Every file has its line, and one state.
        let changes = |delta: &Delta| (edited >> (path(delta).len() % 64)) & 1 == 1;
        let info = Info::new(&deltas, &history, |delta, _| Ok(changes(delta))).unwrap();
        for delta in &deltas.deltas {
            let lines: Vec<&DeltaInfo> = info.deltas.iter().filter(|line| line.path == path(delta)).collect();
            prop_assert_eq!(lines.len(), 1);
            let expected = match applied(delta) {
                true if changes(delta) => Status::Changed,
                true => Status::Applied,
                false if Some(delta.version) >= floor => Status::Pending,
                false => Status::Skipped,
            };
            prop_assert_eq!(lines[0].status, expected, "{}", delta);
        }
        let near: usize = files.iter().flatten().filter(|name| name.contains("near")).count();
        prop_assert_eq!(info.deltas.iter().filter(|line| line.status == Status::Ignored).count(), near);
        // The order.
        let place = |step: &Step| {
            let directory = directories.iter().position(|directory| directory == step.directory()).unwrap();
            match step {
                Step::Surrounding(file) if file.stage == Stage::Pre => {
                    (0, directories.len() - directory, None, file.stage, file.language, String::new())
                }
                Step::Delta(delta) => {
                    (1, directory, Some(delta.version), delta.stage, delta.language, delta.name.clone())
                }
                Step::Surrounding(file) => (2, directory, None, file.stage, file.language, String::new()),
            }
        };
        prop_assert!(plan.steps.is_sorted_by(|one, other| place(one) < place(other)), "{:?}", plan.steps);
        let around = files.iter().flatten().filter(|name| SURROUNDING.contains(&name.as_str())).count();
        prop_assert_eq!(plan.steps.len() - due(&plan).len(), around);
    }

    #[test]
    fn a_run_that_ends_anywhere_is_gone_on_with_from_there(
        files in files(),
        rows in rows(),
        limit in option::of(0..VERSIONS.len()),
        stops in vec(any::<Index>(), 1..4),
    ) {
        let (_root, directories) = write(&files);
        let deltas = Deltas::read(&directories).unwrap();
        let mut entries = entries(&rows, &deltas);
        let limit = limit.map(version);
        let Ok(first) = Plan::new(&deltas, &history(entries.clone()), limit) else {
            return Ok(());
        };
        let mut plan = first.clone();
        let mut left: Vec<&Delta> = due(&first);
        for stop in stops {
            let count = stop.index(plan.steps.len() + 1);
            left.drain(..plan.steps.iter().take(count).filter_map(Step::delta).count());
            entries = after(entries, &plan, count);
            plan = Plan::new(&deltas, &history(entries.clone()), limit).unwrap();
            prop_assert_eq!(due(&plan), left.clone());
            prop_assert_eq!(plan.reached, first.reached);
        }
        let entries = after(entries, &plan, plan.steps.len());
        let done = history(entries.clone());
        let last = Plan::new(&deltas, &done, limit).unwrap();
        prop_assert!(last.is_up_to_date());
        prop_assert_eq!(last.current, first.reached);
        for delta in due(&first) {
            let rows = entries.iter().filter(|row| {
                row.id >= 1000 && (row.version, row.code, &row.name) == (delta.version, delta.code(), &delta.name)
            });
            prop_assert_eq!(rows.count(), 1, "{}", delta);
        }
        // Where it stopped at a version, what lies above is as due as it was, and nothing else is.
        let whole = Plan::new(&deltas, &history(self::entries(&rows, &deltas)), None).unwrap();
        let rest = Plan::new(&deltas, &done, None).unwrap();
        let set = |plan: &Plan| due(plan).into_iter().map(path).collect::<BTreeSet<_>>();
        let (first, rest) = (set(&first), set(&rest));
        prop_assert!(first.is_disjoint(&rest));
        prop_assert_eq!(first.union(&rest).cloned().collect::<BTreeSet<_>>(), set(&whole));
    }

    #[test]
    fn the_order_in_which_a_directory_is_listed_means_nothing(files in files(), rows in rows()) {
        let turned: Files = files.iter().map(|names| names.iter().rev().cloned().collect()).collect();
        let plans = [files, turned].map(|files| {
            let (root, directories) = write(&files);
            let deltas = Deltas::read(&directories).unwrap();
            let plan = Plan::new(&deltas, &history(entries(&rows, &deltas)), None).unwrap();
            let steps: Vec<PathBuf> = plan
                .steps
                .iter()
                .map(|step| step.path().strip_prefix(root.path()).unwrap().to_owned())
                .collect();
            (plan.current, plan.reached, plan.near_misses.len(), steps)
        });
        prop_assert_eq!(&plans[0], &plans[1]);
    }
}

/// The test above says something only where directories are listed in different orders.
#[test]
fn directories_are_listed_as_they_were_filled_where_the_tests_put_them() {
    if !Path::new("/dev/shm").is_dir() {
        return;
    }
    let names: Vec<String> = (0..9).map(|number| format!("delta_1.0.{number}.sql")).collect();
    let turned: Vec<String> = names.iter().rev().cloned().collect();
    let listed = [names, turned].map(|names| {
        let (_root, directories) = write(&vec![names]);
        let entries = fs::read_dir(&directories[0]).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    });
    assert_ne!(listed[0], listed[1]);
}

/// By hand, what the properties say of several directories.
#[test]
fn what_goes_back_is_told_step_by_step() {
    let files = vec![
        vec!["delta_1.2.0_a.sql".to_owned(), "delta_2.0.0_a.sql".to_owned()],
        vec!["delta_1.2.0_b.sql".to_owned(), "delta_2.0.0_b.sql".to_owned()],
    ];
    let (_root, directories) = write(&files);
    let deltas = Deltas::read(&directories).unwrap();
    let baseline = vec![entry(1, version(1), "baseline", BASELINE, true, None)];
    let plan = Plan::new(&deltas, &history(baseline.clone()), None).unwrap();
    assert_eq!(plan.goes_back(), [false, true, false, false]);
    let states: BTreeMap<usize, Vec<String>> = (0..=4)
        .map(|count| {
            let left = Plan::new(&deltas, &history(after(baseline.clone(), &plan, count)), None).unwrap();
            (
                count,
                due(&left)
                    .into_iter()
                    .map(|delta| format!("{} {}", delta.version, delta.name))
                    .collect(),
            )
        })
        .collect();
    assert_eq!(states[&2], ["1.2.0 b", "2.0.0 b"]);
    assert_eq!(states[&3], ["2.0.0 b"]);
    assert!(states[&4].is_empty());
}
