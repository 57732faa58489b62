//! Baselines, plans and upgrades on a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, Error, ErrorKind, Event, Run, Status, TableName, Target, UpgradeOptions, Version,
    baseline, info, plan, upgrade,
};

struct Case {
    target: Target,
    directory: tempfile::TempDir,
    run: Run,
    events: Arc<Mutex<Vec<Event>>>,
}

fn table() -> TableName {
    "pum_sys.upgrades".parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A database at 1.0.0 and a directory with these deltas.
fn case(name: &str, deltas: &[(&str, &str)]) -> Case {
    let case = bare(name, deltas);
    baseline(&case.target, &baseline_options("1.0.0"), &case.run).unwrap();
    case
}

fn bare(name: &str, deltas: &[(&str, &str)]) -> Case {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in deltas {
        std::fs::write(directory.path().join(file), text).unwrap();
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let run = Run::new().on_event(move |event| heard.lock().unwrap().push(event));
    Case {
        target: support::database(name),
        directory,
        run,
        events,
    }
}

fn baseline_options(at: &str) -> BaselineOptions {
    BaselineOptions {
        table: table(),
        version: version(at),
        mark_applied: None,
        wait: Duration::ZERO,
    }
}

impl Case {
    fn directories(&self) -> Vec<PathBuf> {
        vec![self.directory.path().to_owned()]
    }

    fn options(&self) -> UpgradeOptions {
        UpgradeOptions::new(table(), self.directories())
    }

    fn upgrade(&self) -> Result<Vec<String>, Error> {
        self.upgrade_with(&self.options())
    }

    fn upgrade_with(&self, options: &UpgradeOptions) -> Result<Vec<String>, Error> {
        // Every run has an identity of its own.
        let events = Arc::clone(&self.events);
        let run = Run::new().on_event(move |event| events.lock().unwrap().push(event));
        upgrade(&self.target, options, None, &run)
            .map(|applied| applied.steps.iter().map(|step| step.step.to_string()).collect())
    }

    fn value(&self, sql: &str) -> Option<String> {
        let mut connection = Connection::open(&self.target, &Run::new()).unwrap();
        connection.query(sql, &[]).unwrap().value(0, 0).map(str::to_owned)
    }

    /// The rows after the baseline: version, name, type, success.
    fn rows(&self) -> String {
        self.value(
            "select coalesce(string_agg(concat_ws(' ', version, description, type, success, state), '; ' order by id), '') \
             from pum_sys.upgrades where type <> 0",
        )
        .unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.directory.path().join(file), text).unwrap();
    }

    fn heard(&self, what: &str) -> bool {
        self.events
            .lock()
            .unwrap()
            .iter()
            .any(|event| format!("{event:?}").contains(what))
    }
}

#[test]
fn deltas_are_applied_in_order_recorded_and_not_again() {
    let case = case(
        "order",
        &[
            ("delta_1.10.0_last.sql", "insert into public.t values ('1.10.0')"),
            ("delta_1.9.0_b.sql", "insert into public.t values ('1.9.0 b');"),
            ("delta_1.9.0_b.pre.sql", "create table public.t (a text); -- %"),
            ("delta_1.9.0_a.post.sql", "insert into public.t values ('1.9.0 post')"),
            ("delta_0.9.0_old.sql", "select no_such_thing"),
            ("pre-all.sql", "create table if not exists public.pre ();"),
            ("post-all.sql", "insert into public.t values ('post-all')"),
        ],
    );
    let expected = [
        "pre-all (sql)",
        "1.9.0 b (pre sql)",
        "1.9.0 b (delta sql)",
        "1.9.0 a (post sql)",
        "1.10.0 last (delta sql)",
        "post-all (sql)",
    ];
    assert_eq!(case.upgrade().unwrap(), expected);
    assert_eq!(
        case.rows(),
        "1.9.0 b 9 t done; 1.9.0 b 8 t done; 1.9.0 a 10 t done; 1.10.0 last 8 t done"
    );
    assert_eq!(case.upgrade().unwrap(), ["pre-all (sql)", "post-all (sql)"]);
    assert_eq!(case.value("select count(*)::text from public.t").unwrap(), "5");
    let info = info(&case.target, &table(), &case.directories(), &case.run).unwrap();
    assert_eq!(info.current_version.as_deref(), Some("1.10.0"));
    let statuses: Vec<(String, Status)> = info
        .deltas
        .iter()
        .map(|line| (line.name.clone(), line.status))
        .collect();
    assert_eq!(statuses[0], ("old".to_owned(), Status::Skipped));
    assert_eq!(statuses[1], ("baseline".to_owned(), Status::Applied));
    assert!(
        statuses[2..].iter().all(|(_, status)| *status == Status::Applied),
        "{statuses:?}"
    );
}

#[test]
fn a_delta_that_fails_leaves_nothing_and_the_next_run_goes_on() {
    let case = case(
        "fails",
        &[
            ("delta_1.1.0_good.sql", "create table public.good ();"),
            (
                "delta_1.2.0_bad.sql",
                "create table public.half ();\n\nselect 1;\nselect é, no_such;\n",
            ),
            ("delta_1.3.0_never.sql", "create table public.never ();"),
        ],
    );
    let error = case.upgrade().unwrap_err();
    let location = error.location().unwrap();
    assert_eq!(
        (location.line, location.column, location.text.as_str()),
        (4, 8, "select é, no_such;")
    );
    assert_eq!(error.sqlstate(), Some("42703"));
    let state = error.state().unwrap();
    assert!(state.contains("applied by this run: 1.1.0 good (delta sql)"), "{state}");
    assert!(state.contains("1.2.0 bad (delta sql) was rolled back"), "{state}");
    assert!(
        state.contains("not applied: 1.2.0 bad (delta sql), 1.3.0 never (delta sql)"),
        "{state}"
    );
    assert_eq!(case.rows(), "1.1.0 good 8 t done");
    assert_eq!(case.value("select to_regclass('public.half')::text"), None);
    case.write("delta_1.2.0_bad.sql", "create table public.half ();");
    assert_eq!(
        case.upgrade().unwrap(),
        ["1.2.0 bad (delta sql)", "1.3.0 never (delta sql)"]
    );
}

#[test]
fn an_error_in_a_function_called_by_a_do_block_points_into_the_block() {
    let case = case(
        "block",
        &[(
            "delta_1.1.0_a.sql",
            "create function public.f(i int) returns int language plpgsql as $f$\nbegin\n  return 1 / i;\nend $f$;\n\
             do $$\nbegin\n  perform 1;\n  perform public.f(0);\nend $$;\n",
        )],
    );
    let error = case.upgrade().unwrap_err();
    let location = error.location().unwrap();
    assert_eq!((location.line, location.text.as_str()), (8, "  perform public.f(0);"));
    assert!(
        error
            .server()
            .unwrap()
            .context
            .as_ref()
            .unwrap()
            .contains("f(integer) line 3")
    );
}

#[test]
fn one_transaction_for_all_takes_all_back() {
    let case = case(
        "single",
        &[
            (
                "delta_1.1.0_good.sql",
                "create table public.good (); set role pg_monitor;",
            ),
            ("delta_1.2.0_bad.sql", "select 1/0"),
        ],
    );
    let options = UpgradeOptions {
        single_transaction: true,
        ..case.options()
    };
    let error = case.upgrade_with(&options).unwrap_err();
    assert!(
        error.state().unwrap().contains("everything was rolled back"),
        "{:?}",
        error.state()
    );
    assert_eq!(
        (case.rows(), case.value("select to_regclass('public.good')::text")),
        (String::new(), None)
    );
    case.write("delta_1.2.0_bad.sql", "create table public.second ();");
    assert_eq!(case.upgrade_with(&options).unwrap().len(), 2);
    assert_eq!(case.rows(), "1.1.0 good 8 t done; 1.2.0 bad 8 t done");
}

#[test]
fn a_script_cannot_leave_its_transaction() {
    for (index, script) in [
        "create table public.a ();\nCOMMIT;\ncreate table public.b ();",
        "create table public.a (); rollback; begin; create table public.b ();",
        "create table public.a (); commit and chain; create table public.b ();",
        "begin; create table public.a (); commit; create table public.b ();",
        "create table public.a (); prepare transaction 'x';",
    ]
    .iter()
    .enumerate()
    {
        let case = case("escape", &[("delta_1.1.0_a.sql", script)]);
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{index}: {error}");
        assert!(error.location().is_some() && error.hint().is_some(), "{index}");
        assert_eq!(
            (case.rows(), case.value("select to_regclass('public.a')::text")),
            (String::new(), None),
            "{index}"
        );
    }
}

#[test]
fn a_file_wrapped_in_begin_and_commit_is_one_transaction_all_the_same() {
    let case = case(
        "wrapped",
        &[(
            "delta_1.1.0_a.sql",
            "-- old habit\nBEGIN;\ncreate table public.a ();\nselect no_such;\nCOMMIT;\n",
        )],
    );
    assert_eq!(case.upgrade().unwrap_err().location().unwrap().line, 4);
    assert_eq!(
        (case.rows(), case.value("select to_regclass('public.a')::text")),
        (String::new(), None)
    );
    case.write("delta_1.1.0_a.sql", "BEGIN;\ncreate table public.a ();\nEND");
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(case.rows(), "1.1.0 a 8 t done");
}

#[test]
fn a_delta_that_touches_the_upgrades_table_is_rolled_back() {
    for script in [
        "delete from pum_sys.upgrades",
        "drop table pum_sys.upgrades",
        "alter table pum_sys.upgrades rename to u",
    ] {
        let case = case(
            "touches",
            &[("delta_1.1.0_a.sql", &format!("create table public.a (); {script};"))],
        );
        let error = case.upgrade().unwrap_err();
        assert!(
            format!("{error} {:?}", error.hint()).contains("upgrades table"),
            "{script}: {error}"
        );
        assert_eq!(
            (case.rows(), case.value("select to_regclass('public.a')::text")),
            (String::new(), None)
        );
    }
}

#[test]
fn each_delta_sees_a_fresh_session() {
    let case = case(
        "fresh",
        &[
            (
                "delta_1.1.0_leaks.sql",
                "set search_path = pg_catalog; set role pg_monitor; reset role; create temp table leak (); \
                 set work_mem = '77MB'; listen x; set session_replication_role = replica; set role pg_monitor;",
            ),
            (
                "delta_1.2.0_sees.sql",
                "create table lands_in_public (); do $$ begin \
                 if to_regclass('pg_temp.leak') is not null or current_setting('work_mem') = '77MB' \
                 or current_user <> session_user or current_setting('session_replication_role') <> 'origin' \
                 then raise 'leaked'; end if; end $$;",
            ),
        ],
    );
    assert_eq!(case.upgrade().unwrap().len(), 2);
    assert_eq!(
        case.value("select to_regclass('public.lands_in_public')::text")
            .as_deref(),
        Some("public.lands_in_public")
    );
}

#[test]
fn without_a_transaction_each_statement_stays_and_the_next_run_goes_on() {
    let case = case(
        "outside",
        &[(
            "delta_1.1.0_a.sql",
            "-- pum: no-transaction\ncreate table public.a (i int);\ninsert into public.a values (1), (1);\n\
             create unique index concurrently a_i on public.a (i);\ncreate table public.b ();\n",
        )],
    );
    let error = case.upgrade().unwrap_err();
    assert_eq!((error.sqlstate(), error.location().unwrap().line), (Some("23505"), 4));
    assert!(
        error.hint().unwrap().starts_with(
            "the index public.a_i is left invalid, and pum drops it and builds it again when it is run again; \
             1.1.0 a (delta sql) runs without a transaction: 2 of its 4 statements are done and stay"
        ),
        "{:?}",
        error.hint()
    );
    assert_eq!(case.rows(), "1.1.0 a 8 f failed");
    // A killed run leaves the same as this: an invalid index, and two statements done.
    Connection::open(&case.target, &Run::new())
        .unwrap()
        .execute("delete from public.a where ctid = '(0,1)'")
        .unwrap();
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(case.rows(), "1.1.0 a 8 t done");
    assert_eq!(
        case.value("select indisvalid::text from pg_index where indexrelid = 'public.a_i'::regclass")
            .unwrap(),
        "true"
    );
    assert_eq!(case.value("select count(*)::text from public.a").unwrap(), "1");
}

#[test]
fn a_role_that_a_delta_takes_outside_a_transaction_is_its_own_only() {
    let case = case(
        "outside_role",
        &[(
            "delta_1.1.0_a.sql",
            "-- pum: no-transaction\nset role pum_outside;\ncreate table o.a (i int);\n\
             create index concurrently a_i on o.a (i);\nset session authorization pum_outside;\n\
             create table o.b (i int);\ncreate index concurrently b_i on o.b (i);\nreset session authorization;\n\
             create table o.c (i int);\n",
        )],
    );
    Connection::open(&case.target, &case.run)
        .unwrap()
        .execute("create role pum_outside; create schema o authorization pum_outside")
        .unwrap();
    assert_eq!(case.upgrade().unwrap().len(), 1);
    let owners = "select string_agg(tablename || ' ' || (tableowner = 'pum_outside')::text, ', ' order by 1) \
                  from pg_tables where schemaname = 'o'";
    assert_eq!(case.value(owners).as_deref(), Some("a true, b true, c false"));
}

#[test]
fn a_transaction_of_a_script_is_recorded_with_its_own_commit() {
    let case = case(
        "own",
        &[(
            "delta_1.1.0_a.sql",
            "-- pum: no-transaction\ncreate table public.a (i int);\nbegin;\ninsert into public.a values (1);\n\
             set role pg_monitor;\ncommit;\nselect 1 / 0;\n",
        )],
    );
    assert_eq!(case.upgrade().unwrap_err().sqlstate(), Some("22012"));
    let done = "select statements_done::text from pum_sys.upgrades where type <> 0";
    assert_eq!(case.value(done).as_deref(), Some("5"));
    case.write(
        "delta_1.1.0_a.sql",
        "-- pum: no-transaction\ncreate table public.a (i int);\nbegin;\ninsert into public.a values (1);\n\
         set role pg_monitor;\ncommit;\nselect 1;\n",
    );
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(case.value("select count(*)::text from public.a").as_deref(), Some("1"));
}

#[test]
fn what_a_session_had_set_is_set_again_on_resuming() {
    let case = case(
        "resume",
        &[
            (
                "delta_1.1.0_a.sql",
                "-- pum: no-transaction\ncreate schema s;\nset search_path = s;\n\
                 insert into public.later values (1);\ncreate table lands ();\n",
            ),
            ("pre-all.sql", "-- pum: no-transaction\nvacuum;"),
        ],
    );
    let error = case.upgrade().unwrap_err();
    assert_eq!((error.sqlstate(), error.location().unwrap().line), (Some("42P01"), 4));
    assert!(
        error.hint().unwrap().contains("goes on with statement 3"),
        "{:?}",
        error.hint()
    );
    let text = std::fs::read_to_string(case.directory.path().join("delta_1.1.0_a.sql")).unwrap();
    case.write("delta_1.1.0_a.sql", &text.replace("create schema s", "create schema z"));
    let error = case.upgrade().unwrap_err();
    assert!(error.message().contains("the first 2 statements"), "{error}");
    // What is not done yet may be corrected.
    case.write("delta_1.1.0_a.sql", &text.replace("(1)", "(2)"));
    Connection::open(&case.target, &Run::new())
        .unwrap()
        .execute("create table public.later (i int)")
        .unwrap();
    assert_eq!(case.upgrade().unwrap().len(), 2);
    assert_eq!(
        case.value("select to_regclass('s.lands')::text").as_deref(),
        Some("s.lands")
    );
    assert_eq!(
        case.value("select count(*)::text from public.later").as_deref(),
        Some("1")
    );
}

#[test]
fn a_statement_that_needs_the_header_is_refused_before_anything_runs() {
    let case = case(
        "header",
        &[
            ("delta_1.1.0_a.sql", "create table public.a ();"),
            ("delta_1.2.0_b.sql", "\n  vacuum;"),
        ],
    );
    let error = case.upgrade().unwrap_err();
    assert!(error.hint().unwrap().contains("-- pum: no-transaction"));
    assert_eq!(
        (error.location().unwrap().line, error.location().unwrap().column),
        (2, 3)
    );
    assert_eq!(case.rows(), "");
}

#[test]
fn copy_data_and_variables_reach_the_server() {
    let case = case(
        "copy",
        &[(
            "delta_1.1.0_a.sql",
            "create table public.a (i int, t text);\ncopy public.a from stdin;\n1\tit\\tworks\n2\t\\N\n\\.\n\
             insert into public.a values (%(SRID)s, %(name)s), (-%(neg)s, '100%%');",
        )],
    );
    let mut options = case.options();
    options.variables.insert("int", "SRID", "2056").unwrap();
    options.variables.insert("int", "neg", "-5").unwrap();
    options.variables.insert("str", "name", "O'Neil").unwrap();
    case.upgrade_with(&options).unwrap();
    assert_eq!(
        case.value("select string_agg(concat_ws(',', i, t), ';' order by i) from public.a")
            .unwrap(),
        "1,it\tworks;2;5,100%;2056,O'Neil"
    );
}

#[test]
fn a_near_miss_stops_an_upgrade_unless_told() {
    let case = case(
        "near",
        &[
            ("delta_1.1.0_a.sql", "select 1"),
            ("delta_1.2.0_b.sql.post", "select 1"),
        ],
    );
    let error = case.upgrade().unwrap_err();
    assert!(error.message().contains("delta_1.2.0_b.sql.post"), "{error}");
    assert_eq!(case.rows(), "");
    let options = UpgradeOptions {
        allow_near_misses: true,
        ..case.options()
    };
    assert_eq!(case.upgrade_with(&options).unwrap().len(), 1);
}

#[test]
fn two_runs_at_once_apply_once() {
    let case = case(
        "twice",
        &[("delta_1.1.0_a.sql", "create table public.a (); select pg_sleep(0.5);")],
    );
    let outcomes: Vec<Result<usize, Error>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|number| {
                let wait = if number % 2 == 0 {
                    Duration::from_secs(60)
                } else {
                    Duration::ZERO
                };
                let options = UpgradeOptions { wait, ..case.options() };
                let target = case.target.clone();
                scope.spawn(move || upgrade(&target, &options, None, &Run::new()).map(|applied| applied.steps.len()))
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let applied = outcomes.iter().filter(|outcome| matches!(outcome, Ok(1))).count();
    let others = outcomes.iter().all(|outcome| match outcome {
        Ok(steps) => *steps <= 1,
        Err(error) => error.kind() == ErrorKind::Locked && error.message().contains("server process"),
    });
    assert!(applied == 1 && others, "{outcomes:?}");
    assert_eq!(case.rows(), "1.1.0 a 8 t done");
}

#[test]
fn a_session_in_the_way_is_named_and_the_step_tried_again() {
    let case = case(
        "way",
        &[("delta_1.1.0_a.sql", "alter table public.busy add column b int;")],
    );
    let mut reader = Connection::open(&case.target, &Run::new()).unwrap();
    reader.execute("create table public.busy (a int)").unwrap();
    reader.execute("begin; select * from public.busy").unwrap();
    let options = UpgradeOptions {
        lock_timeout: Duration::from_millis(500),
        attempts: 2,
        ..case.options()
    };
    let error = case.upgrade_with(&options).unwrap_err();
    assert_eq!(error.sqlstate(), Some("55P03"));
    assert!(
        error.message().contains(&format!("process {}", reader.backend_pid())),
        "{error}"
    );
    assert_eq!(case.rows(), "");
    let options = UpgradeOptions {
        attempts: 50,
        ..options
    };
    std::thread::scope(|scope| {
        let upgrading = scope.spawn(|| case.upgrade_with(&options));
        std::thread::sleep(Duration::from_millis(900));
        reader.rollback();
        assert_eq!(upgrading.join().unwrap().unwrap().len(), 1);
    });
    assert!(case.heard("trying again"));
}

#[test]
fn cancelling_rolls_back_what_is_under_way() {
    let case = case(
        "cancel",
        &[
            ("delta_1.1.0_a.sql", "create table public.a ();"),
            ("delta_1.2.0_b.sql", "create table public.b (); select pg_sleep(60)"),
        ],
    );
    let run = Run::new();
    let cancel = run.cancel().clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        cancel.cancel();
    });
    let error = upgrade(&case.target, &case.options(), None, &run).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(
        error.state().unwrap().contains("1.2.0 b (delta sql) was rolled back"),
        "{:?}",
        error.state()
    );
    assert_eq!(case.rows(), "1.1.0 a 8 t done");
    assert_eq!(case.value("select count(*)::text from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())").unwrap(), "0");
}

