//! What reaches a terminal or a pipe.

use std::process::Stdio;

use crate::support::{Ended, Place, TABLE, database, empty_database, server, sql};

const HOSTILE: &str = "\x1b]0;pwned\x07\x1b[2J\u{202e}\u{9b}31m\r\nerror: forged";

/// Nothing that a terminal acts on.
fn harmless(ended: &Ended) {
    for stream in [&ended.stdout, &ended.stderr] {
        let bad = stream
            .chars()
            .find(|&character| character.is_control() && character != '\n' || character == '\u{202e}');
        assert_eq!(bad, None, "{ended:#?}");
        assert!(
            !stream.lines().any(|line| line.starts_with("error: forged")),
            "{ended:#?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away() {
    let target = database("pipe");
    let deltas: Vec<(String, String)> = (1..2000)
        .map(|number| {
            (
                format!("delta_1.1.{number}_{}.sql", "x".repeat(100)),
                "select 1;".to_owned(),
            )
        })
        .collect();
    let deltas: Vec<(&str, &str)> = deltas
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let place = Place::with_deltas(&deltas);
    let script = r#""$0" "$@" 2>said | head -1; echo "${PIPESTATUS[0]}" >code"#;
    let output = place
        .program("bash")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_pum"),
            "info",
            "-t",
            TABLE,
            "-d",
            "deltas",
            "-p",
        ])
        .arg(target.name())
        .output()
        .unwrap();
    let first = String::from_utf8(output.stdout).unwrap();
    assert!(first.contains("is at version 1.0.0"), "{first}");
    assert_eq!(std::fs::read_to_string(place.path("said")).unwrap(), "");
    assert_eq!(std::fs::read_to_string(place.path("code")).unwrap(), "0\n");
}

