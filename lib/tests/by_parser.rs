//! A file is split where PostgreSQL's own parser splits it, which pglast brings: `pip install pglast`, and with
//! `PUM_PGLAST=PYTHON` the interpreter that has it, unless python3 does. Without it nothing is compared, and the test says so.
//!
//! The files are those of the example and of the corpus. `PUM_SQL=DIRECTORY:DIRECTORY` names others besides, such as
//! `src/test/regress/sql` of PostgreSQL's sources. pglast knows no commands of psql and no data of COPY: what is left of a
//! file without its commands is compared, and a file with data is passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "support/psql.rs"]
mod psql;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pum::{Script, Variables};
use serde_json::{Value, json};

/// The interpreter that has pglast.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PUM_PGLAST").map(PathBuf::from);
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let found = Command::new(&python)
        .args(["-c", "import pglast"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(found || named.is_none(), "{} has no pglast", python.display());
    found.then_some(python)
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(path);
        }
    }
}

/// The statements of a file, and whether data of COPY stand in it.
fn statements(script: &Script) -> (Vec<String>, bool) {
    let (mut texts, mut copies) = (Vec::new(), false);
    let mut statements = script.statements().unwrap();
    while let Some(statement) = statements.next().unwrap() {
        if statement.copies_from_stdin() {
            copies = true;
            while statements.copy_data().unwrap().is_some() {}
        }
        texts.push(statement.text().to_owned());
    }
    (texts, copies)
}

/// What the parser says of files and the statements found in them.
fn against_the_parser(python: &Path, files: Vec<Value>) -> Value {
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/split_by_parser.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = Value::from(files).to_string();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn files_are_split_where_the_parser_splits_them() {
    let Some(python) = python() else {
        println!("pglast is not there: nothing was compared");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut directories = vec![root.join("examples"), root.join("fuzz/corpus/script")];
    directories.extend(std::env::var_os("PUM_SQL").iter().flat_map(std::env::split_paths));
    let mut paths = Vec::new();
    for directory in &directories {
        files(directory, &mut paths);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.sql");
    let (mut given, mut count, mut data, mut commands, mut refused) = (Vec::new(), 0, 0, 0, Vec::new());
    for path in &paths {
        let Ok(text) = fs::read_to_string(path) else {
            refused.push(format!("{}: not UTF-8", path.display()));
            continue;
        };
        let text = text.trim_start_matches('\u{feff}');
        let without = psql::without_commands(text);
        commands += usize::from(without.trim_end() != text.trim_end());
        fs::write(&file, &without).unwrap();
        match Script::open(&file, &Variables::new()) {
            Ok(script) => {
                let (statements, copies) = statements(&script);
                if copies {
                    data += 1;
                } else {
                    count += statements.len();
                    given.push(json!({"path": path, "text": without, "statements": statements}));
                }
            }
            Err(error) => refused.push(format!("{}: {error}", path.display())),
        }
    }
    // A splitter that cuts and joins as it should not is seen.
    let wrong = [
        json!({"path": "cut", "text": "select 1; select 2", "statements": ["select 1", "select", "2"]}),
        json!({"path": "joined", "text": "selct; select 1; select 2", "statements": ["selct", "select 1; select 2"]}),
        json!({"path": "cut among errors", "text": "selct; do $$ ; $$", "statements": ["selct", "do $$ ", " $$"]}),
    ];
    let told = against_the_parser(&python, wrong.to_vec());
    assert_eq!(told["differences"].as_array().unwrap().len(), 3, "{told}");
    let told = against_the_parser(&python, given);
    println!(
        "{} files, {count} statements, against the parser of PostgreSQL {}: {} files as a whole, {} with errors that are \
         meant, statement by statement ({} that no parser takes); {commands} had commands of psql, {data} have data of COPY \
         and were passed over; refused: {refused:#?}",
        paths.len(),
        told["version"].as_str().unwrap(),
        told["whole"],
        told["one_by_one"],
        told["unsound"],
    );
    assert!(
        told["whole"].as_u64().unwrap() > 5 && count > 20,
        "too little was compared"
    );
    let differences = told["differences"].as_array().unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}
