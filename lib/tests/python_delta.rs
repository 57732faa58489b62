//! Python deltas in an upgrade, on a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, Error, ErrorKind, Event, Run, TableName, Target, UpgradeOptions, baseline, upgrade,
};

struct Case {
    target: Target,
    directory: tempfile::TempDir,
    options: UpgradeOptions,
    lines: Arc<Mutex<Vec<String>>>,
}

/// A database at 1.0.0 and a directory with these files.
fn case(name: &str, files: &[(&str, &str)]) -> Case {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let text = match file.ends_with(".py") {
            true => format!("{HEAD}{}", text.replace('\n', "\n        ")),
            false => (*text).to_owned(),
        };
        std::fs::write(directory.path().join(file), text).unwrap();
    }
    let target = support::database(name);
    let table: TableName = "pum_sys.upgrades".parse().unwrap();
    let options = BaselineOptions {
        table: table.clone(),
        version: "1.0.0".parse().unwrap(),
        mark_applied: None,
        wait: Duration::ZERO,
    };
    baseline(&target, &options, &Run::new()).unwrap();
    Case {
        target,
        options: UpgradeOptions::new(table, vec![directory.path().to_owned()]),
        directory,
        lines: Arc::default(),
    }
}

/// What real deltas do: psql in a child process, over the service they are told.
const HEAD: &str = r#"import os, subprocess
from pum.core.deltapy import DeltaPy
def psql(service, sql):
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "service=" + service, "-c", sql]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
class Delta(DeltaPy):
    def run(self):
        "#;

impl Case {
    fn upgrade(&self) -> Result<Vec<String>, Error> {
        let lines = Arc::clone(&self.lines);
        let run = Run::new().on_event(move |event| {
            if let Event::Output { line, .. } = event {
                lines.lock().unwrap().push(line);
            }
        });
        upgrade(&self.target, &self.options, None, &run)
            .map(|applied| applied.steps.iter().map(|step| step.step.to_string()).collect())
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    fn value(&self, sql: &str) -> String {
        let mut connection = Connection::open(&self.target, &Run::new()).unwrap();
        connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
    }

    fn rows(&self) -> String {
        self.value(
            "select coalesce(string_agg(concat_ws(' ', version, description, type, success), '; ' order by id), '') \
             from pum_sys.upgrades where type <> 0",
        )
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.directory.path().join(file), text).unwrap();
    }
}

#[test]
fn python_and_sql_deltas_work_hand_in_hand() {
    let mut case = case(
        "hand_in_hand",
        &[
            ("pre-all.py", "print('pre-all', self.current_db_version)"),
            (
                "delta_1.1.0_a.sql",
                "create table public.t (i int); insert into public.t values (%(SRID)s)",
            ),
            (
                "delta_1.1.0_a.post.py",
                "self.write_message(psql(self.pg_service, 'select i from public.t'))\n\
                 psql(self.pg_service, 'insert into public.t values (%d)' % (self.variables['SRID'] + 1))",
            ),
            (
                "delta_1.2.0_b.py",
                "print(self.current_db_version, self.upgrades_table)",
            ),
            ("post-all.py", "print('post-all', self.current_db_version)"),
        ],
    );
    case.options.variables.insert("int", "SRID", "2056").unwrap();
    assert_eq!(
        case.upgrade().unwrap(),
        [
            "pre-all (py)",
            "1.1.0 a (delta sql)",
            "1.1.0 a (post py)",
            "1.2.0 b (delta py)",
            "post-all (py)"
        ]
    );
    // The current version is that of the table at each moment, as in pum 0.10.
    let said = [
        "pre-all 1.0.0",
        "Message from Delta: 2056",
        "1.1.0 pum_sys.upgrades",
        "post-all 1.2.0",
    ];
    assert_eq!(case.lines(), said);
    assert_eq!(
        case.value("select string_agg(i::text, ' ' order by i) from public.t"),
        "2056 2057"
    );
    assert_eq!(case.rows(), "1.1.0 a 8 t; 1.1.0 a 6 t; 1.2.0 b 4 t");
}

#[test]
fn a_python_delta_that_fails_is_not_recorded_as_applied_and_runs_again() {
    let case = case(
        "fails",
        &[
            ("delta_1.1.0_a.sql", "create table public.t (i int)"),
            (
                "delta_1.2.0_b.py",
                "psql(self.pg_service, 'insert into public.t values (1)')\nraise ValueError('half way')",
            ),
            ("delta_1.3.0_c.sql", "drop table public.t"),
        ],
    );
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    assert_eq!(error.message(), "delta_1.2.0_b.py failed: ValueError: half way");
    assert_eq!(error.location().unwrap().text.trim(), "raise ValueError('half way')");
    let state = error.state().unwrap();
    assert!(
        state.contains("1.1.0 a") && state.contains("committed stays"),
        "{state}"
    );
    assert_eq!(case.value("select count(*)::text from public.t"), "1");
    assert!(
        !case.rows().contains("1.2.0 b 4 t") && !case.rows().contains("1.3.0"),
        "{}",
        case.rows()
    );

    case.write("delta_1.2.0_b.py", &format!("{HEAD}pass"));
    assert_eq!(case.upgrade().unwrap(), ["1.2.0 b (delta py)", "1.3.0 c (delta sql)"]);
    assert!(case.rows().contains("1.2.0 b 4 t; 1.3.0 c 8 t"), "{}", case.rows());
}

#[test]
fn without_python_nothing_is_done_and_the_delta_is_named() {
    let mut case = case("no_python", &[("delta_1.1.0_a.py", "pass")]);
    case.options.python = Some(PathBuf::from("/nowhere/python3"));
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    assert!(
        error.message().starts_with("delta_1.1.0_a.py is a Python delta"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("apt-get install python3"));
    case.options.python = None;
    assert_eq!(case.upgrade().unwrap(), ["1.1.0 a (delta py)"]);
}

#[test]
fn cancelling_ends_the_delta() {
    let case = case(
        "cancelled",
        &[(
            "delta_1.1.0_a.py",
            "print('working')\npsql(self.pg_service, 'select pg_sleep(60)')",
        )],
    );
    let run = Run::new();
    let cancel = run.cancel().clone();
    let run = run.on_event(move |event| {
        if matches!(&event, Event::Output { line, .. } if line == "working") {
            cancel.cancel();
        }
    });
    let begun = std::time::Instant::now();
    let error = upgrade(&case.target, &case.options, None, &run).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!case.rows().contains("1.1.0 a 4 t"), "{}", case.rows());
    // A failed step can be run again, without a word on an interruption that pum knows all about.
    std::fs::write(case.directory.path().join("delta_1.1.0_a.py"), format!("{HEAD}pass")).unwrap();
    assert_eq!(case.upgrade().unwrap(), ["1.1.0 a (delta py)"]);
}