#[test]
fn the_history_is_in_the_order_of_recording_beyond_nine_rows() {
    let deltas: Vec<(String, &str)> = (1..12)
        .map(|number| (format!("delta_1.{number}.0_a.sql"), "select 1"))
        .collect();
    let deltas: Vec<(&str, &str)> = deltas.iter().map(|(file, text)| (file.as_str(), *text)).collect();
    let case = case("order", &deltas);
    case.upgrade().unwrap();
    let history = pum::history(&case.target, &table(), &case.run).unwrap().unwrap();
    let ids: Vec<i64> = history.entries().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, (1..13).collect::<Vec<i64>>());
}

#[test]
fn an_applied_file_that_changed_is_told_and_not_run_again() {
    let case = case("changed", &[("delta_1.1.0_a.sql", "create table public.a ();\n")]);
    case.upgrade().unwrap();
    case.write("delta_1.1.0_a.sql", "create table public.a ();\r\n");
    let status = |case: &Case| {
        info(&case.target, &table(), &case.directories(), &case.run)
            .unwrap()
            .deltas[1]
            .status
    };
    assert_eq!(status(&case), Status::Applied);
    case.write("delta_1.1.0_a.sql", "create table public.other ();\n");
    assert_eq!(status(&case), Status::Changed);
    assert!(case.upgrade().unwrap().is_empty());
    assert!(case.heard("has changed since it was applied"));
}

