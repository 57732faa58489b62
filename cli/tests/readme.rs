//! The examples of the READMEs are run, and their output is what stands there.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pum::{Run, Server, ServerOptions};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of the code blocks of a language.
fn blocks(file: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let open = format!("```{language}\n");
    text.split(&open)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// A copy of the example that may be written to, and a server of its own.
struct Stage {
    directory: tempfile::TempDir,
    server: Server,
}

impl Stage {
    fn new() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("cp")
            .arg("-r")
            .arg(root().join("examples/water/."))
            .arg(directory.path())
            .status();
        assert!(status.unwrap().success());
        let server = Server::start(&ServerOptions::default(), &Run::new()).unwrap();
        Stage { directory, server }
    }

    fn run(&self, script: &str) -> Output {
        let pum = Path::new(env!("CARGO_BIN_EXE_pum")).parent().unwrap();
        let path = format!("{}:{}", pum.display(), std::env::var("PATH").unwrap());
        Command::new("bash")
            .args(["-c", script])
            .current_dir(self.directory.path())
            .env("PATH", path)
            .env("PGHOST", self.server.socket_directory())
            .env("PGPORT", "5432")
            .env("PGUSER", "postgres")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// Whether a text is what was expected, where `...` stands for anything: for lines when it is a line.
fn matches(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&"...", rest)) => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        Some((line, rest)) => found
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && matches(rest, others)),
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    let parts: Vec<&str> = expected.trim_end().split("...").collect();
    let mut rest = found.trim_end();
    for (index, part) in parts.iter().enumerate() {
        let Some(place) = rest.find(part) else { return false };
        if index == 0 && place != 0 {
            return false;
        }
        rest = &rest[place + part.len()..];
    }
    rest.is_empty() || parts.len() > 1 && parts[parts.len() - 1].is_empty()
}

fn assert_matches(command: &str, expected: &str, output: &Output) {
    let found = String::from_utf8_lossy(&output.stdout);
    let (wanted, got): (Vec<&str>, Vec<&str>) = (
        expected.trim_end().lines().collect(),
        found.trim_end().lines().collect(),
    );
    assert!(
        matches(&wanted, &got),
        "$ {command}\nexpected\n{expected}\nfound\n{found}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_readme_shows_what_the_commands_print() {
    let stage = Stage::new();
    let mut blocks = blocks("README.md", "console").into_iter();
    // The demo shows commands itself.
    let demo = blocks.next().unwrap();
    let expected = demo.strip_prefix("$ pum demo\n").unwrap();
    assert_matches("pum demo", expected, &stage.run("pum demo"));
    let mut commands = 0;
    for block in blocks {
        for example in format!("\n{block}").split("\n$ ").skip(1) {
            let (command, expected) = example.split_once('\n').unwrap_or((example, ""));
            let output = stage.run(command);
            assert!(output.status.success(), "{command}: {output:?}");
            assert_matches(command, expected, &output);
            commands += 1;
        }
    }
    assert!(commands >= 5, "{commands}");
}

#[test]
fn the_readme_of_the_example_can_be_followed() {
    let stage = Stage::new();
    let mut commands = 0;
    for block in blocks("examples/water/README.md", "sh") {
        for command in block
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("alias"))
        {
            let output = stage.run(command);
            // Brenn has a drift, which is what the example is about.
            let drift =
                command.contains("-pp dbname=brenn") || command == "pum check -p1 dbname=brenn -p2 dbname=fresh";
            assert_eq!(output.status.code(), Some(i32::from(drift)), "{command}: {output:?}");
            commands += 1;
        }
    }
    assert!(commands >= 15, "{commands}");
}
