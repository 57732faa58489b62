use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{CHECKS, REFUSES};

/// The codes of the queries' first lines, and those of the Rust beside them.
fn codes() -> BTreeSet<String> {
    let mut codes: BTreeSet<String> = ["pooler", "disk_space"].map(str::to_owned).into();
    for check in CHECKS {
        let line = check.sql.lines().find_map(|line| line.strip_prefix("-- codes: "));
        codes.extend(line.unwrap().split(", ").map(str::to_owned));
    }
    codes
}

#[test]
fn the_readme_lists_every_code_and_no_other() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let (_, table) = readme.split_once("| concern |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let listed: BTreeSet<String> = table
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(listed, codes());
}

#[test]
fn only_what_can_be_found_refuses() {
    let codes = codes();
    assert!(REFUSES.iter().all(|code| codes.contains(*code)));
}

#[test]
fn every_file_is_asked() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/preflight");
    let files = fs::read_dir(directory).unwrap();
    let queries = files.filter(|file| {
        file.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "sql")
    });
    // That of the sizes is none of the list.
    assert_eq!(queries.count(), CHECKS.len() + 1);
}
