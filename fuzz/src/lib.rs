//! What must hold for every input, whatever its bytes: each function takes an input and panics when it does not. cargo-fuzz
//! runs them by coverage, and `lib/tests/fuzz.rs` on the corpus and on inputs near it, with a stable compiler.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use pum::readers::{service_names, service_section};
use pum::{Catalog, Contract, Deltas, Expectations, HtmlOptions, Result, Script, Target, Variables, Version};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Panics when an input breaks what must hold.
pub type Holds = fn(&[u8]);

/// All of them, with the names of their folders in the corpus.
pub const TARGETS: [(&str, Holds); 6] = [
    ("script", script),
    ("deltas", deltas),
    ("version", version),
    ("target", target),
    ("documents", documents),
    ("services", services),
];

thread_local! {
    static DIRECTORY: RefCell<TempDir> = RefCell::new(directory());
}

/// In memory where there is such a place.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("pum-fuzz-")
        .tempdir_in(place)
        .expect("a directory")
}

/// A file that holds the bytes.
fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = DIRECTORY.with_borrow(|directory| directory.path().join(name));
    fs::write(&path, data).expect("a file");
    path
}

/// A refusal is a sentence.
fn told<T>(outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(!error.message().is_empty());
            None
        }
    }
}

/// A file is split, or refused with a place: its statements, what may stand between them and the data of COPY joined are
/// the file, and they are as many as were counted; reading it again says the same.
pub fn script(data: &[u8]) {
    let path = file("delta_1.0.0_fuzz.sql", data);
    let mut variables = Variables::new();
    variables.insert("int", "SRID", "2056").expect("a variable");
    if let Some(with_variables) = told(Script::open(&path, &variables)) {
        assert!(told(Script::open(&path, &Variables::new())).is_some() || data.contains(&b'%'));
        let mut statements = with_variables.statements().expect("the same file");
        while statements.next().expect("what was found sound").is_some() {}
    }
    let Some(script) = told(Script::open(&path, &Variables::new())) else {
        return;
    };
    let text = std::str::from_utf8(data).expect("UTF-8, as it was not refused");
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut count = 0;
    let mut statements = script.statements().expect("the same file");
    while let Some(statement) = statements.next().expect("what was found sound") {
        count += 1;
        // A comment may be the statement's, as hints are.
        rest = loop {
            match rest.strip_prefix(statement.text()) {
                Some(behind) => break behind,
                None => rest = without_nothing(rest).expect("only what says nothing, before a statement"),
            }
        };
        if statement.copies_from_stdin() {
            let mut copied = Vec::new();
            while let Some(more) = statements.copy_data().expect("what was found sound") {
                copied.extend(more);
            }
            let (line, behind) = rest.split_once('\n').expect("data begin on a line of their own");
            let mut line = line;
            while !line.is_empty() {
                line = without_nothing(line).expect("only what says nothing, before the data");
            }
            let copied = std::str::from_utf8(&copied).expect("a part of the file");
            rest = behind
                .strip_prefix(copied)
                .and_then(|behind| behind.strip_prefix("\\."))
                .expect("the data as they stand in the file, and their end");
        }
    }
    while !rest.is_empty() {
        rest = without_nothing(rest).expect("only what says nothing, after the last statement");
    }
    assert_eq!(count, script.statement_count());
}

/// A text without what says nothing at its beginning: a white space, a semicolon, a comment, a line of pg_dump for psql.
fn without_nothing(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix([' ', '\t', '\n', '\r', '\u{b}', '\u{c}', ';']) {
        return Some(rest);
    }
    let begins = |begin: &str| {
        text.strip_prefix(begin)
            .is_some_and(|rest| rest.starts_with([' ', '\t']))
    };
    if text.starts_with("--") || begins("\\restrict") || begins("\\unrestrict") {
        return Some(text.find(['\n', '\r']).map_or("", |end| &text[end..]));
    }
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        rest = match rest.get(..2) {
            Some("/*") => {
                depth += 1;
                &rest[2..]
            }
            Some("*/") if depth > 0 => {
                depth -= 1;
                &rest[2..]
            }
            _ if depth == 0 => return None,
            _ => rest.get(rest.chars().next()?.len_utf8()..)?,
        };
        if depth == 0 {
            return Some(rest);
        }
    }
}