#[test]
fn nobody_reads_the_story() {
    // Standard error closed at once: the upgrade goes on and is whole.
    let target = database("pipe");
    let place = Place::with_deltas(&[
        (
            "delta_1.1.0_a.sql",
            "do $$ begin for i in 1..100 loop raise warning 'a'; end loop; end $$;",
        ),
        ("delta_1.2.0_b.sql", "create table public.b();"),
    ]);
    let mut child = place
        .command(&["upgrade", "-p", &target.name(), "-t", TABLE, "-d", "deltas"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(
        sql(&target, "select max(version) from water_sys.upgrades where success"),
        "1.2.0"
    );
}

#[test]
fn no_escape_codes_in_pipes_and_with_no_color() {
    let target = database("colour");
    let other = empty_database("colour");
    sql(&other, "create table public.a(id int);\nselect ''");
    for variable in [("NO_COLOR", "1"), ("TERM", "xterm-256color"), ("TERM", "dumb")] {
        let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select nothing;")]).set(variable.0, variable.1);
        // Ended looks for escape codes.
        place.upgrade(&target, &[]).fails(1);
        place.pum(&["check", "-p1", &target.name(), "-p2", &other.name()]);
        place.pum(&["--help"]);
        place.pum(&["upgrade", "--nonsense"]).fails(2);
    }
    // On a terminal there are colours, but not with NO_COLOR.
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select nothing;")]).set("TERM", "xterm");
    let command = format!(
        "{} upgrade -p '{}' -t {TABLE} -d deltas",
        env!("CARGO_BIN_EXE_pum"),
        target.name()
    );
    let on_terminal = |place: &Place| {
        let output = place
            .program("script")
            .args(["-qec", &command, "/dev/null"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let coloured = on_terminal(&place);
    assert!(
        coloured.contains("\x1b[") && coloured.contains("nothing"),
        "{coloured:?}"
    );
    let plain = on_terminal(&place.set("NO_COLOR", "1"));
    assert!(
        !plain.contains("\x1b[1m") && !plain.contains("\x1b[31m") && plain.contains("nothing"),
        "{plain:?}"
    );
}

#[test]
fn what_the_server_says_to_each_session_is_told_once_and_as_text() {
    let plain = database("greeted");
    let is_new = "select (current_setting('server_version_num')::int >= 150000)::text";
    if sql(&plain, is_new) != "true" {
        return;
    }
    // The server warns of it, with the name, before anybody can ask it not to.
    let name = "greeted\x1b[31m";
    sql(
        &server().target("postgres"),
        &format!("create database \"{name}\" template baselined;\nselect ''"),
    );
    let target = server().target(name);
    sql(
        &target,
        "update pg_database set datcollversion = '1.2.3' where datname = current_database();\nselect ''",
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    // Also where libpq itself waits for the connection.
    for target in [target.clone(), target.with("connect_timeout", "20")] {
        let name = target.name();
        for words in [
            &["info", "-p", &name, "-t", TABLE, "-d", "deltas"][..],
            &["upgrade", "-p", &name, "-t", TABLE, "-d", "deltas"],
            &["check", "-p1", &name, "-p2", &name],
        ] {
            let ended = place.pum(words);
            harmless(&ended);
            assert_eq!(ended.code, 0, "{ended:#?}");
            let told = ended.stderr.matches("collation version").count();
            assert!(told == 1, "{ended:#?}");
        }
    }
}

#[test]
fn hostile_notices_and_errors() {
    let target = database("hostile");
    let text = format!(
        "do $$ begin raise warning '%', E'{0}'; raise notice '%', E'{0}'; end $$;\n\
         do $$ begin raise exception '%', E'{0}' using detail = E'{0}', hint = E'{0}'; end $$;\n",
        HOSTILE
            .replace('\x1b', "\\x1b")
            .replace('\x07', "\\x07")
            .replace('\r', "\\r")
            .replace('\n', "\\n")
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", &text)]);
    let output = place
        .command(&["upgrade", "-p", &target.name(), "-t", TABLE, "-d", "deltas", "-vv"])
        .output()
        .unwrap();
    let ended = Ended::new(&output, &["upgrade"]).fails(1);
    harmless(&ended);
    ended.says(&["pwned", "\\x1b]0;", "SQLSTATE: P0001"]);
}

#[test]
fn hostile_names() {
    let name = format!("hostile {HOSTILE}");
    let quoted = pum::quote_identifier(&name);
    let target = server().create_database_from(&name, "baselined").unwrap();
    sql(
        &target,
        &format!("create table public.{quoted}({quoted} int check ({quoted} > 0));\nselect ''"),
    );
    let other = empty_database("hostile");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", &format!("insert into public.{quoted} values (0);"))]);
    for words in [
        &["check", "-p1", &target.name(), "-p2", &other.name(), "-v", "2"][..],
        &["check", "-p1", &target.name(), "-p2", &other.name(), "--format", "json"],
        &["info", "-p", &target.name(), "-t", TABLE, "-d", "deltas"],
        &[
            "info",
            "-p",
            &target.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
            "--format",
            "json",
        ],
        &[
            "upgrade",
            "-p",
            &target.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
            "--dry-run",
        ],
        &["upgrade", "-p", &target.name(), "-t", TABLE, "-d", "deltas"],
        &["dump", "-p", &target.name(), "hostile.backup"],
        &["restore", "-p", &target.name(), "hostile.backup"],
        &["restore", "-p", &other.name(), "hostile.backup"],
        &[
            "test",
            "-pp",
            &target.name(),
            "-pc",
            &other.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
        ],
        &["baseline", "-p", &target.name(), "-t", TABLE, "-b", "1.0.0"],
        &["dump", "-p", &target.name(), "missing/hostile.backup"],
        &["info", "-p", &name, "-t", TABLE, "-d", "deltas"],
        &["info", "-p", "a", "-t", &quoted, "-d", "deltas"],
        &["info", "-p", "a", "-t", TABLE, "-d", &name],
        &["-c", &name, "config"],
        &["upgrade", "-p", "a", "-t", TABLE, "-d", "deltas", "-u", &name],
        &["check", "-p1", "a", "-p2", "b", "-i", &name],
    ] {
        harmless(&place.pum(words));
    }
}

#[test]
fn hostile_file_names() {
    let target = database("hostile");
    let place = Place::with_deltas(&[]);
    let name = "delta_1.1.0_\x1b[2J\x07.sql";
    place.write(&format!("deltas/{name}"), "select 1;");
    for words in [
        &["info", "-p", &target.name(), "-t", TABLE, "-d", "deltas"][..],
        &["upgrade", "-p", &target.name(), "-t", TABLE, "-d", "deltas"],
        &[
            "upgrade",
            "-p",
            &target.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
            "--allow-near-misses",
        ],
    ] {
        harmless(&place.pum(words));
    }
}