#[test]
fn a_plan_writes_nothing_and_a_stale_one_is_refused() {
    let case = case("plan", &[("delta_1.1.0_a.sql", "create table public.a ();")]);
    let mut connection = Connection::open(&case.target, &case.run).unwrap();
    // A role that may only read sees the plan.
    connection
        .execute(
            "create role reads_only login; grant usage on schema pum_sys to reads_only; \
             grant select on pum_sys.upgrades to reads_only",
        )
        .unwrap();
    let planned = plan(
        &case.target.clone().with("user", "reads_only"),
        &case.options(),
        &case.run,
    )
    .unwrap();
    assert_eq!((planned.steps.len(), planned.reached), (1, Some(version("1.1.0"))));
    case.write("delta_1.1.0_b.sql", "create table public.b ();");
    let error = upgrade(&case.target, &case.options(), Some(&planned), &case.run).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(case.rows(), "");
}

#[test]
fn a_baseline_is_made_once_and_can_mark_its_deltas() {
    let case = bare(
        "baseline",
        &[("delta_1.0.0_a.sql", "select 1/0"), ("delta_1.1.0_b.sql", "select 1")],
    );
    let error = case.upgrade().unwrap_err();
    assert!(
        error.message().contains("no upgrades table") && error.hint().unwrap().contains("baseline"),
        "{error}"
    );
    let options = BaselineOptions {
        mark_applied: Some(case.directories()),
        ..baseline_options("1.0.0")
    };
    let done = baseline(&case.target, &options, &case.run).unwrap();
    assert_eq!((done.table_created, done.schema_created, done.marked), (true, true, 1));
    assert_eq!(case.upgrade().unwrap(), ["1.1.0 b (delta sql)"]);
    let error = baseline(&case.target, &baseline_options("1.0.0"), &case.run).unwrap_err();
    assert!(error.message().contains("has the baseline 1.0.0 already"), "{error}");
    baseline(&case.target, &baseline_options("1.2.0"), &case.run).unwrap();
    let limited = UpgradeOptions {
        max_version: Some(version("1.1.0")),
        ..case.options()
    };
    let error = case.upgrade_with(&limited).unwrap_err();
    assert!(
        error.message().contains("1.2.0") && error.kind() == ErrorKind::Usage,
        "{error}"
    );
}

