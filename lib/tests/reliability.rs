//! RELIABILITY.md names, for every fault, a test that shows what the user gets. Here it is held to that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const HEAD: &str = "| # | fault | what you get | shown by |";

/// The sections of the page with faults, the letter of their numbers, and the last of them. The numbers are names for
/// citing: what is written anew goes on from the last one, and none is given away again.
const SECTIONS: [(&str, char, usize); 9] = [
    ("Processes, servers and networks", 'A', 39),
    ("What is in a delta", 'B', 50),
    ("Files, versions and the upgrades table", 'C', 34),
    ("Configuration and service files", 'I', 4),
    ("The first row of the upgrades table", 'D', 7),
    ("Backups", 'E', 24),
    ("Restores", 'F', 25),
    ("Rehearsals", 'G', 28),
    ("Comparisons and reports", 'H', 23),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A fault of the page.
struct Row {
    section: String,
    numbers: Vec<String>,
    fault: String,
    shown_by: String,
    line: String,
}

/// Every row of every table of faults.
fn rows() -> Vec<Row> {
    let page = fs::read_to_string(root().join("RELIABILITY.md")).unwrap();
    let (mut rows, mut within, mut section) = (Vec::new(), false, "");
    for line in page.lines() {
        section = line.strip_prefix("## ").unwrap_or(section);
        match line {
            HEAD => within = true,
            _ if !line.starts_with('|') => within = false,
            _ if within && !line.starts_with("|---") => {
                let cells = line.trim().trim_start_matches('|').trim_end_matches('|').split('|');
                let cells: Vec<&str> = cells.map(str::trim).collect();
                assert!(cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {line}");
                let &[numbers, fault, _, shown_by] = &cells[..] else {
                    panic!("not four cells: {line}");
                };
                rows.push(Row {
                    section: section.to_owned(),
                    numbers: numbers.split(", ").map(str::to_owned).collect(),
                    fault: fault.to_owned(),
                    shown_by: shown_by.to_owned(),
                    line: line.to_owned(),
                });
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
    let mut faults = BTreeSet::new();
    for Row {
        fault, shown_by, line, ..
    } in &rows
    {
        assert!(faults.insert(fault), "{fault} is there twice");
        if let Some(why) = shown_by.strip_prefix("impossible: ") {
            assert!(why.split_whitespace().count() > 4, "why is it impossible? {line}");
            continue;
        }
        let shown = quoted(shown_by);
        assert!(!shown.is_empty(), "no test in {line}");
        for test in shown {
            let (path, name) = test
                .split_once("::")
                .unwrap_or_else(|| panic!("{test} names no test: {line}"));
            assert!(
                tests(&root().join(path)).contains(name),
                "{test} is not there, or not run: {line}"
            );
        }
    }
}

/// A number names one fault: each stands in one row, in its own section, and none is missing.
#[test]
fn every_fault_has_its_number() {
    let rows = rows();
    let sections: BTreeSet<&str> = rows.iter().map(|row| row.section.as_str()).collect();
    assert_eq!(sections, SECTIONS.iter().map(|(section, ..)| *section).collect());
    let mut seen = BTreeSet::new();
    for row in &rows {
        for number in &row.numbers {
            assert!(seen.insert(number.clone()), "{number} stands twice: {}", row.line);
        }
    }
    for (section, letter, last) in SECTIONS {
        let numbers: BTreeSet<&String> = rows
            .iter()
            .filter(|row| row.section == section)
            .flat_map(|row| &row.numbers)
            .collect();
        let wanted: BTreeSet<String> = (1..=last).map(|number| format!("{letter}{number}")).collect();
        let missing: Vec<_> = wanted.iter().filter(|number| !numbers.contains(number)).collect();
        let strange: Vec<_> = numbers.iter().filter(|number| !wanted.contains(**number)).collect();
        assert!(
            missing.is_empty() && strange.is_empty(),
            "{section}: missing are {missing:?}, and no numbers of it are {strange:?}"
        );
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
        .flat_map(|row| quoted(&row.shown_by).into_iter().map(str::to_owned).collect::<Vec<_>>())
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
