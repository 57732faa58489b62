//! What must hold for every configuration file. It stands apart from the rest because only the command reads one.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

thread_local! {
    static DIRECTORY: RefCell<TempDir> = RefCell::new(tempfile::tempdir().expect("a directory"));
}

/// A file that holds the bytes.
fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = DIRECTORY.with_borrow(|directory| directory.path().join(name));
    fs::write(&path, data).expect("a file");
    path
}

/// A file is read, or refused with a sentence and the line as it stands there; what was read has its lines in the file, is
/// the same when it is read again, and written out as it is shown it says the same.
pub fn configuration(data: &[u8]) {
    let path = file("pum.yaml", data);
    let shown = match pum_cli::configuration(&path) {
        Ok([text, shown]) => {
            assert!(!text.contains(['\0', '\u{1b}']), "{text:?}");
            shown
        }
        Err(error) => {
            assert!(!error.message().is_empty());
            assert_eq!(error.kind(), pum::ErrorKind::Usage, "{error}");
            if let Some(place) = error.location() {
                let line = lines(data).nth(place.line - 1).unwrap_or_default();
                // Asterisks stand for what may be a password.
                let is_shown = |(shown, written)| shown == written || shown == '*';
                assert!(
                    place.text.chars().count() == line.chars().count()
                        && place.text.chars().zip(line.chars()).all(is_shown),
                    "line {}: {error}: {:?}",
                    place.line,
                    place.text
                );
                assert!(
                    place.column <= line.chars().count() + 2,
                    "column {}: {error}",
                    place.column
                );
            }
            return;
        }
    };
    assert_eq!(pum_cli::configuration(&path).expect("the same file")[1], shown);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let settings = shown["settings"].as_array().expect("settings");
    for setting in settings {
        let origin = setting["origin"].as_str().expect("an origin");
        if let Some((_, line)) = origin.rsplit_once("pum.yaml:") {
            let line: usize = line.parse().expect("a line");
            assert!(lines(data).nth(line - 1).is_some(), "{setting} is of no line");
        }
    }
    let again = file("again.yaml", written(settings).as_bytes());
    let again = match pum_cli::configuration(&again) {
        Ok([_, again]) => again,
        Err(error) => panic!("{error}: {}", written(settings)),
    };
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(values(&again), values(&shown));
}

/// As YAML counts them.
fn lines(data: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Databases are shown by their names, without what is secret in them: they are not what stood in the file.
fn is_database(setting: &Value) -> bool {
    let key = setting["key"].as_str().unwrap_or_default();
    key.starts_with("pg_service") || key == "fleet"
}

fn values(shown: &Value) -> Vec<[&Value; 2]> {
    let settings = shown["settings"].as_array().expect("settings");
    settings
        .iter()
        .filter(|setting| !is_database(setting))
        .map(|setting| [&setting["key"], &setting["value"]])
        .collect()
}

/// The settings as YAML, in which nothing is left to how it reads a scalar.
fn written(settings: &[Value]) -> String {
    let (mut text, mut variables) = (String::new(), String::new());
    for setting in settings {
        let (key, value) = (setting["key"].as_str().expect("a key"), &setting["value"]);
        if setting["origin"] == "default"
            || is_database(setting)
            || setting["origin"].as_str().is_some_and(of_environment)
        {
            continue;
        }
        let (out, key) = match key.strip_prefix("variables.") {
            Some(name) => (&mut variables, name),
            None => (&mut text, key),
        };
        let _ = writeln!(out, "{}: {}", quoted(key), flow(value));
    }
    let variables: String = variables.lines().map(|line| format!("  {line}\n")).collect();
    match variables.is_empty() {
        true => text,
        false => format!("{text}variables:\n{variables}"),
    }
}

fn of_environment(origin: &str) -> bool {
    origin.starts_with("environment")
}

fn flow(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", joined(values.iter().map(flow).collect())),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), flow(value)));
            format!("{{{}}}", joined(fields.collect()))
        }
        other => other.to_string(),
    }
}

/// A text in double quotes, whatever is in it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        if (character.is_ascii_graphic() || character == ' ') && !"\"\\".contains(character) {
            out.push(character);
        } else {
            let _ = write!(out, "\\U{:08X}", u32::from(character));
        }
    }
    out + "\""
}
