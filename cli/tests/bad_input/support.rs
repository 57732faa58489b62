//! The command in a place of its own, and the databases of one throw-away server.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pum::{Connection, Run, Server, ServerOptions, Target};
use tempfile::TempDir;

/// The upgrades table of every test that does not care for its name.
pub(crate) const TABLE: &str = "water_sys.upgrades";

/// A role of the server that needs its password; every other may come in without.
pub(crate) const LOCKED_ROLE: &str = "water_reader";
pub(crate) const PASSWORD: &str = "Tr0ub4dor-no-echo";

/// The server of this test binary.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let rules = shared_file(&format!(
            "local all {LOCKED_ROLE} scram-sha-256\nlocal all all trust\nlocal replication all trust\n"
        ));
        let server = start(&[("hba_file", rules.to_str().unwrap())]);
        stop_with_the_process();
        let mut connection = Connection::open(&server.target("postgres"), &Run::new()).unwrap();
        connection
            .execute(&format!(
                "create role {LOCKED_ROLE} login superuser password '{PASSWORD}'"
            ))
            .unwrap();
        let template = server.create_database("baselined").unwrap();
        let options = pum::BaselineOptions::new(TABLE.parse().unwrap(), "1.0.0".parse().unwrap());
        pum::baseline(&template, &options, &Run::new()).unwrap();
        server
    })
}

/// `PUM_TEST_SERVER` names the directory of the server programs to test with.
pub(crate) fn start(settings: &[(&str, &str)]) -> Server {
    let options = ServerOptions {
        programs: std::env::var_os("PUM_TEST_SERVER").map(PathBuf::from),
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..ServerOptions::default()
    };
    Server::start(&options, &Run::new()).expect("a throw-away server for the tests")
}

/// A file that the server's user may read, whoever that is.
fn shared_file(text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("pum-test-rules-{}", std::process::id()));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

/// Statics are not dropped at the end of a process; a watching shell ends the server when our pipe closes.
fn stop_with_the_process() {
    let script = r#"cat >/dev/null
rm -f "$1"
for d in "${TMPDIR:-/tmp}"/pum-server-*; do
  [ -f "$d/owner" ] || continue
  flock -n "$d/owner" true 2>/dev/null || continue
  kill -QUIT "$(head -n 1 "$d/data/postmaster.pid" 2>/dev/null)" 2>/dev/null
  sleep 0.3
  rm -rf "$d"
done"#;
    let rules = std::env::temp_dir().join(format!("pum-test-rules-{}", std::process::id()));
    let child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(rules)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(child) = child {
        // The pipe stays open as long as this process lives.
        std::mem::forget(child);
    }
}

