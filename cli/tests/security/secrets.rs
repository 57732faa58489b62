//! Passwords are in no argument, no output, no file, and in no environment that does not need them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pum::{Server, Target};

use crate::support::{Ended, PASSWORD, Place, TABLE, sql, start, text};

/// The password that a delta gives a role.
const OF_A_DELTA: &str = "Gr33n-canary-of-a-delta";

/// Set for a command in whose own arguments a password is, because the operator put it there.
pub(crate) const TYPED: &str = "PASSWORD_TYPED";

/// What a watcher saw of other processes and of the directory for temporary files.
#[derive(Default)]
pub(crate) struct Seen {
    /// Programs that were started, and how often one was looked at.
    pub(crate) programs: BTreeMap<String, usize>,
    /// Arguments, and names of programs with an environment, that hold a password.
    pub(crate) leaks: Vec<String>,
    /// The modes of what lay in the directory for temporary files.
    modes: BTreeMap<String, u32>,
}

/// Looks at all processes, again and again, until it is told to stop.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    watcher: std::thread::JoinHandle<Seen>,
}

impl Watch {
    pub(crate) fn begin(temporary: &Path, secrets: &'static [&'static str]) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, temporary) = (Arc::clone(&stop), temporary.to_owned());
        let watcher = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    look_at(&entry.path(), &temporary, secrets, &mut seen);
                }
                for entry in fs::read_dir(&temporary).into_iter().flatten().flatten() {
                    if let Ok(found) = entry.metadata() {
                        let name = entry.file_name().to_string_lossy().into_owned();
                        seen.modes.insert(name, found.permissions().mode() & 0o777);
                    }
                }
            }
            seen
        });
        Watch { stop, watcher }
    }

    pub(crate) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

fn look_at(process: &Path, temporary: &Path, secrets: &[&str], seen: &mut Seen) {
    let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
    let environment = String::from_utf8_lossy(&read("environ")).into_owned();
    // Of our own place, and of nobody else's test.
    if !environment.contains(text(temporary)) {
        return;
    }
    let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
    let program = arguments.split(' ').next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    if name.is_empty() {
        return;
    }
    *seen.programs.entry(name.clone()).or_default() += 1;
    let holds = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    let ours = environment.contains(TYPED) && matches!(name.as_str(), "pum" | "setsid");
    if !ours && holds(&arguments) {
        seen.leaks.push(arguments.clone());
    }
    // These talk to the database whose password it is.
    let connects = match name.as_str() {
        "pum" | "setsid" | "pg_dump" | "pg_basebackup" | "python3" => true,
        "pg_restore" => arguments.contains("--dbname") || !arguments.contains("--file="),
        _ => false,
    };
    if !connects && holds(&environment) {
        seen.leaks.push(format!("the environment of {arguments}"));
    }
}

/// A server whose user `water_reader` needs a password, and production with a service of its own.
struct Town {
    server: Server,
    place: Place,
    temporary: tempfile::TempDir,
    rules: PathBuf,
}

const ROLE: &str = "water_reader";

impl Town {
    fn new() -> Town {
        let temporary = tempfile::Builder::new().prefix("pt-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let rules = std::env::temp_dir().join(format!("pum-secret-rules-{}", std::process::id()));
        fs::write(
            &rules,
            format!("local all {ROLE} scram-sha-256\nlocal replication {ROLE} scram-sha-256\nlocal all all trust\n"),
        )
        .unwrap();
        fs::set_permissions(&rules, PermissionsExt::from_mode(0o644)).unwrap();
        let server = start(&[
            ("hba_file", text(&rules)),
            ("wal_level", "replica"),
            ("max_wal_senders", "10"),
        ]);
        sql(
            &server.target("postgres"),
            &format!("create role {ROLE} login superuser password '{PASSWORD}';\nselect ''"),
        );
        let place = Place::with_deltas(&[
            (
                "delta_1.1.0_size.sql",
                &format!(
                    "alter table public.pipe add column size int;\n\
                     do $$ begin create role water_new; exception when duplicate_object then null; end $$;\n\
                     alter role water_new password '{OF_A_DELTA}';\n"
                ),
            ),
            (
                "delta_1.2.0_told.py",
                "from pum.core.deltapy import DeltaPy\n\n\nclass Told(DeltaPy):\n    def run(self):\n        self.write_message('told')\n",
            ),
        ]);
        place.write(
            "create.sql",
            "create table public.pipe (id int primary key, name text, size int);\n",
        );
        let town = Town {
            server,
            place,
            temporary,
            rules,
        };
        for name in ["prod", "copy", "fresh", "other"] {
            town.server.create_database(name).unwrap();
        }
        sql(
            &town.target("prod"),
            "create table public.pipe(id int primary key, name text);
             insert into public.pipe select n, md5(n::text) from generate_series(1, 20000) n;\nselect ''",
        );
        let services: String = ["prod", "copy", "fresh", "other", "missing"]
            .iter()
            .map(|name| {
                format!(
                    "[water_{name}]\nhost={}\nport=5432\ndbname={name}\nuser={ROLE}\npassword={PASSWORD}\nsslmode=disable\n",
                    town.server.socket_directory().display()
                )
            })
            .collect();
        town.place.write(".pg_service.conf", services);
        town
    }

    fn target(&self, name: &str) -> Target {
        self.server.target(name)
    }

    fn run(&self, words: &[&str]) -> Ended {
        let mut command = self.place.command(words);
        command.env("TMPDIR", self.temporary.path());
        let output = command.output().unwrap();
        let ended = Ended::new(&output, words);
        assert!(!format!("{ended:?}").contains(OF_A_DELTA), "{ended:#?}");
        ended
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.rules);
    }
}

