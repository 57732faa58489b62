//! Sessions on a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pum::{Connection, ErrorKind, Event, Run, Target, TransactionStatus};

#[test]
fn a_query_returns_text_and_nulls() {
    let mut connection = Connection::open(&support::database("query"), &Run::new()).unwrap();
    let rows = connection
        .query("select $1::text, null::text, 1 + $2::int", &[Some("é'\""), Some("2")])
        .unwrap();
    assert_eq!(
        (rows.len(), rows.value(0, 0), rows.value(0, 1), rows.value(0, 2)),
        (1, Some("é'\""), None, Some("3"))
    );
}

#[test]
fn an_error_carries_the_servers_fields_and_the_session_lives_on() {
    let mut connection = Connection::open(&support::database("error"), &Run::new()).unwrap();
    let error = connection
        .run_statement("select é, no_such from (select 1 as é) x", None)
        .unwrap_err();
    let server = error.server().unwrap();
    assert_eq!(
        (error.kind(), server.sqlstate.as_str(), server.position),
        (ErrorKind::Server, "42703", Some(11))
    );
    assert_eq!(
        connection
            .run_statement("select generate_series(1, 3)", None)
            .unwrap()
            .rows,
        3
    );
}

#[test]
fn copy_data_is_streamed_and_its_errors_are_told() {
    let target = support::database("copy");
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    connection.execute("create table public.t (a int)").unwrap();
    let mut pieces = (0..1000).map(|number| format!("{number}\n").into_bytes());
    let done = connection
        .run_statement("copy public.t from stdin", Some(&mut || Ok(pieces.next())))
        .unwrap();
    assert_eq!((done.tag.as_str(), done.rows), ("COPY 1000", 1000));
    let mut bad = std::iter::once(b"x\n".to_vec());
    let error = connection
        .run_statement("copy public.t from stdin", Some(&mut || Ok(bad.next())))
        .unwrap_err();
    assert_eq!(error.sqlstate(), Some("22P02"));
    let error = connection.run_statement("copy public.t from stdin", None).unwrap_err();
    assert_eq!(error.sqlstate(), Some("57014"));
    assert_eq!(
        connection
            .query("select count(*)::text from public.t", &[])
            .unwrap()
            .value(0, 0),
        Some("1000")
    );
}

#[test]
fn cancelling_reaches_the_server_and_rolls_back() {
    let target = support::database("cancel");
    let run = Run::new();
    let mut connection = Connection::open(&target, &run).unwrap();
    connection.execute("begin; create table public.t ()").unwrap();
    let cancel = run.cancel().clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
    });
    let begun = Instant::now();
    let error = connection.run_statement("select pg_sleep(60)", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(10));
    connection.rollback();
    assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
    assert_eq!(
        connection.query("select 1", &[]).err().unwrap().kind(),
        ErrorKind::Cancelled
    );
}

#[test]
fn notices_reach_the_listener_while_the_statement_runs() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let run = Run::new().on_event(move |event| {
        if let Event::Notice(notice) = event {
            listener.lock().unwrap().push((notice.severity, notice.message));
        }
    });
    let mut connection = Connection::open(&support::database("notice"), &run).unwrap();
    connection
        .run_statement("do $$ begin raise warning 'low'; end $$", None)
        .unwrap();
    assert_eq!(*heard.lock().unwrap(), [("WARNING".to_owned(), "low".to_owned())]);
}

#[test]
fn a_notice_that_comes_again_and_again_is_told_once_with_how_often() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let run = Run::new().on_event(move |event| listener.lock().unwrap().push(event));
    let mut connection = Connection::open(&support::database("flood"), &run).unwrap();
    let sql = "do $$ begin for i in 1..50000 loop raise notice 'same'; end loop; raise notice 'other'; end $$";
    connection.run_statement(sql, None).unwrap();
    let heard: Vec<String> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|event| match event {
            Event::Notice(notice) => notice.message.clone(),
            Event::Message(text) => text.clone(),
            _ => String::new(),
        })
        .collect();
    assert_eq!(heard, ["same", "49999 more notices like this one", "other"]);
}

