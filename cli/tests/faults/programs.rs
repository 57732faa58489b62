//! `baseline`, `dump`, `restore` and `test`, ended at moments that are spread over their work.
//!
//! `PUM_FAULTS=full cargo test -p pum-cli --test faults programs -- --nocapture` tries hundreds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ground::{Ground, TABLE, program};
use crate::scenario::SEED;

/// How many moments, and how many at a time; in the full form, and in a plain `cargo test`.
fn moments() -> (u32, u32) {
    match std::env::var("PUM_FAULTS").as_deref() {
        Ok("full") => (100, 3),
        _ => (3, 1),
    }
}

/// Has the moments tried by workers that have a case each, and prints how many they were: one that is not survived panics.
fn at_moments(what: &str, work: impl Fn(&Case, &[u32]) + Sync) {
    let begun = Instant::now();
    let (moments, workers) = moments();
    let at_work = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let share: Vec<u32> = (1..=moments).filter(|moment| moment % workers == worker).collect();
            let (work, at_work) = (&work, &at_work);
            scope.spawn(move || {
                let case = Case::new();
                work(&case, &share);
                at_work.fetch_add(case.at_work.load(Ordering::SeqCst), Ordering::SeqCst);
            });
        }
    });
    let at_work = at_work.into_inner();
    println!(
        "faults: {what}: {moments} points, all survived, {at_work} of them still at work when ended; {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(at_work >= moments / 3, "{what}: most had ended before");
}

const HOUSES: &str = "create table public.house (id int primary key, note text); create index on public.house (note)";

/// A database that takes some time to dump, and files about it.
struct Case {
    ground: Ground,
    files: tempfile::TempDir,
    temporary: tempfile::TempDir,
    /// How many runs were not at their end when they were ended.
    at_work: AtomicU32,
}