#[test]
fn a_table_of_pum_0_10_is_read_and_extended_and_still_its_own() {
    let case = bare(
        "old",
        &[
            ("delta_1.0.0_a.sql", "create table public.a ();"),
            ("delta_1.1.0_b.sql", "create table public.b ();"),
        ],
    );
    let mut connection = Connection::open(&case.target, &case.run).unwrap();
    // Without the exclusion constraint and some NOT NULLs, as early versions made it.
    connection
        .execute(
            "create schema pum_sys; create table pum_sys.upgrades (id serial primary key, version character varying(50), \
             description character varying(200) not null, type integer not null, script character varying(1000) not null, \
             checksum character varying(32) not null, installed_by character varying(100) not null, \
             installed_on timestamp without time zone not null default now(), execution_time integer not null, \
             success boolean not null); \
             insert into pum_sys.upgrades (version, description, type, script, checksum, installed_by, execution_time, success) \
             values ('1.0.0', 'baseline', 0, '', '', 'postgres', 1, true), \
             ('1.0.0', 'a', 8, 'deltas/delta_1.0.0_a.sql', '', 'postgres', 1, true)",
        )
        .unwrap();
    assert_eq!(case.upgrade().unwrap(), ["1.1.0 b (delta sql)"]);
    connection
        .execute(
            "insert into pum_sys.upgrades (version, description, type, script, checksum, installed_by, execution_time, success) \
             values ('1.2.0', 'by_the_old_pum', 8, '', '', 'postgres', 1, true)",
        )
        .unwrap();
    let info = info(&case.target, &table(), &case.directories(), &case.run).unwrap();
    assert_eq!(info.current_version.as_deref(), Some("1.2.0"));
}

