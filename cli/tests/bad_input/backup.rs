//! Dump and restore.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Ended, LOCKED_ROLE, PASSWORD, Place, contents, database, empty_database, sql, start, text};

/// A database with something to dump, and its backup.
fn backed_up(place: &Place, more: &[&str]) -> (pum::Target, String) {
    let target = database("source");
    sql(
        &target,
        "create table public.pipe(id int primary key, name text);
         insert into public.pipe select n, md5(n::text) from generate_series(1, 20000) n;\nselect ''",
    );
    let file = place.path("water.backup");
    let name = target.name();
    let words = [&["dump", "-p", &name][..], more, &[text(&file)]].concat();
    place.pum(&words).succeeds();
    (target, text(&file).to_owned())
}

#[test]
fn a_place_that_cannot_be_written() {
    let target = database("unwritable");
    let place = Place::new();
    place.write("a_file", "x");
    fs::create_dir(place.path("closed")).unwrap();
    let mut files = vec![
        (place.path("missing/water.backup"), "No such file or directory"),
        (place.path("a_file/water.backup"), "Not a directory"),
        (place.path("closed"), "is a directory"),
        ("/dev/full".into(), "not a regular file"),
    ];
    // Root may write everywhere but where the kernel itself says no.
    if rustix::process::geteuid().is_root() {
        files.push(("/proc/water.backup".into(), "cannot write"));
    } else {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.path("closed"), fs::Permissions::from_mode(0o500)).unwrap();
        files.push((place.path("closed/water.backup"), "Permission denied"));
    }
    for (file, why) in &files {
        place
            .pum(&["dump", "-p", &target.name(), text(file)])
            .fails(if file.exists() { 3 } else { 1 })
            .says(&[text(file), why])
            .helps(&[]);
    }
    assert_eq!(place.files(), ["a_file", "closed"]);
    assert_eq!(fs::read_dir(place.path("closed")).unwrap().count(), 0);
}

#[test]
fn an_earlier_backup_outlives_a_dump_that_fails() {
    let place = Place::new();
    let (target, file) = backed_up(&place, &[]);
    let before = (fs::read(&file).unwrap(), place.files());
    place
        .pum(&["dump", "-p", &target.with("dbname", "not_there").name(), &file])
        .fails(6)
        .says(&["does not exist", "was not touched"]);
    assert_eq!((fs::read(&file).unwrap(), place.files()), before);
}

/// The command where nothing more than some kilobytes can be written: in a small file system of its own, else, where
/// none can be mounted, under a limit for the size of files.
fn on_a_full_disk(place: &Place, words: &[&str]) -> (Ended, Vec<&'static str>) {
    let mount = "mkdir small && mount -t tmpfs -o size=64k pum-test small";
    let run = r#"setsid "$0" "$@"; code=$?; ls -A small >left; exit $code"#;
    let namespace = |options: &[&str], script: &str| {
        let mut command = place.program("unshare");
        command
            .args(options)
            .args(["sh", "-c", script, env!("CARGO_BIN_EXE_pum")])
            .args(words);
        command
    };
    for options in [&["-m"][..], &["-r", "-m"]] {
        let probe = namespace(
            options,
            &format!("{mount} && umount small; code=$?; rmdir small; exit $code"),
        )
        .output();
        if probe.is_ok_and(|output| output.status.success()) {
            let output = namespace(options, &format!("{mount} && {run}")).output().unwrap();
            return (Ended::new(&output, words), vec!["No space left on device", "make room"]);
        }
    }
    fs::create_dir_all(place.path("small")).unwrap();
    let mut command = place.program("sh");
    let script = format!("trap '' XFSZ; ulimit -f 64; {run}");
    let output = command
        .args(["-c", &script, env!("CARGO_BIN_EXE_pum")])
        .args(words)
        .output()
        .unwrap();
    (Ended::new(&output, words), vec!["File too large", "make room"])
}

#[test]
fn a_full_disk() {
    let target = database("full");
    sql(
        &target,
        "create table public.pipe as select n, md5(n::text) || md5((n + 1)::text) as t from generate_series(1, 50000) n;
         select ''",
    );
    for format in ["custom", "plain", "directory"] {
        let place = Place::new();
        let (ended, said) = on_a_full_disk(
            &place,
            &["dump", "-F", format, "-p", &target.name(), "small/water.backup"],
        );
        ended.fails(1).says(&said).says(&["was not touched"]);
        // Nothing is left, neither a part nor a file under the final name.
        assert_eq!(fs::read_to_string(place.path("left")).unwrap(), "", "{format}");
    }
}