impl Case {
    fn new() -> Case {
        let ground = Ground::new();
        ground.create("town");
        ground.execute_in("town", HOUSES);
        ground.execute_in(
            "town",
            "insert into public.house select n, md5(n::text) || repeat(md5((n + 1)::text), 6) from generate_series(1, 30000) n;
             alter database town set work_mem = '5MB'",
        );
        // A socket's path has at most 107 bytes, and the server's user goes through.
        let temporary = tempfile::Builder::new().prefix("pf-").tempdir_in("/tmp").unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(temporary.path(), open).unwrap();
        Case {
            ground,
            files: tempfile::tempdir().unwrap(),
            temporary,
            at_work: AtomicU32::new(0),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn target(&self, database: &str) -> String {
        self.ground.server.target(database).to_string()
    }

    fn pum(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env("TMPDIR", self.temporary.path())
            .current_dir(self.files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end, and says how long it took.
    fn run(&self, arguments: &[&str]) -> Duration {
        let begun = Instant::now();
        let output = self.pum(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        begun.elapsed()
    }

    /// Ends it at a moment, each second time in order.
    fn end(&self, arguments: &[&str], moment: u32, whole: Duration) {
        let mut child = self.pum(arguments).spawn().unwrap();
        std::thread::sleep(whole * moment / (moments().0 + 1));
        let signal = if moment.is_multiple_of(2) {
            Signal::TERM
        } else {
            Signal::KILL
        };
        if child.try_wait().unwrap().is_none() {
            self.at_work.fetch_add(1, Ordering::SeqCst);
        }
        let _ = kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal);
        child.wait().unwrap();
    }

    fn names(&self) -> Vec<String> {
        names(self.files.path())
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_baseline_that_is_ended_is_whole_or_not_there() {
    at_moments("baseline", |case, moments| {
        let create = |name: &str| case.ground.server.create_database(name).unwrap().to_string();
        let baseline = |target: &str| ["baseline", "-t", TABLE, "-b", "1.0.0", "-p", target].map(str::to_owned);
        let run = |arguments: &[String]| case.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        run(&baseline(&create("first")));
        let whole = run(&baseline(&create("second")));
        for moment in moments {
            let database = format!("new_{moment}");
            let arguments = baseline(&create(&database));
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            case.end(&words, *moment, whole);
            case.ground.wait_for_no_session(&database).unwrap();
            let there = case
                .ground
                .value(&database, "select (to_regnamespace('pum_sys') is not null)::text");
            if there == "false" {
                run(&arguments);
            }
            let rows = case.ground.value(
                &database,
                "select string_agg(version || ' ' || success, ', ') from pum_sys.upgrades",
            );
            assert_eq!(rows, "1.0.0 true", "moment {moment}, there: {there}");
            case.ground.drop(&database);
        }
    });
}

#[test]
fn a_dump_that_is_ended_leaves_the_old_one_or_a_whole_new_one() {
    at_moments("dump", |case, moments| {
        let town = case.target("town");
        let file = case.file("town.dump");
        let dump = ["dump", "-p", &town, "town.dump"];
        let whole = case.run(&dump);
        let old = std::fs::read(&file).unwrap();
        for &moment in moments {
            // The new one holds another row.
            case.ground.execute_in(
                "town",
                &format!("insert into public.house values ({}, 'new')", 30_000 + moment),
            );
            std::fs::write(&file, &old).unwrap();
            let _ = std::fs::remove_file(case.file("town.dump.sha256"));
            case.end(&dump, moment, whole);
            let now = std::fs::read(&file).unwrap();
            // A whole one is read to its end by a restore, which compares the checksums, too.
            if now != old {
                case.ground.drop("copy");
                case.run(&["restore", "-p", &case.target("copy"), "--create", "town.dump"]);
                assert_eq!(case.ground.holds("copy"), case.ground.holds("town"), "moment {moment}");
            }
        }
        case.ground.wait_for_no_session("town").unwrap();
        case.run(&dump);
        assert_eq!(case.names(), ["town.dump", "town.dump.sha256"]);
        assert_eq!(names(case.temporary.path()), Vec::<String>::new());
    });
}

#[test]
fn a_restore_that_is_ended_leaves_no_half_of_a_database() {
    at_moments("restore", |case, moments| {
        let (town, copy) = (case.target("town"), case.target("copy"));
        case.run(&["dump", "-p", &town, "town.dump"]);
        let create = ["restore", "-p", &copy, "--create", "town.dump"];
        let whole = case.run(&create);
        let town = case.ground.holds("town");
        for &moment in moments {
            case.ground.drop("copy");
            case.end(&create, moment, whole);
            // The server ends what it has begun: the database may come to be after its restore was killed.
            for database in ["postgres", "copy"] {
                case.ground.wait_for_no_session(database).unwrap();
            }
            if case.ground.exists("copy") {
                let found = case.ground.holds("copy");
                let empty = found.rows.is_empty();
                assert!(found == town || empty, "moment {moment}: {found:?}");
                // SIGKILL leaves an empty one, which is not told from one that somebody else made: it is for him to drop.
                if empty {
                    case.ground.drop("copy");
                    case.run(&create);
                }
            } else {
                case.run(&create);
            }
            assert_eq!(case.ground.holds("copy"), town, "moment {moment}");
        }
        assert_eq!(names(case.temporary.path()), Vec::<String>::new());
    });
}

#[test]
fn a_rehearsal_that_is_ended_leaves_nothing_or_the_next_one_removes_it() {
    at_moments("test", |case, moments| {
        let town = case.target("town");
        std::fs::create_dir(case.file("deltas")).unwrap();
        std::fs::write(
            case.file("deltas/delta_1.1.0_more.sql"),
            "alter table public.house add storeys int; update public.account set balance = balance + 1",
        )
        .unwrap();
        std::fs::write(
            case.file("create.sql"),
            format!("{SEED}; {HOUSES}; alter table public.house add storeys int"),
        )
        .unwrap();
        std::fs::write(case.file("pum.yaml"), "expected: {sql: [create.sql]}").unwrap();
        let test = [
            "test",
            "-pp",
            &town,
            "-t",
            TABLE,
            "-d",
            "deltas",
            "--save",
            "town.json",
            "--report",
            "town.html",
        ];
        let before = case.ground.holds("town");
        let whole = case.run(&test);
        for &moment in moments {
            let _ = std::fs::remove_file(case.file("town.json"));
            case.end(&test, moment, whole);
            if let Ok(text) = std::fs::read_to_string(case.file("town.json")) {
                assert!(
                    text.trim_end().ends_with('}') && text.contains("pum/rehearsal/1"),
                    "moment {moment}"
                );
            }
        }
        assert_eq!(case.ground.holds("town"), before);
        assert!(case.ground.recorded("town").applied.is_empty());
        case.run(&test);
        assert_eq!(names(case.temporary.path()), Vec::<String>::new());
        assert_eq!(
            case.names(),
            ["create.sql", "deltas", "pum.yaml", "town.html", "town.json"]
        );
    });
}
