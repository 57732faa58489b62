//! Copies of production: room for them, and what killed runs leave.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pum::{BaselineOptions, Connection, Run, Server, ServerOptions, Target};

/// Production, on a server that can be replicated, and the files of its upgrade.
struct Production {
    server: Server,
    target: Target,
    files: tempfile::TempDir,
}

const STRUCTURE: &str = "create schema town; create table town.house (id int primary key, note text);
    create index on town.house (note);";

impl Production {
    fn new(rows: u32) -> Production {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = ServerOptions {
            settings: vec![setting("wal_level", "replica"), setting("max_wal_senders", "10")],
            ..ServerOptions::default()
        };
        let server = Server::start(&options, &Run::new()).unwrap();
        let target = server.create_database("town").unwrap();
        Connection::open(&target, &Run::new())
            .unwrap()
            .execute(&format!(
                "{STRUCTURE} insert into town.house select n, md5(n::text) || repeat('x', 200) from generate_series(1, {rows}) n; analyze"
            ))
            .unwrap();
        let options = BaselineOptions::new("pum_sys.upgrades".parse().unwrap(), "1.0.0".parse().unwrap());
        pum::baseline(&target, &options, &Run::new()).unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::create_dir(files.path().join("deltas")).unwrap();
        std::fs::write(files.path().join("create.sql"), STRUCTURE).unwrap();
        std::fs::write(
            files.path().join("pum.yaml"),
            "upgrades_table: pum_sys.upgrades\ndelta_dir: deltas\nexpected: {sql: [create.sql]}\n",
        )
        .unwrap();
        Production { server, target, files }
    }

    fn pum(&self, temporary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pum"));
        command
            .args(["test", "-pp", &self.target.to_string()])
            .args(arguments)
            .env("TMPDIR", temporary)
            .current_dir(self.files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn value(&self, sql: &str) -> String {
        let mut connection = Connection::open(&self.server.target("postgres"), &Run::new()).unwrap();
        connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
    }
}

/// What is in a directory, and what programs name it.
fn left_in(directory: &Path) -> Vec<String> {
    let mut left: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let programs = Command::new("ps").args(["-eo", "args="]).output().unwrap();
    let name = directory.to_string_lossy();
    left.extend(
        String::from_utf8_lossy(&programs.stdout)
            .lines()
            .filter(|line| line.contains(&*name))
            .map(str::to_owned),
    );
    left
}

fn temporary() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("pt-").tempdir_in("/tmp").unwrap();
    // The server's user goes through it to its own.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(directory.path(), open).unwrap();
    directory
}

#[test]
fn what_killed_copies_leave_is_found_and_removed() {
    let production = Production::new(40_000);
    let test = production.server.target("town_copy").to_string();
    let before = production.value("select string_agg(datname, ',' order by datname) from pg_database");
    for arguments in [
        &["--copy", "restore", "-j", "2"][..],
        &["--copy", "physical"],
        &["--copy", "template", "-pt", &test],
    ] {
        let temporary = temporary();
        let started = Instant::now();
        let output = production.pum(temporary.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(left_in(temporary.path()), Vec::<String>::new(), "{arguments:?}");
        let whole = started.elapsed();
        let mut orphans = 0;
        for point in 1..6 {
            let mut child = production.pum(temporary.path(), arguments).spawn().unwrap();
            std::thread::sleep(whole * point / 6);
            child.kill().unwrap();
            child.wait().unwrap();
            orphans += left_in(temporary.path()).len();
        }
        assert!(orphans > 0, "{arguments:?}: nothing was under way");
        // A server of production's that still copies has to come to its end first.
        let deadline = Instant::now() + Duration::from_secs(60);
        while production.value("select count(*)::text from pg_stat_activity where query like 'create database%' and pid <> pg_backend_pid()") != "0" {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(50));
        }
        let output = production.pum(temporary.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(left_in(temporary.path()), Vec::<String>::new(), "{arguments:?}");
        assert_eq!(production.value("select count(*)::text from pg_replication_slots"), "0");

        // Ctrl-C leaves nothing to find.
        let mut child = production.pum(temporary.path(), arguments).spawn().unwrap();
        std::thread::sleep(whole / 2);
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        child.wait().unwrap();
        assert_eq!(left_in(temporary.path()), Vec::<String>::new(), "{arguments:?}");
    }
    let after = production.value("select string_agg(datname, ',' order by datname) from pg_database");
    // Ctrl-C comes before or after the copy by template is there; half of one never is.
    assert_eq!(after.replace(",town_copy", ""), before);
    assert_eq!(
        production.value("select count(*)::text from pg_database where not datallowconn and datname <> 'template0'"),
        "0"
    );
}

/// A small disk, while the value lives. Only root can make one.
struct Disk(PathBuf);

impl Disk {
    fn new(place: &Path) -> Option<Disk> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=60m,mode=1777", "tmpfs"])
            .arg(place)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Disk(place.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_copy_that_does_not_fit_is_refused_before_it_is_begun() {
    let place = temporary();
    let Some(_disk) = Disk::new(place.path()) else {
        assert!(std::env::var_os("CI").is_none(), "a small disk cannot be made");
        eprintln!("a small disk cannot be made by this user: not tested");
        return;
    };
    let production = Production::new(250_000);
    for arguments in [&["--copy", "restore"][..], &["--copy", "physical"]] {
        let output = production.pum(place.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(
            said.contains("the copy of production needs about")
                && said.contains("are free there")
                && said.contains("TMPDIR"),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("nothing was copied"), "{said}");
        assert!(!said.contains("[2/"), "{said}");
        assert_eq!(left_in(place.path()), Vec::<String>::new());
    }
    // The structure fits, and a sample.
    for arguments in [&["--schema-only"][..], &["--sample", "1%"]] {
        let output = production.pum(place.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(
            said.contains("with 1% of the rows of large tables"),
            arguments[0] == "--sample",
            "{said}"
        );
    }
}
