//! Backups and restores that are killed, that meet a lock, a program that hangs or is none, a disk of the server that is
//! full.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Ended, Place, contents, database, empty_database, sql, text};

const ROWS: u32 = 60_000;

fn filled(name: &str) -> pum::Target {
    let target = empty_database(name);
    sql(
        &target,
        &format!(
            "create table public.pipe(id int primary key, name text);
             insert into public.pipe select n, md5(n::text) from generate_series(1, {ROWS}) n;\nselect ''"
        ),
    );
    target
}

/// The command itself, so that a signal reaches it.
fn spawn(place: &Place, words: &[&str]) -> Child {
    place
        .program(env!("CARGO_BIN_EXE_pum"))
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills it after so long; whether it was still at work.
fn kill(mut child: Child, after: Duration) -> bool {
    std::thread::sleep(after);
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until no session but the one that asks is left: what a killed pum had started does not go on.
fn until_alone(target: &pum::Target) {
    let query = "select (count(*) = 1)::text from pg_stat_activity
                 where datname = current_database() and backend_type = 'client backend'";
    until("the end of its sessions", || sql(target, query) == "true");
}

/// Whether nothing but the backup and its checksums lies there.
fn only_the_backup(place: &Place) -> bool {
    place.files().iter().all(|name| name.starts_with("water.backup"))
}

#[test]
fn a_dump_killed_at_any_moment_is_the_one_of_before_or_the_new_one() {
    let source = filled("dumped");
    let mut at_work = 0;
    for format in ["custom", "plain", "directory"] {
        let place = Place::new();
        let file = place.path("water.backup");
        let words = ["dump", "-F", format, "-p", &source.name(), "water.backup"];
        let begun = Instant::now();
        place.pum(&words).succeeds();
        let whole = begun.elapsed();
        // `sha256sum` reads what lies beside it.
        let sums = place
            .program("sha256sum")
            .args(["--check", "water.backup.sha256"])
            .output();
        assert!(sums.unwrap().status.success());
        for point in 0..8 {
            at_work += u32::from(kill(spawn(&place, &words), whole * point / 8));
            until_alone(&source);
            let target = empty_database("restored");
            place.pum(&["restore", "-p", &target.name(), text(&file)]).succeeds();
            assert_eq!(sql(&target, "select count(*) from public.pipe"), ROWS.to_string());
        }
        place.pum(&words).succeeds();
        assert!(only_the_backup(&place), "{:?}", place.files());
    }
    assert!(at_work > 12, "only {at_work} were killed at work");
}

/// Before power can go: what a backup consists of is on the disk before it has its name, and its directory after.
#[test]
fn a_backup_is_flushed_to_the_disk_before_it_has_its_name() {
    let source = filled("flushed");
    for format in ["custom", "plain", "directory"] {
        let place = Place::new();
        let traced = place
            .program("strace")
            .args(["-f", "-y", "-o", "trace", "-e", "trace=fsync,rename,renameat,renameat2"])
            .args([
                env!("CARGO_BIN_EXE_pum"),
                "dump",
                "-F",
                format,
                "-p",
                &source.name(),
                "water.backup",
            ])
            .output();
        let Ok(traced) = traced else {
            assert!(std::env::var_os("CI").is_none(), "strace is not there");
            println!("strace is not there: not tried");
            return;
        };
        let said = String::from_utf8_lossy(&traced.stderr);
        // As in a container that may not trace.
        if !traced.status.success() && said.contains("strace: ") && said.to_lowercase().contains("ptrace") {
            assert!(std::env::var_os("CI").is_none(), "strace may not trace: {said}");
            println!("strace may not trace: not tried: {said}");
            return;
        }
        assert!(traced.status.success(), "{said}");
        let trace = fs::read_to_string(place.path("trace")).unwrap();
        let calls: Vec<&str> = trace.lines().filter(|call| !call.contains(" = -1 ")).collect();
        let named = calls
            .iter()
            .position(|call| call.contains("rename") && call.contains("water.backup\""))
            .unwrap_or_else(|| panic!("{format}: {trace}"));
        let (before, after) = calls.split_at(named);
        let flushed = |calls: &[&str], what: &str| {
            let flushed = calls
                .iter()
                .filter(|call| call.contains("fsync(") && call.contains(what));
            flushed.count()
        };
        // In a directory, its table of contents, the data of a table, and itself.
        let wanted = if format == "directory" { 3 } else { 1 };
        assert!(flushed(before, ".part") >= wanted, "{format}: {trace}");
        let directory = place.path("").canonicalize().unwrap();
        // Of a call that another process interrupts, nothing follows the directory but `<unfinished ...>`.
        let directory = format!("<{}>", text(&directory).trim_end_matches('/'));
        assert!(flushed(after, &directory) > 0, "{format}: {trace}");
    }
}

#[test]
fn a_restore_killed_at_any_moment_is_whole_or_nothing() {
    let source = filled("restored");
    let place = Place::new();
    place.pum(&["dump", "-p", &source.name(), "water.backup"]).succeeds();
    let mut at_work = 0;
    let mut whole = Duration::from_secs(1);
    for point in 0..10 {
        let target = empty_database("restored");
        let words = ["restore", "-p", &target.name(), "water.backup"];
        if point == 0 {
            let begun = Instant::now();
            place.pum(&words).succeeds();
            whole = begun.elapsed();
            continue;
        }
        at_work += u32::from(kill(spawn(&place, &words), whole * point / 10));
        until_alone(&target);
        let rows = "select count(*) from pg_class where relname = 'pipe'";
        if sql(&target, rows) == "1" {
            assert_eq!(sql(&target, "select count(*) from public.pipe"), ROWS.to_string());
        } else {
            place.pum(&words).succeeds();
        }
    }
    assert!(at_work > 5, "only {at_work} were killed at work");
}

#[test]
fn a_dump_gives_a_lock_up_when_it_is_told_to() {
    let source = database("locked");
    sql(&source, "create table public.pipe(id int);\nselect ''");
    let mut holder = pum::Connection::open(&source, &pum::Run::new()).unwrap();
    holder
        .execute("begin; lock table public.pipe in access exclusive mode")
        .unwrap();
    let place = Place::new();
    place
        .pum(&["dump", "--lock-timeout", "300ms", "-p", &source.name(), "water.backup"])
        .fails(1)
        .says(&["was not touched"])
        .helps(&["pg_dump waited for a lock on a table", "process ", "holds one"]);
    assert_eq!(place.files(), Vec::<String>::new());
}

/// A program of this name that does what a script says.
fn program(place: &Place, name: &str, content: &str, mode: u32) -> String {
    let path = place.write(name, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    text(&path).to_owned()
}

#[test]
fn a_program_that_cannot_run_is_named_and_one_that_hangs_is_ended() {
    let source = database("programs");
    let place = Place::new();
    let broken = program(&place, "broken", "\x7fELF of another machine", 0o755);
    let unusable = program(&place, "unusable", "#!/bin/sh\n", 0o644);
    for (path, why) in [(&broken, "cannot run"), (&unusable, "ermission denied")] {
        let place = Place::new().set("PG_DUMP_EXE", path);
        place
            .pum(&["dump", "-p", &source.name(), "water.backup"])
            .fails(1)
            .says(&[path, why, "was not touched"]);
        assert_eq!(place.files(), Vec::<String>::new());
    }
    // One that talks on its standard output and then says nothing any more.
    let version = sql(&source, "select current_setting('server_version_num')::int / 10000");
    let script = format!(
        "#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.99'\n[ \"$1\" = --version ] && exit\necho talk; touch hangs; exec sleep 600\n"
    );
    let hanging = program(&place, "hanging", &script, 0o755);
    let place = Place::new().set("PG_DUMP_EXE", &hanging);
    let words = ["dump", "-p", &source.name(), "water.backup"];
    let child = spawn(&place, &words);
    until("the program at work", || place.path("hangs").exists());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    Ended::new(&child.wait_with_output().unwrap(), &words)
        .fails(130)
        .says(&["cancelled", "was not touched"]);
    assert_eq!(place.files(), ["hangs"]);
    until("the end of the program", || !runs(&hanging));
}

/// Whether a process names this in its arguments.
fn runs(words: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut arguments = processes.map(|process| fs::read(process.path().join("cmdline")).unwrap_or_default());
    arguments.any(|arguments| String::from_utf8_lossy(&arguments).contains(words))
}

/// A small disk for the server's files, while the value lives. Only root can make one.
struct Disk<'a>(&'a Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_restore_into_a_server_whose_disk_is_full_is_rolled_back() {
    let place = tempfile::Builder::new().prefix("pt-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o711)).unwrap();
    let small = place.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=12m,mode=1777", "tmpfs"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "a small disk cannot be made");
        eprintln!("a small disk cannot be made by this user: not tested");
        return;
    }
    let disk = Disk(&small);
    let server = crate::support::start(&[]);
    let data = sql(&server.target("postgres"), "select current_setting('data_directory')");
    let owned = std::process::Command::new("chown")
        .arg(format!("--reference={data}"))
        .arg(&small)
        .status();
    assert!(owned.unwrap().success());
    let admin = server.target("postgres");
    let mut connection = pum::Connection::open(&admin, &pum::Run::new()).unwrap();
    for statement in [
        format!("create tablespace small location '{}'", small.display()),
        "create database filling template template0 tablespace small".to_owned(),
    ] {
        connection.execute(&statement).unwrap();
    }
    let source = filled("too_large");
    sql(
        &source,
        "insert into public.pipe select n + 1000000, repeat(md5(n::text), 4) from generate_series(1, 60000) n;\nselect ''",
    );
    let backups = Place::new();
    backups.pum(&["dump", "-p", &source.name(), "water.backup"]).succeeds();
    let target = server.target("filling");
    let before = contents(&target);
    backups
        .pum(&["restore", "-p", &target.name(), "water.backup"])
        .fails(1)
        .says(&["No space left on device", "rolled back: the database is as it was"])
        .helps(&[]);
    assert_eq!(contents(&target), before);
    drop(target);
    drop(server);
    drop(disk);
}

/// Production at 1.0.0 and its deltas, rehearsed with this expected database.
fn rehearsed(expected: &str) -> (Place, pum::Target) {
    let production = database("rehearsed");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    place.write("pum.yaml", format!("expected: {expected}\n"));
    (place, production)
}

#[test]
fn a_command_for_the_expected_database_that_hangs_is_ended() {
    let (place, production) = rehearsed("{command: [sh, -c, 'touch hangs; sleep 613']}");
    let before = contents(&production);
    let words = [
        "test",
        "-pp",
        &production.name(),
        "-t",
        crate::support::TABLE,
        "-d",
        "deltas",
    ];
    let child = spawn(&place, &words);
    until("the command at work", || place.path("hangs").exists());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    Ended::new(&child.wait_with_output().unwrap(), &words)
        .fails(130)
        .says(&["cancelled", "production was only read"]);
    until("the end of the command", || !runs("sleep\x00613"));
    assert_eq!(contents(&production), before);
}

#[test]
fn a_socket_fits_however_long_the_path_for_temporary_files_is() {
    let (place, production) = rehearsed("{deltas: true}");
    let temporary = tempfile::Builder::new().prefix("pt-").tempdir_in("/tmp").unwrap();
    let long = temporary.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    for path in [temporary.path(), &long] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o711)).unwrap();
    }
    let words = [
        "test",
        "-pp",
        &production.name(),
        "-t",
        crate::support::TABLE,
        "-d",
        "deltas",
    ];
    let mut command = place.command(&words);
    let output = command.env("TMPDIR", &long).output().unwrap();
    // The upgrades of two empty databases by the same deltas are the same.
    Ended::new(&output, &words).succeeds();
    assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
}
