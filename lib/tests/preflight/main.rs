//! Each concern of the pre-flight, planted in a real server and found.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod rights;
mod server;
mod sessions;
mod structure;
#[path = "../support/mod.rs"]
mod support;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pum::{
    BaselineOptions, Concern, Connection, Preflight, PreflightOptions, Run, Server, ServerOptions, Severity, TableName,
    Target, UpgradeOptions, baseline, preflight,
};

fn table() -> TableName {
    "water_sys.upgrades".parse().unwrap()
}

/// A server of its own, with settings.
fn start(settings: &[(&str, &str)]) -> Server {
    let options = ServerOptions {
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..support::options()
    };
    Server::start(&options, &Run::new()).unwrap()
}

/// A database at 1.0.0, with a table `water.pipe`, and its deltas.
struct Scene {
    target: Target,
    deltas: tempfile::TempDir,
}

impl Scene {
    fn new(name: &str) -> Scene {
        Scene::of(support::database(name))
    }

    fn of(target: Target) -> Scene {
        let scene = Scene {
            target,
            deltas: tempfile::tempdir().unwrap(),
        };
        baseline(
            &scene.target,
            &BaselineOptions::new(table(), "1.0.0".parse().unwrap()),
            &Run::new(),
        )
        .unwrap();
        scene.execute(
            "create schema water; create table water.pipe (id int primary key, size int); \
             insert into water.pipe select i, i % 7 from generate_series(1, 1000) i",
        );
        scene.execute(&format!(
            "create role keeper_{0}; alter table water.pipe owner to keeper_{0}",
            scene.database()
        ));
        scene.delta(
            "delta_1.1.0_pipe.sql",
            "alter table water.pipe add column length numeric",
        );
        scene
    }

    fn delta(&self, name: &str, text: &str) {
        std::fs::write(self.deltas.path().join(name), text).unwrap();
    }

    fn open(&self) -> Connection {
        Connection::open_for_scripts(&self.target, &Run::new()).unwrap()
    }

    fn execute(&self, sql: &str) {
        self.open().execute(sql).unwrap();
    }

    fn ask(&self, sql: &str) -> String {
        let rows = self.open().query(sql, &[]).unwrap();
        rows.value(0, 0).unwrap_or_default().to_owned()
    }

    fn database(&self) -> String {
        self.ask("select current_database()::text")
    }

    /// A statement that takes its time, in a session of its own; its end is nobody's concern.
    fn busy(&self, sql: &'static str) -> JoinHandle<()> {
        let target = self.target.clone();
        std::thread::spawn(move || {
            let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
            let _ = connection.execute(sql);
        })
    }

    fn upgrade(&self) -> UpgradeOptions {
        UpgradeOptions::new(table(), vec![self.deltas.path().to_owned()])
    }

    /// With these options, as the user of `target`.
    fn look_at(&self, target: &Target, options: &PreflightOptions) -> Preflight {
        let plan = pum::plan(&self.target, &self.upgrade(), &Run::new()).unwrap();
        preflight(target, &plan, options, &Run::new()).unwrap()
    }

    fn look(&self) -> Preflight {
        self.look_at(&self.target, &PreflightOptions::new(self.upgrade()))
    }

    /// Transactions of any age are told.
    fn look_closely(&self) -> Preflight {
        let options = PreflightOptions {
            long_transaction: Duration::ZERO,
            ..PreflightOptions::new(self.upgrade())
        };
        self.look_at(&self.target, &options)
    }

    /// Looks until there is such a concern.
    fn wait_for(&self, code: &str) -> Preflight {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.look();
            if found.concerns.iter().any(|concern| concern.code == code) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {code} in {found:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A role that is no superuser, may alter the table that the deltas alter, may write the upgrades table, and is asked in its place.
    fn plain(&self, name: &str) -> Target {
        let role = format!("{name}_{}", self.database());
        self.execute(&format!(
            "create role {role} login; grant usage on schema water_sys to {role}; \
             grant select, insert, update on water_sys.upgrades to {role}; \
             grant usage on all sequences in schema water_sys to {role}; \
             grant usage on schema water to {role}; grant keeper_{} to {role}",
            self.database()
        ));
        self.target.clone().with("user", &role)
    }
}

/// The only concern with a code.
fn one<'a>(found: &'a Preflight, code: &str) -> &'a Concern {
    let concerns: Vec<&Concern> = found.concerns.iter().filter(|concern| concern.code == code).collect();
    assert!(concerns.len() == 1, "{code} in {found:#?}");
    concerns[0]
}

fn codes(found: &Preflight) -> Vec<&str> {
    found.concerns.iter().map(|concern| concern.code.as_str()).collect()
}

/// Whether a text has all of these.
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

#[test]
fn a_quiet_database_gives_none() {
    let scene = Scene::new("quiet");
    let found = scene.look();
    assert_eq!(
        (found.concerns.as_slice(), found.not_seen.as_slice()),
        (&[][..], &[][..])
    );
    assert!(found.refusal().is_none());
    // Others at work, and nobody for long.
    let mut other = scene.open();
    other.execute("begin; update water.pipe set size = 1").unwrap();
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());

    let plain = scene.plain("quiet");
    other.rollback();
    drop(other);
    let found = scene.look_at(&plain, &PreflightOptions::new(scene.upgrade()));
    assert_eq!(codes(&found), Vec::<&str>::new());
    let [disk] = found.not_seen.as_slice() else {
        panic!("{found:#?}")
    };
    holds(&disk.what, &["free space", "the database has", "water.pipe 1"]);
    holds(&disk.because, &["pg_read_all_settings"]);
}

#[test]
fn the_gravest_comes_first_and_the_json_says_all() {
    let scene = Scene::new("order");
    scene.execute("alter table water.pipe add constraint positive check (size > 100) not valid");
    let mut other = scene.open();
    other.execute("begin; select * from water.pipe").unwrap();
    let found = scene.look_closely();
    assert_eq!(codes(&found), ["idle_in_transaction", "constraint_not_valid"]);
    assert_eq!(found.of(Severity::Delays).count(), 1);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["schema"], "pum/preflight/1");
    assert_eq!(json["concerns"][0]["severity"], "delays");
    assert_eq!(json["concerns"][0]["refuses"], false);
    for field in ["code", "what", "effect", "advice"] {
        assert!(
            json["concerns"][0][field].as_str().is_some_and(|text| !text.is_empty()),
            "{json}"
        );
    }
}