#[test]
fn a_relation_that_cannot_serve_is_refused_by_name() {
    for (name, sql, word) in [
        ("view", "create view pum_sys.upgrades as select 1", "a view"),
        (
            "unlogged",
            "create unlogged table pum_sys.upgrades (id int)",
            "unlogged",
        ),
        (
            "columns",
            "create table pum_sys.upgrades (id int, version text)",
            "no column description",
        ),
    ] {
        let case = bare(name, &[]);
        Connection::open(&case.target, &case.run)
            .unwrap()
            .execute(&format!("create schema pum_sys; {sql}"))
            .unwrap();
        let error = case.upgrade().unwrap_err();
        assert!(error.message().contains(word), "{error}");
    }
}

#[test]
fn names_with_quotes_work() {
    let case = bare("quotes", &[("delta_1.1.0_a.sql", "create table public.a ();")]);
    let table: TableName = "\"my \"\"sys\".\"Up;drop\"".parse().unwrap();
    baseline(
        &case.target,
        &BaselineOptions {
            table: table.clone(),
            ..baseline_options("1.0.0")
        },
        &case.run,
    )
    .unwrap();
    let options = UpgradeOptions::new(table.clone(), case.directories());
    assert_eq!(upgrade(&case.target, &options, None, &case.run).unwrap().steps.len(), 1);
    assert_eq!(
        case.value("select count(*)::text from \"my \"\"sys\".\"Up;drop\"")
            .unwrap(),
        "2"
    );
}