#[test]
fn a_lost_connection_is_told_from_an_error() {
    let target = support::database("lost");
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    let mut other = Connection::open(&target, &Run::new()).unwrap();
    let pid = connection.backend_pid().to_string();
    other
        .query("select pg_terminate_backend($1::int)", &[Some(&pid)])
        .unwrap();
    let error = connection.query("select 1", &[]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert_eq!(connection.transaction_status(), TransactionStatus::Unknown);
}

#[test]
fn refusals_repeat_libpq_and_no_password() {
    let run = Run::new();
    let missing = support::server().target("no_such_database").with("password", "s3cret");
    let error = Connection::open(&missing, &run).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(
        error.message().contains("database \"no_such_database\" does not exist"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("s3cret"));
    let away = Target::new("host=127.0.0.1 port=1 dbname=x user=y").unwrap();
    let error = Connection::open(&away, &run).err().unwrap();
    assert!(error.message().contains("Connection refused"), "{error}");
}

#[test]
fn children_get_the_connection_by_environment() {
    let target = support::database("environment");
    let connection = Connection::open(&target.clone().with("password", "x"), &Run::new()).unwrap();
    let environment = connection.environment();
    let value = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.clone())
    };
    assert_eq!(value("PGDATABASE"), connection.parameter("dbname"));
    assert_eq!(
        value("PGHOST").as_deref(),
        Some(&*support::server().socket_directory().to_string_lossy())
    );
    assert_eq!(value("PGPASSWORD").as_deref(), Some("x"));
}

#[test]
fn cancelling_ends_a_copy_to_stdout_and_a_copy_from_a_long_script() {
    let target = support::database("cancel_copy");
    Connection::open(&target, &Run::new())
        .unwrap()
        .execute("create table public.t (a int)")
        .unwrap();
    for sql in ["copy (select pg_sleep(60)) to stdout", "copy public.t from stdin"] {
        let run = Run::new();
        let mut connection = Connection::open(&target, &run).unwrap();
        let cancel = run.cancel().clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        });
        let begun = Instant::now();
        let error = connection
            .run_statement(sql, Some(&mut || Ok(Some(b"1\n".repeat(1000)))))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{sql}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{sql}");
    }
}

#[test]
fn no_variable_of_the_environment_leads_away_from_a_throw_away_server() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args(["--exact", "a_throw_away_server_answers", "--ignored"])
        .env("PGHOSTADDR", "127.0.0.1")
        .env("PGPORT", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "runs in a child process with another environment"]
fn a_throw_away_server_answers() {
    Connection::open(&support::database("environment"), &Run::new()).unwrap();
}

#[test]
fn a_cancelled_run_ends_when_the_network_is_silent() {
    let (port, stalled) = support::network_that_can_stall();
    let run = Run::new();
    let mut connection = Connection::open(&support::through(port, "silent"), &run).unwrap();
    connection.execute("begin").unwrap();
    stalled.store(true, std::sync::atomic::Ordering::SeqCst);
    let cancel = run.cancel().clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
    });
    let begun = Instant::now();
    let error = connection.run_statement("select 1", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert!(error.message().contains("has not answered for 10 s"), "{error}");
    connection.rollback();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    stalled.store(false, std::sync::atomic::Ordering::SeqCst);
}

#[test]
fn a_link_on_which_nothing_comes_back_is_noticed_within_a_minute_unless_the_user_says_otherwise() {
    let (port, _) = support::network_that_can_stall();
    let connection = Connection::open(&support::through(port, "link"), &Run::new()).unwrap();
    let setting = |connection: &Connection, name: &str| connection.parameter(name).unwrap_or_default();
    assert_eq!(setting(&connection, "keepalives_idle"), "30");
    assert_eq!(setting(&connection, "tcp_user_timeout"), "60000");
    let target = support::through(port, "link").with("keepalives_idle", "7");
    let connection = Connection::open(&target, &Run::new()).unwrap();
    assert_eq!(setting(&connection, "keepalives_idle"), "7");
}

#[test]
fn a_password_that_nobody_gave_is_told_from_a_wrong_one() {
    use std::os::unix::fs::PermissionsExt;
    // The server's user reads it, whoever that is.
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rules.path(), "local all locked scram-sha-256\nlocal all all trust\n").unwrap();
    std::fs::set_permissions(rules.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let options = pum::ServerOptions {
        settings: vec![("hba_file".to_owned(), rules.path().display().to_string())],
        ..support::options()
    };
    let server = pum::Server::start(&options, &Run::new()).unwrap();
    let target = server.create_database("locked").unwrap();
    Connection::open(&target, &Run::new())
        .unwrap()
        .execute("create role locked login password 'right'")
        .unwrap();
    let locked = target.with("user", "locked");
    let kind = |target: &Target| {
        Connection::open(target, &Run::new())
            .map_err(|error| error.kind())
            .err()
    };
    assert_eq!(kind(&locked), Some(ErrorKind::PasswordNeeded));
    assert_eq!(
        kind(&locked.clone().with("password", "wrong")),
        Some(ErrorKind::Connection)
    );
    assert_eq!(kind(&locked.with("password", "right")), None);
}