/// Any name of a file is a delta, nearly one, or no business of ours, and never two of them.
pub fn deltas(data: &[u8]) {
    let Ok(name) = std::str::from_utf8(data) else {
        return;
    };
    if name.is_empty() || name.len() > 200 || name.contains(['/', '\0']) || name == "." || name == ".." {
        return;
    }
    let directory = directory();
    fs::write(directory.path().join(name), "select 1;\n").expect("a file");
    let Some(found) = told(Deltas::read(&[directory.path().to_owned()])) else {
        return;
    };
    let count = found.deltas.len() + found.near_misses.len() + found.pre_all.len() + found.post_all.len();
    assert!(count <= 1);
}

/// A version is written as it was read, and compares as its numbers do.
pub fn version(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut versions = Vec::new();
    for word in text.split_whitespace() {
        if let Some(version) = told(word.parse::<Version>()) {
            assert_eq!(version.to_string().parse::<Version>().expect("its own form"), version);
            versions.push(version);
        }
    }
    versions.sort();
    assert!(versions.is_sorted_by_key(|version| (version.major, version.minor, version.patch)));
}

/// A name of a database is understood or refused, and its password never shown.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(target) = told(Target::new(text)) {
        let secret = "c4n4ry-s3cr3t";
        let shows = |target: &Target| format!("{target} {} {target:?}", target.name()).contains(secret);
        // A fuzzer learns the word, and names a database so.
        if !shows(&target) {
            assert!(!shows(&target.with("password", secret)));
        }
    }
}

/// A service file names services, and each is found in it, or a line of it refused. A value is part of one line.
pub fn services(data: &[u8]) {
    for name in service_names(data) {
        assert!(!name.is_empty() && !name.contains(['\n', ']']));
        // Two of one name: the first is meant.
        let section = told(service_section(data, &name));
        for (keyword, value) in section
            .map(|section| section.expect("what was listed"))
            .unwrap_or_default()
        {
            assert!(!keyword.contains(['=', '\n']) && !value.contains('\n'));
            let line = format!("{keyword}={value}");
            let stands = |text: &[u8]| text.windows(line.len()).any(|found| found == line.as_bytes());
            assert!(stands(data), "{line:?} is not in the file");
        }
    }
}

/// A snapshot, a rehearsal and a file of expectations are read or refused; what was read is written as it was.
pub fn documents(data: &[u8]) {
    let path = file("document.json", data);
    if let Some(catalog) = told(Catalog::load(&path)) {
        let again = file("again.json", catalog.to_json().as_bytes());
        assert_eq!(
            Catalog::load(&again).expect("its own form").to_json(),
            catalog.to_json()
        );
    }
    let path = signed(data).unwrap_or(path);
    if let Some(contract) = told(Contract::load(&path)) {
        contract.to_text();
        contract.to_html(&HtmlOptions { moment: None });
    }
    if let Some(expectations) = told(Expectations::read(&path)) {
        let again = file("again.json", expectations.to_json().as_bytes());
        assert_eq!(
            Expectations::read(&again).expect("its own form").len(),
            expectations.len()
        );
    }
}

/// A rehearsal with a digest that fits, so that more of it is read than its digest.
fn signed(data: &[u8]) -> Option<PathBuf> {
    let mut document: Value = serde_json::from_slice(data).ok()?;
    document.as_object_mut()?.remove("digest");
    let digest: String = Sha256::digest(document.to_string())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    document
        .as_object_mut()?
        .insert("digest".to_owned(), Value::String(digest));
    Some(file("signed.json", document.to_string().as_bytes()))
}