#[test]
fn hostile_settings_of_the_role_do_not_matter() {
    let case = case(
        "settings",
        &[
            (
                "delta_1.1.0_a.sql",
                "create table public.a (t text); insert into public.a values ('\\n'); select pg_sleep(0.5);",
            ),
            ("delta_1.1.0_b.sql", "select 1"),
        ],
    );
    let name = case.value("select current_database()::text").unwrap();
    let mut connection = Connection::open(&support::server().target("postgres"), &case.run).unwrap();
    for setting in [
        "default_transaction_read_only = on",
        "statement_timeout = 1",
        "standard_conforming_strings = off",
        "default_transaction_isolation = serializable",
        "synchronous_commit = off",
        "lock_timeout = 1",
        "datestyle = 'German'",
        "idle_session_timeout = 200",
        "transaction_timeout = 100",
    ] {
        let (name_of_setting, _) = setting.split_once(' ').unwrap();
        let known = connection.query(
            "select 1 from pg_settings where name = $1::text",
            &[Some(name_of_setting)],
        );
        if known.unwrap().is_empty() {
            continue;
        }
        connection
            .execute(&format!("alter database {name} set {setting}"))
            .unwrap();
    }
    // As pum 0.10 left it, so that the columns of pum 2 are added under these settings too.
    Connection::open(&case.target, &case.run)
        .unwrap()
        .execute(
            "begin read write; \
             alter table pum_sys.upgrades drop run_id, drop digest, drop state, drop statements_done; commit",
        )
        .unwrap();
    assert_eq!(case.upgrade().unwrap().len(), 2);
    connection.execute(&format!("alter database {name} reset all")).unwrap();
    assert_eq!(case.value("select t from public.a").as_deref(), Some("\\n"));
}

