//! Every command on every version: a town of the example is baselined, upgraded, dumped, restored, compared, rehearsed and
//! carried out by the command, on servers of the oldest and the newest version that support/servers.sh has brought and on
//! the system's own; with `PUM_MATRIX=full` on all.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../lib/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pum::Server;

/// A copy of the example, and a server.
struct Stage {
    directory: tempfile::TempDir,
    server: Server,
    path: std::ffi::OsString,
}

impl Stage {
    fn new(server: Server, programs: Option<&Path>) -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/water/.");
        let copied = Command::new("cp").arg("-r").arg(example).arg(directory.path()).status();
        assert!(copied.unwrap().success());
        let mut path: Vec<PathBuf> = programs.map(Path::to_owned).into_iter().collect();
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        Stage {
            directory,
            server,
            path: std::env::join_paths(path).unwrap(),
        }
    }

    /// What a call says on both streams, when it ends as it must.
    fn pum(&self, code: i32, line: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_pum"))
            .args(["-c", "db_manager_config.yaml"])
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .env("PATH", &self.path)
            .env("PGHOST", self.server.socket_directory())
            .env("PGPORT", "5432")
            .env("PGUSER", "postgres")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let major = self.server.version().major();
        assert_eq!(
            output.status.code(),
            Some(code),
            "PostgreSQL {major}: pum {line}\n{said}"
        );
        said
    }

    fn load(&self, database: &str, file: &str) {
        let script = pum::Script::open(&self.directory.path().join(file), &pum::Variables::new()).unwrap();
        let target = self.server.target(database);
        let mut connection = pum::Connection::open_for_scripts(&target, &pum::Run::new()).unwrap();
        pum::run_script(&mut connection, &script).unwrap();
    }
}

fn all_commands(stage: &Stage) {
    for database in ["arvel", "fresh", "restored"] {
        stage.server.create_database(database).unwrap();
    }
    stage.pum(0, "baseline -p dbname=arvel -b 0.0.0");
    stage.pum(0, "upgrade -p dbname=arvel -u 1.0.0");
    stage.load("arvel", "towns/arvel.sql");
    stage.load("fresh", "create.sql");
    let info = stage.pum(0, "info -p dbname=arvel");
    assert!(info.contains("1.0.0") && info.contains("pending"), "{info}");
    stage.pum(0, "upgrade -p dbname=arvel --dry-run");

    for (file, more) in [("town.dump", ""), ("town.dir", "-F directory -j 2")] {
        stage.pum(0, &format!("dump -p dbname=arvel {more} {file}"));
        stage.pum(0, &format!("restore -p dbname=restored --clean {file}"));
        stage.pum(0, "check -p1 dbname=arvel -p2 dbname=restored --data water.*");
    }
    stage.pum(0, "snapshot -p dbname=fresh -o fresh.json");
    let different = stage.pum(1, "check -p1 dbname=arvel -p2 fresh.json");
    assert!(different.contains("reading"), "{different}");

    stage.pum(0, "test -pp dbname=arvel --save proof.json --report report.html");
    stage.pum(1, "check -p1 dbname=arvel -p2 fresh.json");
    stage.pum(0, "upgrade -p dbname=arvel --rehearsal proof.json");
    stage.pum(0, "check -p1 dbname=arvel -p2 dbname=fresh");

    // The other way to the same.
    let backup = stage.directory.path().join("town.dump");
    stage.pum(0, &format!("restore -p dbname=restored --clean {}", backup.display()));
    let said = stage.pum(0, "test-and-upgrade -pp dbname=restored --yes");
    assert!(said.contains("restored is now what was rehearsed"), "{said}");
    stage.pum(0, "check -p1 dbname=restored -p2 dbname=arvel");
}

#[test]
fn every_command_works_on_every_version() {
    all_commands(&Stage::new(
        pum::Server::start(&support::options(), &pum::Run::new()).unwrap(),
        None,
    ));
    let majors = support::majors();
    let full = std::env::var_os("PUM_MATRIX").is_some_and(|matrix| matrix == "full");
    let ends: Vec<&(u32, PathBuf)> = match &majors[..] {
        [oldest, .., newest] if !full => vec![oldest, newest],
        all => all.iter().collect(),
    };
    assert!(
        std::env::var_os("CI").is_none() || !ends.is_empty(),
        "lib/tests/support/servers.sh has brought no servers"
    );
    for (_, programs) in ends {
        all_commands(&Stage::new(support::start(programs), Some(programs)));
    }
}