/// Every file below a directory.
pub(crate) fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_password_is_nowhere_and_what_is_written_is_private() {
    let town = Town::new();
    let watch = Watch::begin(town.temporary.path(), &[PASSWORD, OF_A_DELTA]);
    let on = ["-t", TABLE, "-d", "deltas"];
    let with = |words: &[&'static str]| -> Vec<&'static str> { [words, &on[..]].concat() };
    let mut runs: Vec<(Vec<&str>, i32)> = vec![
        (with(&["baseline", "-p", "water_prod", "-b", "1.0.0"]), 0),
        (with(&["info", "-p", "water_prod"]), 0),
        (with(&["info", "-p", "water_prod", "--format", "json"]), 0),
        (with(&["upgrade", "-p", "water_prod", "--dry-run"]), 0),
        (
            with(&["upgrade", "-p", "water_prod", "--dry-run", "--format", "json"]),
            0,
        ),
        (vec!["snapshot", "-p", "water_prod", "-o", "water.json"], 0),
        (vec!["dump", "-p", "water_prod", "water.backup"], 0),
        (vec!["dump", "-p", "water_prod", "-F", "d", "-j", "2", "water.dir"], 0),
        (vec!["dump", "-p", "water_prod", "-F", "plain", "water.sql"], 0),
        (vec!["dump", "-p", "water_missing", "none.backup"], 6),
        (vec!["restore", "-p", "water_copy", "water.backup"], 0),
        (
            vec!["restore", "-p", "water_copy", "--clean", "-j", "2", "water.dir"],
            0,
        ),
        (vec!["restore", "-p", "water_copy", "water.sql"], 3),
        (vec!["check", "-p1", "water_prod", "-p2", "water_fresh"], 1),
        (
            vec![
                "check",
                "-p1",
                "water_prod",
                "-p2",
                "water_fresh",
                "--write-expected",
                "known.json",
            ],
            0,
        ),
    ];
    for report in ["report.html", "report.json", "report.xml", "report.txt"] {
        runs.push((
            vec!["check", "-p1", "water_prod", "-p2", "water_fresh", "-o", report],
            1,
        ));
    }
    // A command of the user tells what it is given.
    town.place.write(
        "pum.yaml",
        "expected: {command: [sh, -c, 'env; psql -qX -v ON_ERROR_STOP=1 -f create.sql']}\n",
    );
    for copy in ["restore", "physical"] {
        runs.push((
            with(&[
                "test",
                "-pp",
                "water_prod",
                "--copy",
                copy,
                "--save",
                "saved.json",
                "--report",
                "saved.html",
            ]),
            0,
        ));
    }
    runs.push((
        with(&[
            "test",
            "-pp",
            "water_prod",
            "-pt",
            "water_template",
            "--copy",
            "template",
        ]),
        6,
    ));
    runs.push((
        with(&["test-and-upgrade", "-pp", "water_prod", "-f", "kept.backup", "--yes"]),
        0,
    ));
    runs.push((with(&["upgrade", "-p", "water_prod", "--format", "json"]), 0));
    runs.push((vec!["config"], 0));
    for (words, code) in &runs {
        let ended = town.run(words);
        assert_eq!(ended.code, *code, "{ended:#?}");
    }
    // The same where it comes by the environment, and in what is typed: that is in our own arguments, and nowhere else.
    let bare = format!(
        "host={} dbname=prod user={ROLE} sslmode=disable",
        town.server.socket_directory().display()
    );
    let rehearsal = [
        "test",
        "-pp",
        &bare,
        "-t",
        TABLE,
        "-d",
        "deltas",
        "--save",
        "variable.json",
    ];
    let mut command = town.place.command(&rehearsal);
    command.env("TMPDIR", town.temporary.path()).env("PGPASSWORD", PASSWORD);
    Ended::new(&command.output().unwrap(), &rehearsal).succeeds();
    for words in [
        &["dump", "-p", &bare, "variable.backup"][..],
        &["restore", "-p", &bare, "water.sql"],
    ] {
        let mut command = town.place.command(words);
        command.env("TMPDIR", town.temporary.path()).env("PGPASSWORD", PASSWORD);
        Ended::new(&command.output().unwrap(), words);
    }
    let seen = watch.end();
    assert_eq!(seen.leaks, [""; 0]);
    for program in [
        "pum",
        "pg_dump",
        "pg_restore",
        "pg_basebackup",
        "initdb",
        "postgres",
        "python3",
    ] {
        assert!(
            seen.programs.contains_key(program),
            "{program} was not seen: {:?}",
            seen.programs
        );
    }
    // Throw-away servers and the dumps of copies.
    assert!(!seen.modes.is_empty());
    let open: Vec<_> = seen.modes.iter().filter(|(_, mode)| **mode & 0o077 != 0).collect();
    assert_eq!(open, [], "{:?}", seen.modes);
    assert_eq!(fs::read_dir(town.temporary.path()).unwrap().count(), 0);

    let mut found = Vec::new();
    files(town.place.path("").as_path(), &mut found);
    let mut looked_at = 0;
    for file in &found {
        let name = file
            .strip_prefix(town.place.path(""))
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if name == ".pg_service.conf" || name.starts_with("deltas/") {
            continue;
        }
        let bytes = fs::read(file).unwrap();
        for secret in [PASSWORD, OF_A_DELTA] {
            let holds = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!holds, "{name} holds {secret}");
        }
        looked_at += 1;
    }
    assert!(looked_at > 15, "{found:?}");
    for name in [
        "water.backup",
        "water.backup.sha256",
        "water.dir.sha256",
        "water.sql",
        "kept.backup",
        "kept.backup.rehearsal.json",
        "water.json",
        "known.json",
        "report.html",
        "report.json",
        "report.xml",
        "report.txt",
        "saved.json",
        "saved.html",
    ] {
        assert_eq!(mode(&town.place.path(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&town.place.path("water.dir")), 0o700);
    // Many reports at once.
    town.run(&[
        "check",
        "-p1",
        "water_prod",
        "-p1",
        "water_copy",
        "-p2",
        "water_fresh",
        "-o",
        "reports",
    ]);
    assert_eq!(mode(&town.place.path("reports")), 0o700);
    let mut reports = Vec::new();
    files(&town.place.path("reports"), &mut reports);
    assert!(
        reports.len() == 2 && reports.iter().all(|file| mode(file) == 0o600),
        "{reports:?}"
    );
    // Whoever opened a file to others keeps it so.
    fs::set_permissions(town.place.path("report.html"), PermissionsExt::from_mode(0o644)).unwrap();
    town.run(&["check", "-p1", "water_prod", "-p2", "water_fresh", "-o", "report.html"]);
    assert_eq!(mode(&town.place.path("report.html")), 0o644);
}

/// The soft limit for core files that a process has.
fn core_limit(process: &str) -> Option<String> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max core file size"))?;
    line.split_whitespace().nth(4).map(str::to_owned)
}

/// The processes that another one has started, with their names.
fn children(parent: u32) -> Vec<(String, String)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|entry| {
        let number = entry.file_name().into_string().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (before, after) = stat.rsplit_once(") ")?;
        let of = after.split(' ').nth(1)?.parse::<u32>().ok()?;
        (of == parent).then(|| (number, before.split_once('(').unwrap_or_default().1.to_owned()))
    });
    found.collect()
}

