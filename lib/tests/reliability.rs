//! RELIABILITY.md names, for every fault, a test that shows what the user gets. Here it is held to that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const HEAD: &str = "| fault | what you get | shown by |";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of every row of every table of faults.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("RELIABILITY.md")).unwrap();
    let (mut rows, mut within) = (Vec::new(), false);
    for line in page.lines() {
        match line {
            HEAD => within = true,
            _ if !line.starts_with('|') => within = false,
            _ if within && !line.starts_with("|---") => {
                let line = line.trim().trim_start_matches('|').trim_end_matches('|');
                rows.push(line.split('|').map(|cell| cell.trim().to_owned()).collect());
            }
            _ => {}
        }
    }
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The names of the tests in a file that are run: those that are ignored are none.
fn tests(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut names, mut attributes) = (BTreeSet::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if let Some(name) = line.strip_prefix("fn ") {
            let ignored = attributes.iter().any(|attribute| attribute.starts_with("#[ignore"));
            if attributes.contains(&"#[test]") && !ignored {
                names.insert(name.split('(').next().unwrap().to_owned());
            }
            attributes.clear();
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    names
}

#[test]
fn every_fault_is_shown_by_a_test_that_is_run() {
    let rows = rows();
    assert!(rows.len() > 90, "{}", rows.len());
    let mut faults = BTreeSet::new();
    for row in &rows {
        assert!(row.len() == 3 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(faults.insert(&row[0]), "{} is there twice", row[0]);
        if let Some(why) = row[2].strip_prefix("impossible: ") {
            assert!(why.split_whitespace().count() > 4, "why is it impossible? {row:?}");
            continue;
        }
        let shown = quoted(&row[2]);
        assert!(!shown.is_empty(), "no test in {row:?}");
        for test in shown {
            let (path, name) = test.split_once("::").unwrap_or((test, ""));
            let path = root().join(path);
            if name.is_empty() {
                // A directory, or a file, of tests.
                assert!(path.is_dir() || !tests(&path).is_empty(), "there is no {test}: {row:?}");
            } else {
                assert!(tests(&path).contains(name), "{test} is not there, or not run: {row:?}");
            }
        }
    }
}

/// What is written to show a fault must be found by who reads of it.
#[test]
fn no_test_of_the_hostile_is_left_out() {
    let named: BTreeSet<String> = rows()
        .iter()
        .flat_map(|row| quoted(&row[2]).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let directory = root().join("lib/tests/hostile");
    let mut seen = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let file = entry.unwrap().path();
        let module = file.file_name().unwrap().to_string_lossy().into_owned();
        for name in tests(&file) {
            seen += 1;
            let test = format!("lib/tests/hostile/{module}::{name}");
            assert!(named.contains(&test), "{test} shows no fault of RELIABILITY.md");
        }
    }
    assert!(seen > 30, "{seen}");
}
