//! What holds the house in order: lists, files and pages that must name the same things.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pum::{Connection, KINDS, Run};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn entries(path: &str) -> BTreeSet<String> {
    fs::read_dir(here(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn kinds() -> BTreeSet<String> {
    KINDS.iter().map(|kind| kind.name().to_owned()).collect()
}

#[test]
fn every_kind_has_a_query_and_every_query_a_kind() {
    let files: BTreeSet<String> = entries("src/catalog")
        .iter()
        .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
        .collect();
    assert_eq!(files, kinds());
    for name in entries("src/catalog").iter().filter(|name| name.ends_with(".sql")) {
        let text = read(&format!("src/catalog/{name}"));
        assert!(text.starts_with("-- "), "{name} does not begin with what it reads");
        assert!(
            !text.contains(';') || !text.trim_end().ends_with(';'),
            "{name} ends with a semicolon"
        );
    }
}

#[test]
fn every_kind_has_cases_and_every_case_a_kind() {
    let mut folders = entries("tests/check");
    assert!(folders.remove("same"));
    assert_eq!(folders, kinds());
    for kind in KINDS {
        let cases = entries(&format!("tests/check/{kind}"));
        assert!(!cases.is_empty(), "no case for {kind}");
        for case in cases {
            let files = entries(&format!("tests/check/{kind}/{case}"));
            let known = [
                "left.sql",
                "right.sql",
                "both.sql",
                "expected.txt",
                "hidden.txt",
                "since.txt",
            ];
            let unknown: Vec<&String> = files.iter().filter(|file| !known.contains(&file.as_str())).collect();
            assert!(unknown.is_empty(), "{kind}/{case} holds {unknown:?}");
            for needed in ["left.sql", "right.sql", "expected.txt"] {
                assert!(files.contains(needed), "{kind}/{case} has no {needed}");
            }
        }
    }
}

#[test]
fn every_spelling_belongs_to_an_attribute_of_the_list() {
    let list = read("src/catalog.rs");
    for name in entries("src/catalog/spelling") {
        let [kind, attribute, "sql"] = name.split('.').collect::<Vec<_>>()[..] else {
            panic!("{name}");
        };
        let line = list.lines().find(|line| line.starts_with(&format!("    {kind} {{")));
        let line = line.unwrap_or_else(|| panic!("no kind {kind}"));
        assert!(
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| word == attribute),
            "{name} is not in the list: {line}"
        );
        assert!(
            list.contains(&format!("{kind} {{")) && attributes(kind).contains(&attribute.to_owned()),
            "{name}"
        );
    }
}

#[test]
fn the_differ_names_no_kind() {
    let text = read("src/diff.rs");
    for kind in KINDS {
        // The schema is a part of every identity.
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        for word in words.filter(|word| *word != "schema") {
            assert!(
                word != kind.name() && word != kind.singular(),
                "diff.rs says \"{word}\""
            );
        }
    }
}

#[test]
fn the_library_neither_prints_nor_asks_nor_ends_the_process() {
    fn files(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    files(&here("src"), &mut found);
    assert!(found.len() > 10);
    for file in found {
        let text = fs::read_to_string(&file).unwrap();
        for word in [
            "println!",
            "eprintln!",
            "print!(",
            "eprint!(",
            "dbg!",
            "process::exit",
            "io::stdin",
            "io::stdout",
        ] {
            let told = text
                .lines()
                .any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(!told, "{} contains {word}", file.display());
        }
    }
}

/// Whether an expression such as `(MIT OR Apache-2.0) AND Unicode-3.0` can be met with what is allowed.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    // Parentheses stand around alternatives only, in every expression that there is.
    let (expression, old) = (expression.replace('/', " OR "), " AND ");
    expression.split(old).all(|part| {
        part.trim_matches(['(', ')', ' '])
            .split(" OR ")
            .any(|licence| allowed.contains(&licence.trim_matches(['(', ')', ' '])))
    })
}

/// What `deny.toml` holds, where cargo-deny is not there too: licences, crates that are not to come back, and that all are of
/// crates.io or of this repository, in a version that is named.
#[test]
fn every_dependency_is_of_a_licence_a_name_and_a_source_that_are_allowed() {
    let list = read("../deny.toml");
    let part = |begin: &str, end: &str| {
        list.split_once(begin)
            .and_then(|(_, rest)| rest.split_once(end))
            .unwrap()
            .0
    };
    let allowed: Vec<&str> = part("allow = [", "]")
        .split(',')
        .map(|name| name.trim().trim_matches('"'))
        .collect();
    assert!(is_allowed("(MIT OR GPL-3.0) AND Zlib", &["MIT", "Zlib"]));
    assert!(!is_allowed("GPL-3.0", &allowed) && !is_allowed("MIT AND GPL-3.0", &allowed));
    let denied: Vec<&str> = part("deny = [", "\n]")
        .split("crate = \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(denied.contains(&"tokio") && denied.len() > 1, "{denied:?}");
    // libFuzzer itself has its own licence, and is no part of what is shipped.
    let with_fuzzer = [allowed.as_slice(), &["NCSA"]].concat();
    for (workspace, allowed) in [("..", &allowed), ("../fuzz", &with_fuzzer)] {
        let refused = refused(&packages(workspace), allowed, &denied);
        assert_eq!(refused, [""; 0], "{workspace}");
    }
}

/// All that a workspace is made of, by its lock file, which has to fit it.
fn packages(workspace: &str) -> Vec<serde_json::Value> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(here(workspace))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{workspace}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    packages.clone()
}

fn refused(packages: &[serde_json::Value], allowed: &[&str], denied: &[&str]) -> Vec<String> {
    packages
        .iter()
        .filter(|package| {
            let source = package["source"].as_str();
            let ours = package["manifest_path"]
                .as_str()
                .is_some_and(|path| Path::new(path).starts_with(here("..").canonicalize().unwrap()));
            let any_version = |dependency: &serde_json::Value| dependency["req"] == "*" && dependency["path"].is_null();
            !is_allowed(package["license"].as_str().unwrap_or("none"), allowed)
                || denied.contains(&package["name"].as_str().unwrap())
                || !source.map_or(ours, |source| source == CRATES_IO)
                || (ours && package["dependencies"].as_array().unwrap().iter().any(any_version))
        })
        .map(|package| format!("{} {} {}", package["name"], package["license"], package["source"]))
        .collect()
}

/// As cargo calls it, wherever it is fetched from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The columns of a kind's query that are no identity, as a server names them.
fn attributes(kind: &str) -> Vec<String> {
    let kind = KINDS.iter().find(|known| known.name() == kind).unwrap();
    let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
    let rows = connection.query(kind.query(), &[]).unwrap();
    rows.columns()
        .into_iter()
        .filter(|column| !support::NO_ATTRIBUTES.contains(column))
        .map(str::to_owned)
        .collect()
}