#[test]
fn an_answer_that_cannot_be_written() {
    let target = database("stdout");
    let place = Place::with_deltas(&[]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let words = ["info", "-p", &target.name(), "-t", "water_sys.upgrades", "-d", "deltas"];
    let output = place.command(&words).stdout(full).output().unwrap();
    Ended::new(&output, &words)
        .fails(1)
        .says(&["cannot write to standard output", "No space left on device"]);
}

#[test]
fn a_file_that_is_no_whole_backup() {
    let place = Place::new();
    let (_, file) = backed_up(&place, &[]);
    let whole = fs::read(&file).unwrap();
    let newer = [&whole[..6], &[200], &whole[7..]].concat();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let cases: [(&str, &[u8], &str); 6] = [
        ("nothing", &[], "is empty"),
        ("header", &whole[..20], "damaged or not complete"),
        ("truncated", &whole[..whole.len() - 500], "damaged or not complete"),
        ("half", &whole[..whole.len() / 2], "damaged or not complete"),
        ("flipped", &flipped, "damaged or not complete"),
        ("newer", &newer, "newer"),
    ];
    for (name, bytes, why) in cases {
        let broken = place.write(&format!("{name}.backup"), bytes);
        for more in [&[][..], &["-x"], &["--clean"]] {
            let target = empty_database("restored");
            if more == ["--clean"] {
                sql(&target, "create table public.precious(id int);\nselect ''");
            }
            let before = contents(&target);
            place
                .pum(&[&["restore", "-p", &target.name()][..], more, &[text(&broken)]].concat())
                .fails(3)
                .says(&[text(&broken), why])
                .helps(&[]);
            assert_eq!(contents(&target), before, "{name} {more:?}");
        }
    }
    // Its checksums are beside it: an archive that pg_restore would take for whole is not what was dumped.
    fs::write(&file, &flipped).unwrap();
    let target = empty_database("restored");
    let before = contents(&target);
    place
        .pum(&["restore", "-p", &target.name(), &file])
        .fails(3)
        .says(&["damaged or not complete"])
        .helps(&[]);
    assert_eq!(contents(&target), before);
}

#[test]
fn a_file_that_is_missing_or_something_else() {
    let place = Place::new();
    place.write("photo.backup", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    fs::create_dir(place.path("empty")).unwrap();
    for (file, code, why) in [
        ("missing.backup", 1, "No such file"),
        ("photo.backup", 3, "is no dump of PostgreSQL"),
        ("empty", 3, "holds no dump"),
        ("/dev/null", 3, ""),
    ] {
        for more in [&[][..], &["-x"]] {
            let target = empty_database("something");
            let before = contents(&target);
            place
                .pum(&[&["restore", "-p", &target.name()][..], more, &[file]].concat())
                .fails(code)
                .says(&[file, why]);
            assert_eq!(contents(&target), before);
        }
    }
}

#[test]
fn a_plain_backup_that_was_cut_off() {
    let place = Place::new();
    let (_, file) = backed_up(&place, &["-F", "plain"]);
    let whole = fs::read_to_string(&file).unwrap();
    let target = empty_database("plain");
    place.pum(&["restore", "-p", &target.name(), &file]).succeeds();
    assert_eq!(sql(&target, "select count(*) from public.pipe"), "20000");

    let cut = place.write("cut.sql", &whole[..whole.len() / 2]);
    let target = empty_database("plain");
    let before = contents(&target);
    place
        .pum(&["restore", "-p", &target.name(), text(&cut)])
        .fails(3)
        .says(&[text(&cut), "not complete"])
        .helps(&[]);
    assert_eq!(contents(&target), before);
}

#[test]
fn a_database_that_is_missing_or_not_empty() {
    let place = Place::new();
    let (target, file) = backed_up(&place, &[]);
    let before = contents(&target);
    place
        .pum(&["restore", "-p", &target.name(), &file])
        .fails(3)
        .says(&["holds"])
        .helps(&["--clean", "--into-existing"]);
    place
        .pum(&["restore", "--create", "-p", &target.name(), &file])
        .fails(3)
        .says(&["exists already"])
        .helps(&[]);
    assert_eq!(contents(&target), before);
    let missing = target.with("dbname", "not_there_yet");
    place
        .pum(&["restore", "-p", &missing.name(), &file])
        .fails(6)
        .says(&["\"not_there_yet\" does not exist"])
        .helps(&["create"]);
}

#[test]
fn a_program_that_is_missing_or_another() {
    let place = Place::new();
    let (target, file) = backed_up(&place, &[]);
    let before = fs::read(&file).unwrap();
    let other = place.write("other", "#!/bin/sh\necho hello\n");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    for (program, why) in [
        ("/nonexistent/pg_dump", "is not there"),
        (text(&other), "does not tell its version"),
    ] {
        let place = Place::new().set("PG_DUMP_EXE", program);
        place
            .pum(&["dump", "-p", &target.name(), &file])
            .fails(1)
            .says(&[program, why]);
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// All arguments of all processes, again and again until the command ends.
fn watched(mut command: Command) -> (std::process::Output, String) {
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let waiter = std::thread::spawn(move || child.wait_with_output().unwrap());
    let mut seen = String::new();
    while !waiter.is_finished() {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            if (arguments.contains("pg_dump") || arguments.contains("pg_restore")) && !seen.contains(&arguments) {
                seen.push_str(&arguments);
                seen.push('\n');
            }
        }
    }
    (waiter.join().unwrap(), seen)
}

#[test]
fn a_password_is_in_no_output_and_no_argument() {
    let place = Place::new();
    let (target, _) = backed_up(&place, &[]);
    let open = target.with("user", LOCKED_ROLE);
    place.write(
        ".pg_service.conf",
        format!(
            "[water_prod]\nhost={}\nport=5432\ndbname={}\nuser={LOCKED_ROLE}\npassword={PASSWORD}\nsslmode=disable\n",
            crate::support::server().socket_directory().display(),
            open.name().split("dbname=").nth(1).unwrap().split(' ').next().unwrap(),
        ),
    );
    let words = ["dump", "-p", "water_prod", "again.backup"];
    let (output, seen) = watched(place.command(&words));
    // Ended looks for the password in what it said.
    Ended::new(&output, &words).succeeds();
    if Path::new("/proc/self/cmdline").exists() {
        assert!(seen.contains("pg_dump"), "no pg_dump was seen at work: {seen}");
    }
    assert!(!seen.contains(PASSWORD), "{seen}");

    let copy = empty_database("copy");
    let words = ["restore", "-p", &copy.name(), "again.backup"];
    let place = place.set("PGPASSWORD", PASSWORD);
    let (output, seen) = watched(place.command(&words));
    Ended::new(&output, &words).succeeds();
    assert!(!seen.contains(PASSWORD), "{seen}");
}

#[test]
fn a_server_without_room() {
    // Not a disk of the client but the server's own answer, SQLSTATE 53100, told as it is.
    let server = start(&[("temp_file_limit", "64kB")]);
    let target = server.create_database("small").unwrap();
    let options = pum::BaselineOptions::new("s.u".parse().unwrap(), "1.0.0".parse().unwrap());
    pum::baseline(&target, &options, &pum::Run::new()).unwrap();
    let place = Place::with_deltas(&[(
        "delta_1.1.0_a.sql",
        "set local work_mem = '64kB';\ncreate table public.a as select n from generate_series(1, 200000) n order by md5(n::text);\n",
    )]);
    sql(&target, "alter role postgres set temp_file_limit = '64kB';\nselect ''");
    place
        .pum(&["upgrade", "-p", &target.name(), "-t", "s.u", "-d", "deltas"])
        .fails(1)
        .says(&[
            "temporary file size exceeds temp_file_limit",
            "SQLSTATE: 53400",
            "was rolled back",
        ])
        .points_at(
            "deltas/delta_1.1.0_a.sql:2:1",
            "create table public.a as select n from generate_series(1, 200000) n order by md5(n::text);",
        );
    assert_eq!(sql(&target, "select count(*) from pg_class where relname = 'a'"), "0");
}
