//! Where upgrades are disturbed: a server for each worker, databases that are all alike at first, and what they hold after.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pum::{Catalog, Connection, Filter, Run, Server, ServerOptions, Target};

use crate::scenario::SEED;

pub const TABLE: &str = "pum_sys.upgrades";
const TEMPLATE: &str = "seeded";

/// A server of the tests' own.
pub struct Ground {
    pub server: Server,
}

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    pub structure: String,
    pub rows: String,
}

/// What the upgrades table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The deltas that are applied, in order.
    pub applied: Vec<String>,
    /// How many statements of the one that is begun are done.
    pub begun: Option<usize>,
}

impl Ground {
    pub fn new() -> Ground {
        Ground::with(&[])
    }

    /// One with settings of its own.
    pub fn with(settings: &[(&str, &str)]) -> Ground {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = ServerOptions {
            programs: std::env::var_os("PUM_TEST_SERVER").map(PathBuf::from),
            settings: settings.collect(),
            ..ServerOptions::default()
        };
        let ground = Ground {
            server: Server::start(&options, &Run::new()).unwrap(),
        };
        let target = ground.server.create_database(TEMPLATE).unwrap();
        let mut connection = open(&target);
        connection.execute(SEED).unwrap();
        drop(connection);
        let baseline = pum::BaselineOptions::new(TABLE.parse().unwrap(), "1.0.0".parse().unwrap());
        pum::baseline(&target, &baseline, &Run::new()).unwrap();
        ground.execute("checkpoint");
        ground
    }

    pub fn socket(&self) -> PathBuf {
        self.server.socket_directory().join(".s.PGSQL.5432")
    }

    /// The database as the tests reach it, by the server's own socket.
    pub fn target(&self, database: &str) -> Target {
        self.server.target(database).with("application_name", "faults")
    }