#[test]
fn a_path_is_only_a_path() {
    // What is recorded is the path as it was given, not where it really is.
    let case = case("path", &[("delta_1.1.0_a.sql", "select 1")]);
    case.upgrade().unwrap();
    let recorded = case
        .value("select script from pum_sys.upgrades where type = 8")
        .unwrap();
    assert_eq!(Path::new(&recorded), case.directory.path().join("delta_1.1.0_a.sql"));
}

#[test]
fn a_network_that_goes_silent_in_commit_leaves_no_run_hanging_and_the_question_is_told() {
    let case = case("silent", &[("delta_1.1.0_a.sql", "insert into public.t values (1)")]);
    let slow = "create table public.t (i int); create function public.slow() returns trigger language plpgsql \
         as 'begin perform pg_sleep(0.5); return null; end'; create constraint trigger slow after insert on public.t \
         deferrable initially deferred for each row execute function public.slow()";
    let mut looking = Connection::open(&case.target, &Run::new()).unwrap();
    looking.execute(slow).unwrap();
    let (port, stalled) = support::network_that_can_stall();
    let mut options = case.options();
    options.patience = Duration::from_secs(2);
    let run = Run::new();
    let cancel = run.cancel().clone();
    let silence = Arc::clone(&stalled);
    std::thread::spawn(move || {
        let committing = "select count(*)::text from pg_stat_activity where query = 'commit' and state = 'active'";
        while looking.query(committing, &[]).unwrap().value(0, 0) != Some("1") {
            std::thread::sleep(Duration::from_millis(5));
        }
        silence.store(true, std::sync::atomic::Ordering::SeqCst);
        cancel.cancel();
    });
    let begun = std::time::Instant::now();
    let target = case
        .target
        .clone()
        .with("host", "127.0.0.1")
        .with("port", &port.to_string());
    let error = upgrade(&target, &options, None, &run).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(error.hint().unwrap().contains("select success from"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    stalled.store(false, std::sync::atomic::Ordering::SeqCst);
}

/// The application waits for the delta, and the delta for the application: the server ends the one that finds it out.
#[test]
fn a_deadlock_is_rolled_back_and_tried_again() {
    let case = case(
        "deadlock",
        &[(
            "delta_1.1.0_both.sql",
            "lock table public.a;\nselect pg_sleep(1);\nlock table public.b;\ninsert into public.a values (1);\n",
        )],
    );
    let open = || Connection::open_for_scripts(&case.target, &Run::new()).unwrap();
    open()
        .execute(
            "create table public.a (id int); create table public.b (id int); \
             do $$ begin execute format('alter database %I set deadlock_timeout = 50', current_database()); end $$",
        )
        .unwrap();
    let options = UpgradeOptions {
        lock_timeout: Duration::from_secs(30),
        ..case.options()
    };
    std::thread::scope(|scope| {
        let application = scope.spawn(|| {
            let mut session = open();
            // The server ends the one that first asks why it waits, and this one never does: it is pum.
            session
                .execute("set deadlock_timeout = '20s'; begin; lock table public.b; insert into public.b values (0)")
                .unwrap();
            // The delta has the other one by then.
            let held = "select count(*)::text from pg_locks where relation = 'public.a'::regclass and granted";
            while case.value(held).as_deref() == Some("0") {
                std::thread::sleep(Duration::from_millis(20));
            }
            // No error reaches the application, and what it had done in its transaction is there.
            session
                .execute("lock table public.a; insert into public.b values (1)")
                .unwrap();
            let both = session.query("select count(*)::text from public.b", &[]).unwrap();
            assert_eq!(both.value(0, 0), Some("2"));
            session.execute("commit").unwrap();
        });
        assert_eq!(case.upgrade_with(&options).unwrap(), ["1.1.0 both (delta sql)"]);
        application.join().unwrap();
    });
    assert!(case.heard("deadlock detected"), "{:?}", case.events.lock().unwrap());
    for (table, wanted) in [("public.a", "1"), ("public.b", "2")] {
        let rows = case.value(&format!("select count(*)::text from {table}"));
        assert_eq!(rows.as_deref(), Some(wanted), "{table}");
    }
}
