//! On a terminal, which `script` of util-linux makes.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use pum::{Connection, Run, Server};

use crate::{Place, execute, support};

/// Runs the command on a terminal with this typed in, and gives what the terminal showed.
pub(crate) fn on_terminal(place: &Place, line: &str, typed: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = place.hermetic("script");
    command
        .arg("-qec")
        .arg(format!("{} {line}", env!("CARGO_BIN_EXE_pum")))
        .arg("/dev/null")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A person types after the question is there.
    let typed: Vec<String> = typed.iter().map(|&text| text.to_owned()).collect();
    let typing = std::thread::spawn(move || {
        for text in typed {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            let _ = input.write_all(text.as_bytes());
        }
        std::thread::sleep(std::time::Duration::from_millis(1500));
    });
    let output = child.wait_with_output().unwrap();
    typing.join().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// Whether a terminal can be made; in CI it must be.
pub(crate) fn has_script() -> bool {
    let started = Command::new("script").arg("--version").stdout(Stdio::null()).status();
    if let Err(error) = &started {
        let sentence =
            format!("Nothing was looked at on a terminal: script cannot be started ({error}). Install util-linux.");
        assert!(std::env::var_os("CI").is_none(), "{sentence}");
        // Not by a macro, so that it is shown though the test passes.
        let shown = std::io::stderr().write_all(format!("\n{sentence}\n\n").as_bytes());
        shown.unwrap();
    }
    started.is_ok()
}

#[test]
fn colours_are_for_terminals() {
    if !has_script() {
        return;
    }
    let place = Place::new();
    let (left, right) = (place.database("colour_left"), place.database("colour_right"));
    execute(&left, "create table public.a (id int)");
    let line = format!("check -p1 {left} -p2 {right}");
    let (code, shown) = on_terminal(&place, &line, &[], &[]);
    assert!(code == 1 && shown.contains("\x1b[3"), "{shown:?}");
    let (_, shown) = on_terminal(&place, &line, &[], &[("NO_COLOR", "1")]);
    assert!(!shown.contains("\x1b[3"), "{shown:?}");
    let (_, shown) = on_terminal(&place, &format!("{line} --color never"), &[], &[]);
    assert!(!shown.contains("\x1b[3"), "{shown:?}");
}

#[test]
fn a_password_is_asked_for_on_the_terminal() {
    let place = Place::new();
    let server = Server::start(&support::options(), &Run::new()).unwrap();
    let target = server.create_database("secret").unwrap();
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    connection
        .execute("create role ann login superuser password 'open sesame'")
        .unwrap();
    let rules = connection.query("select current_setting('hba_file')", &[]).unwrap();
    let file = rules.value(0, 0).unwrap().to_owned();
    std::fs::write(&file, "local all ann scram-sha-256\nlocal all all trust\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    connection
        .execute("select pg_reload_conf(); select pg_sleep(0.3)")
        .unwrap();
    let conninfo = format!("host={} user=ann dbname=secret", server.socket_directory().display());

    // Without a terminal it is an error that says what to do, and the given one is used.
    let line = format!("check -p1 '{conninfo}' -p2 '{conninfo}'");
    let mut command = place.hermetic("setsid");
    command
        .arg("-w")
        .arg(env!("CARGO_BIN_EXE_pum"))
        .args(["check", "-p1", &conninfo, "-p2", &conninfo]);
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("password"), "{err}");
    let output = command.env("PGPASSWORD", "open sesame").output().unwrap();
    assert_eq!(output.status.code(), Some(0));

    if !has_script() {
        return;
    }
    let (code, shown) = on_terminal(&place, &line, &["open sesame\n", "open sesame\n"], &[]);
    assert!(
        code == 0 && shown.matches("Password for ").count() == 2,
        "{code} {shown}"
    );
    assert!(!shown.contains("sesame"), "{shown}");
    let (code, shown) = on_terminal(&place, &line, &["wrong\n"], &[]);
    assert!(code == 2 && shown.contains("authentication failed"), "{code} {shown}");
    // Ctrl-C at the prompt.
    let (code, shown) = on_terminal(&place, &line, &["op", "\x03"], &[]);
    assert_eq!(code, 130, "{shown}");
    // `-W` asks where nobody would.
    let trusting = conninfo.replace("ann", "postgres");
    let (code, shown) = on_terminal(
        &place,
        &format!("check -W -p1 '{trusting}' -p2 '{trusting}'"),
        &["x\n", "x\n"],
        &[],
    );
    assert!(
        code == 0 && shown.matches("Password for ").count() == 2,
        "{code} {shown}"
    );
}