fn unique(name: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("{name}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A new empty database.
pub(crate) fn empty_database(name: &str) -> Target {
    server().create_database(&unique(name)).unwrap()
}

/// A new database with an upgrades table, at version 1.0.0.
pub(crate) fn database(name: &str) -> Target {
    server().create_database_from(&unique(name), "baselined").unwrap()
}

/// Runs statements, and returns the first value of the last.
pub(crate) fn sql(target: &Target, text: &str) -> String {
    let mut connection = Connection::open_for_scripts(target, &Run::new()).unwrap();
    match text.trim_end().rsplit_once(";\n") {
        Some((before, last)) => {
            connection.execute(before).unwrap();
            first(&mut connection, last)
        }
        None => first(&mut connection, text),
    }
}

fn first(connection: &mut Connection, text: &str) -> String {
    let rows = connection.query(text, &[]).unwrap();
    rows.value(0, 0).unwrap_or_default().to_owned()
}

/// Everything that a failed command could have left in a database: objects, schemas, rows of upgrades tables,
/// other sessions of pum.
pub(crate) fn contents(target: &Target) -> String {
    sql(
        target,
        "select concat_ws(E'\\n',
           (select string_agg(n.nspname || '.' || c.relname || ' ' || c.relkind::text, E'\\n' order by 1)
              from (select nspname, oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema') n
              left join pg_class c on c.relnamespace = n.oid),
           (select string_agg(nspname, ',' order by 1) from pg_namespace where nspname !~ '^pg_t'),
           (select string_agg(attrelid::regclass || '.' || attname, ',' order by 1) from pg_attribute a
              join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
              where nspname !~ '^pg_' and nspname <> 'information_schema' and attnum > 0),
           (select string_agg(query_to_xml(format('select * from %s', oid::regclass), true, true, '')::text, '')
              from pg_class where relname ~ 'upgrades|info' and relkind = 'r' and relnamespace::regnamespace::text
              not in ('pg_catalog', 'information_schema')),
           (select count(*) || ' locks' from pg_locks where locktype = 'advisory'
              and database = (select oid from pg_database where datname = current_database())))",
    )
}

/// A working directory, a home and an environment for the command.
pub(crate) struct Place {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Place {
        let directory = tempfile::Builder::new().prefix("pum-test-").tempdir().unwrap();
        Place {
            variables: vec![
                ("PATH".to_owned(), std::env::var("PATH").unwrap()),
                ("HOME".to_owned(), directory.path().to_str().unwrap().to_owned()),
            ],
            directory,
        }
    }

    /// A place with deltas in its directory `deltas`.
    pub(crate) fn with_deltas(deltas: &[(&str, &str)]) -> Place {
        let place = Place::new();
        fs::create_dir(place.path("deltas")).unwrap();
        for (name, text) in deltas {
            place.write(&format!("deltas/{name}"), text);
        }
        place
    }

    #[must_use]
    pub(crate) fn set(mut self, name: &str, value: &str) -> Place {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// What lies in the working directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Another program in this place, or pum by way of it.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        for (name, value) in std::env::vars_os() {
            let known = self.variables.iter().any(|(known, _)| **known == *name);
            if name == "TMPDIR" && !known || name.to_string_lossy().starts_with("PUM_") {
                command.env(name, value);
            }
        }
        command
    }

    /// The command, in a session without a terminal, so that nothing can be asked.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.program("/usr/bin/setsid");
        command.arg(env!("CARGO_BIN_EXE_pum")).args(words);
        command
    }

    pub(crate) fn pum(&self, words: &[&str]) -> Ended {
        Ended::new(&self.command(words).output().unwrap(), words)
    }

    /// `pum upgrade` with the deltas of this place.
    pub(crate) fn upgrade(&self, target: &Target, more: &[&str]) -> Ended {
        let name = target.name();
        let mut words = vec!["upgrade", "-p", &name, "-t", TABLE, "-d", "deltas"];
        words.extend(more);
        self.pum(&words)
    }

    /// An upgrade that must fail and leave the database as it was.
    pub(crate) fn refused_upgrade(&self, target: &Target, more: &[&str]) -> Ended {
        let before = contents(target);
        let ended = self.upgrade(target, more);
        assert_eq!(contents(target), before, "{ended:#?}");
        ended
    }
}

/// How the command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    words: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn new(output: &Output, words: &[&str]) -> Ended {
        let ended = Ended {
            words: words.join(" "),
            code: output
                .status
                .code()
                .unwrap_or_else(|| panic!("killed by signal {:?}", output.status.signal())),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        };
        println!(
            "---- pum {} -> {}\n{}{}",
            ended.words, ended.code, ended.stdout, ended.stderr
        );
        for stream in [&ended.stdout, &ended.stderr] {
            for trace in [
                "panicked",
                "RUST_BACKTRACE",
                "Error(Fields",
                "Err(",
                "Some(",
                "os error",
                "\x1b",
                PASSWORD,
            ] {
                assert!(!stream.contains(trace), "{trace:?} in {ended:#?}");
            }
        }
        ended
    }

    /// Fails with this code, and with a sentence.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.stderr.contains("error: "), "{self:#?}");
        assert!(self.stderr.ends_with('\n'), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Ended {
        assert_eq!(self.code, 0, "{self:#?}");
        assert!(!self.stderr.contains("error"), "{self:#?}");
        self
    }

    /// Says all of this on standard error.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Ended {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing in {self:#?}");
        }
        self
    }

    /// Says what to do next.
    #[track_caller]
    pub(crate) fn helps(self, texts: &[&str]) -> Ended {
        let at = self
            .stderr
            .find("help: ")
            .unwrap_or_else(|| panic!("no help in {self:#?}"));
        for text in texts {
            assert!(
                self.stderr[at..].contains(text),
                "{text:?} is missing in the help of {self:#?}"
            );
        }
        self
    }

    /// Points at a place in a file: `path:line:column`, the line's text, and a caret under the column.
    #[track_caller]
    pub(crate) fn points_at(self, place: &str, text: &str) -> Ended {
        assert!(
            self.stderr.contains(&format!("--> {place}\n")),
            "{place} is missing in {self:#?}"
        );
        let column: usize = place.rsplit(':').next().unwrap().parse().unwrap();
        let lines: Vec<&str> = self.stderr.lines().collect();
        let at = lines
            .iter()
            .position(|line| line.ends_with(&format!("| {text}")))
            .unwrap_or_else(|| panic!("the line {text:?} is missing in {self:#?}"));
        let before = lines[at].chars().count() - text.chars().count();
        let caret = lines[at + 1].chars().position(|character| character == '^');
        assert_eq!(caret, Some(before + column - 1), "{self:#?}");
        self
    }
}

/// The path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