#[test]
fn neither_pum_nor_what_it_starts_leaves_a_core() {
    let target = crate::support::database("cores");
    let mut holder = pum::Connection::open(&target, &pum::Run::new()).unwrap();
    holder
        .execute("create table public.held (); begin; lock table public.held")
        .unwrap();
    let place = Place::new();
    // As where cores are wanted, if the system lets us.
    let mut pum = place
        .program("sh")
        .args([
            "-c",
            "ulimit -c unlimited 2> /dev/null || ulimit -Sc \"$(ulimit -Hc)\"; ulimit -Sc > before; exec \"$@\"",
            "sh",
        ])
        .args([env!("CARGO_BIN_EXE_pum"), "dump", "-p", &target.name(), "held.backup"])
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    // pg_dump waits for the table.
    let dump = loop {
        let started = children(pum.id());
        if let Some((number, _)) = started.iter().find(|(_, name)| name == "pg_dump") {
            break number.clone();
        }
        assert!(begun.elapsed().as_secs() < 30, "{started:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let limits = [core_limit(&pum.id().to_string()), core_limit(&dump)];
    holder.execute("commit").unwrap();
    assert!(pum.wait().unwrap().success());
    if fs::read_to_string(place.path("before")).unwrap().trim() == "0" {
        println!("no process may leave a core on this machine: not tried");
    }
    assert_eq!(limits, [Some("0".to_owned()), Some("0".to_owned())]);
}
