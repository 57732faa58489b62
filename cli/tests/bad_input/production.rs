//! Databases that must not be written to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use crate::support::{Place, TABLE, contents, database, empty_database, server, sql, start, text};

/// Another way to the server: a port of this machine.
pub(crate) fn forwarded() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = server().socket_directory().join(".s.PGSQL.5432");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = UnixStream::connect(&socket) else {
                continue;
            };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass_on(from, to));
            std::thread::spawn(move || pass_on(server, client));
        }
    });
    port
}

fn pass_on(mut from: impl Read, mut to: impl Write + Shut) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    to.shut();
}

trait Shut {
    fn shut(&self);
}

impl Shut for TcpStream {
    fn shut(&self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

impl Shut for UnixStream {
    fn shut(&self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

#[test]
fn test_is_production_by_another_name() {
    let production = database("production");
    let name = sql(&production, "select current_database()");
    let before = contents(&production);
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let link = place.path("link");
    std::os::unix::fs::symlink(server().socket_directory(), &link).unwrap();
    place.write(
        ".pg_service.conf",
        format!(
            "[copy]\nhost={}\nport=5432\nuser=postgres\ndbname={name}\n",
            server().socket_directory().display()
        ),
    );
    let expected = empty_database("expected");
    let by_port = format!(
        "postgresql://postgres@127.0.0.1:{}/{name}?sslmode=disable&gssencmode=disable",
        forwarded()
    );
    let by_link = format!("host={} user=postgres dbname={name}", text(&link));
    for alias in [production.name().as_str(), "copy", &by_port, &by_link] {
        for (test, comparison, what) in [
            (alias, expected.name().as_str(), "the test database is production"),
            (expected.name().as_str(), alias, "the comparison database is production"),
        ] {
            for command in [&["test"][..], &["test-and-upgrade", "--yes", "--overwrite-test"]] {
                let words = [
                    "-pp",
                    &production.name(),
                    "-pt",
                    test,
                    "-pc",
                    comparison,
                    "-t",
                    TABLE,
                    "-d",
                    "deltas",
                ];
                place
                    .pum(&[command, &words].concat())
                    .fails(3)
                    .says(&[what, "production was only read"])
                    .helps(&["name another database"]);
                assert_eq!(contents(&production), before);
            }
        }
    }
    // And one database cannot be both.
    let words = [
        "-pp",
        &production.name(),
        "-pt",
        &expected.name(),
        "-pc",
        &expected.name(),
        "-t",
        TABLE,
        "-d",
        "deltas",
    ];
    place
        .pum(&[&["test"][..], &words].concat())
        .fails(3)
        .says(&["the comparison database is the test database"])
        .helps(&[]);
}

#[test]
fn the_test_database_is_somebody_elses() {
    let production = database("production");
    let test = empty_database("theirs");
    sql(&test, "create table public.precious(id int);\nselect ''");
    let expected = empty_database("expected");
    let before = (contents(&test), contents(&production));
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    place
        .pum(&[
            "test",
            "-pp",
            &production.name(),
            "-pt",
            &test.name(),
            "-pc",
            &expected.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
        ])
        .fails(3)
        .says(&["holds something that pum did not make", "production was only read"])
        .helps(&["--overwrite-test"]);
    assert_eq!((contents(&test), contents(&production)), before);
}

#[test]
fn nothing_to_compare_with() {
    let production = database("production");
    let place = Place::with_deltas(&[]);
    place
        .pum(&["test", "-pp", &production.name(), "-t", TABLE, "-d", "deltas"])
        .fails(2)
        .says(&["nothing to compare"])
        .helps(&["-pc", "expected"]);
}

#[test]
fn no_answer_leaves_production_alone() {
    let production = database("production");
    let expected = database("expected");
    sql(&expected, "create table public.a();\nselect ''");
    let before = contents(&production);
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    // The end of the input is a no.
    let ended = place.pum(&[
        "test-and-upgrade",
        "-pp",
        &production.name(),
        "-pc",
        &expected.name(),
        "-t",
        TABLE,
        "-d",
        "deltas",
    ]);
    assert_eq!(ended.code, 0, "{ended:#?}");
    assert!(ended.stdout.contains("was left as it was"), "{ended:#?}");
    assert_eq!(contents(&production), before);
}

#[test]
fn a_database_that_is_read_only_by_default() {
    // The default is a default: an upgrade says read write itself, as the one who set it can.
    let target = database("default");
    let name = sql(&target, "select current_database()");
    sql(
        &target,
        &format!("alter database {name} set default_transaction_read_only = on;\nselect ''"),
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    place.upgrade(&target, &[]).succeeds();
    assert_eq!(
        sql(&target, "select max(version) from water_sys.upgrades where success"),
        "1.1.0"
    );
}

#[test]
fn a_standby_as_target() {
    let mut server = start(&[("wal_level", "replica"), ("hot_standby", "on")]);
    let target = server.create_database("standby").unwrap();
    let options = pum::BaselineOptions::new(TABLE.parse().unwrap(), "1.0.0".parse().unwrap());
    pum::baseline(&target, &options, &pum::Run::new()).unwrap();
    let empty = server.create_database("empty").unwrap();
    sql(&target, "checkpoint;\nselect ''");
    let signal = server.socket_directory().join("data/standby.signal");
    std::fs::write(&signal, "").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&signal, std::fs::Permissions::from_mode(0o666)).unwrap();
    server.crash_and_restart().unwrap();
    assert_eq!(sql(&target, "select pg_is_in_recovery()"), "t");

    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    place
        .refused_upgrade(&target, &[])
        .fails(3)
        .says(&["is a standby server", "state: nothing was changed"])
        .helps(&["primary"]);
    place
        .pum(&["baseline", "-p", &target.name(), "-t", TABLE, "-b", "2.0.0"])
        .fails(3)
        .says(&["is a standby server"])
        .helps(&["primary"]);
    // What only reads, works.
    place.upgrade(&target, &["--dry-run"]).succeeds();
    place
        .pum(&["info", "-p", &target.name(), "-t", TABLE, "-d", "deltas"])
        .succeeds();
    place.pum(&["dump", "-p", &target.name(), "water.backup"]).succeeds();
    place
        .pum(&["check", "-p1", &target.name(), "-p2", &target.name()])
        .succeeds();
    place
        .pum(&["restore", "-p", &empty.name(), "water.backup"])
        .fails(3)
        .says(&["standby"])
        .helps(&["primary"]);
    place
        .pum(&[
            "test-and-upgrade",
            "--yes",
            "-pp",
            &target.name(),
            "-pc",
            &empty.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
        ])
        .fails(3)
        .says(&["is a standby server"])
        .helps(&["primary", "pum test"]);
}