    /// A new database with what all of them hold.
    pub fn create(&self, database: &str) {
        // WAL is not replayed into a copy that was made file by file, so that a crash leaves it as it was.
        let strategy = if self.server.version().major() >= 15 {
            "strategy file_copy"
        } else {
            ""
        };
        let begun = Instant::now();
        loop {
            let outcome = open(&self.target("postgres"))
                .execute(&format!("create database {database} template {TEMPLATE} {strategy}"));
            match outcome {
                Ok(()) => return,
                Err(error) if begun.elapsed() > Duration::from_secs(20) => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    pub fn drop(&self, database: &str) {
        let force = if self.server.version().major() >= 13 {
            "with (force)"
        } else {
            ""
        };
        self.execute(&format!("drop database if exists {database} {force}"));
    }

    pub fn execute(&self, sql: &str) {
        open(&self.target("postgres")).execute(sql).unwrap();
    }

    pub fn execute_in(&self, database: &str, sql: &str) {
        open(&self.target(database)).execute(sql).unwrap();
    }

    pub fn value(&self, database: &str, sql: &str) -> String {
        let rows = open(&self.target(database)).query(sql, &[]).unwrap();
        rows.value(0, 0).unwrap_or_default().to_owned()
    }

    pub fn exists(&self, database: &str) -> bool {
        let named = format!("select count(*)::text from pg_database where datname = '{database}'");
        self.value("postgres", &named) == "1"
    }

    /// Ends the session that holds pum's lock, where somebody does.
    pub fn terminate_holder(&self, database: &str) {
        self.value(
            "postgres",
            &format!(
                "select count(pg_terminate_backend(pid))::text from pg_locks where locktype = 'advisory' and granted \
                 and mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = '{database}')"
            ),
        );
    }

    /// The name that the session gave itself which holds pum's lock; nothing where none does.
    pub fn holder(&self, database: &str) -> String {
        self.value(
            "postgres",
            &format!(
                "select max(application_name) from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' \
                 and granted and mode = 'ExclusiveLock' and datname = '{database}'"
            ),
        )
    }

    /// The sessions of pum in a database.
    pub fn sessions(&self, database: &str) -> Vec<String> {
        let mut connection = open(&self.target("postgres"));
        let rows = connection
            .query(
                "select pid::text from pg_stat_activity where datname = $1::text and application_name <> 'faults' \
                 and backend_type = 'client backend'",
                &[Some(database)],
            )
            .unwrap();
        rows.iter().map(|row| row.text(0).to_owned()).collect()
    }

    /// Ends them all, and waits until they are gone.
    pub fn terminate(&self, database: &str) {
        let mut connection = open(&self.target("postgres"));
        for pid in self.sessions(database) {
            connection
                .query("select pg_terminate_backend($1::int4)", &[Some(&pid)])
                .unwrap();
        }
        self.wait_for_no_session(database);
    }

    /// How long it took until no session of pum was left.
    pub fn wait_for_no_session(&self, database: &str) -> Option<Duration> {
        let begun = Instant::now();
        while !self.sessions(database).is_empty() {
            if begun.elapsed() > Duration::from_secs(15) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(begun.elapsed())
    }

    /// Locks that somebody holds on what is in a database.
    pub fn locks(&self, database: &str) -> String {
        let mut connection = open(&self.target("postgres"));
        let rows = connection
            .query(
                "select coalesce(string_agg(concat_ws(' ', locktype, mode, pid), ', '), '') from pg_locks \
                 where database = (select oid from pg_database where datname = $1::text)",
                &[Some(database)],
            )
            .unwrap();
        rows.value(0, 0).unwrap_or_default().to_owned()
    }

    pub fn holds(&self, database: &str) -> Holds {
        let mut connection = open(&self.target(database));
        let filter = Filter {
            upgrades_table: Some(("pum_sys".to_owned(), "upgrades".to_owned())),
            ..Filter::default()
        };
        let structure = Catalog::read(&mut connection, &filter)
            .unwrap()
            .fingerprint()
            .to_string();
        let tables = connection
            .query(
                "select format('select %L, md5(coalesce(string_agg(t::text, chr(10) order by t::text), '''')) from %s t', \
                 c.oid::regclass, c.oid::regclass) from pg_class c \
                 where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
                &[],
            )
            .unwrap();
        let tables: Vec<&str> = tables.iter().map(|row| row.text(0)).collect();
        let rows = connection.query(&tables.join(" union all "), &[]).unwrap();
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {}", row.text(0), row.text(1)))
            .collect();
        Holds {
            structure,
            rows: rows.join(", "),
        }
    }

    pub fn recorded(&self, database: &str) -> Recorded {
        let history = pum::history(&self.target(database), &TABLE.parse().unwrap(), &Run::new())
            .unwrap()
            .unwrap();
        let deltas = history.entries().iter().filter(|entry| entry.code != 0);
        let (applied, begun): (Vec<_>, Vec<_>) = deltas.partition(|entry| entry.success);
        assert!(begun.len() < 2, "{begun:?}");
        Recorded {
            applied: applied
                .iter()
                .map(|entry| format!("{} {} {}", entry.version, entry.name, entry.code))
                .collect(),
            begun: begun.first().map(|entry| entry.statements_done),
        }
    }
}

fn open(target: &Target) -> Connection {
    Connection::open(target, &Run::new()).unwrap()
}

/// The command, on a database that is reached at a host and port.
pub fn upgrade(host: &str, port: u16, database: &str, directory: &Path, temporary: &Path) -> Command {
    let mut command = Command::new(program());
    let target = format!("host={host} port={port} user=postgres dbname={database} sslmode=disable");
    command
        .args(["upgrade", "-p", &target, "-t", TABLE, "-d"])
        .arg(directory)
        .env("TMPDIR", temporary)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in ["PGHOST", "PGSERVICE", "PGAPPNAME", "PGOPTIONS", "PGCONNECT_TIMEOUT"] {
        command.env_remove(name);
    }
    command
}

/// A copy of the command, so that it stays the same while somebody builds it anew.
pub fn program() -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let new = tempfile::NamedTempFile::new_in(directory).unwrap().into_temp_path();
        std::fs::copy(env!("CARGO_BIN_EXE_pum"), &new).unwrap();
        let copy = directory.join("pum-for-faults");
        new.persist(&copy).unwrap();
        copy
    })
}
