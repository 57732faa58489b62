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

/// The figures name what gives them.
#[test]
fn every_target_names_tests_that_are_run() {
    let page = fs::read_to_string(root().join("RELIABILITY.md")).unwrap();
    let section = page.split_once("\n## Targets\n").unwrap().1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let targets: Vec<&str> = section.lines().filter(|line| line.starts_with("| R")).collect();
    let numbers: Vec<String> = targets
        .iter()
        .filter_map(|target| Some(target.split_once(':')?.0.to_owned()))
        .collect();
    let expected: Vec<String> = (1..=20).map(|number| format!("| R{number}")).collect();
    assert_eq!(numbers, expected);
    for target in targets {
        assert_eq!(target.trim_matches('|').split('|').count(), 4, "{target}");
        for named in quoted(target) {
            let Some((path, name)) = named.split_once("::").filter(|_| named.contains("/tests/")) else {
                continue;
            };
            assert!(
                tests(&root().join(path)).contains(name),
                "{named} is not there, or not run: {target}"
            );
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

/// Each kind of error is raised by a test that asks for it by name.
#[test]
fn every_kind_of_error_is_asked_for() {
    fn text_of(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text_of(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut of_library = String::new();
    text_of(&root().join("lib/tests"), &mut of_library);
    let source = fs::read_to_string(root().join("lib/src/error.rs")).unwrap();
    let kinds = source.split_once("pub enum ErrorKind {").unwrap().1;
    let kinds = kinds.split_once("\n}").unwrap().0.lines().map(str::trim);
    let kinds: Vec<&str> = kinds.filter_map(|line| line.strip_suffix(',')).collect();
    assert!(kinds.len() >= 12, "{kinds:?}");
    for kind in kinds {
        let asked = format!("ErrorKind::{kind}");
        let compared = of_library.lines().any(|line| {
            line.contains(&asked) && (line.contains("assert") || line.contains("matches!") || line.contains("=="))
        });
        assert!(compared, "no test of the library asks for {asked}");
    }
}
