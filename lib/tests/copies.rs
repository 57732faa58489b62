//! The ways to copy production for a rehearsal.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, CopyMethod, ErrorKind, Event, Expected, Filter, Rehearsal, RehearsalOptions, Run,
    Server, ServerOptions, TableName, Target, Terms, UpgradeOptions, baseline, check, rehearse,
};

const METHODS: [CopyMethod; 3] = [CopyMethod::Restore, CopyMethod::Template, CopyMethod::Physical];

fn table() -> TableName {
    "pum_sys.upgrades".parse().unwrap()
}

/// A server that can be replicated.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        // Its end is watched for with that of the other.
        support::server();
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Server::start(
            &ServerOptions {
                settings: vec![
                    setting("wal_level", "replica"),
                    setting("max_wal_senders", "10"),
                    setting("max_prepared_transactions", "5"),
                    setting("TimeZone", "Asia/Tokyo"),
                ],
                ..support::options()
            },
            &Run::new(),
        )
        .unwrap()
    })
}

fn value(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
}

fn execute(target: &Target, sql: &str) {
    Connection::open(target, &Run::new()).unwrap().execute(sql).unwrap();
}

const STRUCTURE: &str = "
    create schema town;
    create table town.street (id serial primary key, name text not null unique);
    create table town.house (id int generated always as identity primary key, street int not null references town.street,
        number int check (number > 0), note text default 'none', doubled int generated always as (number * 2) stored);
    create index house_street on town.house (street, number);
    create table town.reading (at date not null, house int, value numeric) partition by range (at);
    create table town.reading_2026 partition of town.reading for values from ('2026-01-01') to ('2027-01-01');
    create view town.numbered as select s.name, h.number from town.street s join town.house h on h.street = s.id;
    create materialized view town.longest as select name from town.street order by length(name) desc limit 1;
    create materialized view town.again as select * from town.longest;
    create function town.hello(who text) returns text language sql immutable as $$ select 'hello ' || who $$;
    comment on table town.house is 'a house';
    grant select on town.house to public;
";

const ROWS: &str = "
    insert into town.street (name) select 'street ' || n from generate_series(1, 200) n;
    insert into town.house (street, number, note) select 1 + n % 200, 1 + n, repeat('x', n % 50) from generate_series(1, 5000) n;
    insert into town.reading select date '2026-01-01' + n % 300, 1 + n % 5000, n / 7.0 from generate_series(1, 5000) n;
    refresh materialized view town.longest; refresh materialized view town.again;
    delete from town.house where id > 4990;
";

struct Production {
    target: Target,
    files: tempfile::TempDir,
}

impl Production {
    fn new(name: &str) -> Production {
        Production::owned_by(name, "postgres")
    }

    fn owned_by(name: &str, role: &str) -> Production {
        let target = server().create_database(name).unwrap();
        execute(&target, &format!("alter database {name} owner to {role}"));
        let target = target.with("user", role);
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("create.sql"), STRUCTURE).unwrap();
        std::fs::create_dir(files.path().join("deltas")).unwrap();
        execute(&target, &format!("{STRUCTURE};{ROWS}"));
        let options = BaselineOptions {
            wait: Duration::ZERO,
            ..BaselineOptions::new(table(), "1.0.0".parse().unwrap())
        };
        baseline(&target, &options, &Run::new()).unwrap();
        Production { target, files }
    }

    fn delta(&self, version: &str, sql: &str) {
        std::fs::write(self.files.path().join(format!("deltas/delta_{version}_test.sql")), sql).unwrap();
        let expected = self.files.path().join("create.sql");
        let structure = std::fs::read_to_string(&expected).unwrap();
        std::fs::write(&expected, format!("{structure};\n{sql};\n")).unwrap();
    }

    fn options(&self, copy: CopyMethod) -> RehearsalOptions {
        let upgrade = UpgradeOptions::new(table(), vec![self.files.path().join("deltas")]);
        RehearsalOptions {
            expected: Some(Expected::Sql(vec![self.files.path().join("create.sql")])),
            server: support::options(),
            copy,
            test: (copy == CopyMethod::Template).then(|| {
                let name = value(&self.target, "select current_database() || '_copy'");
                self.target.clone().with("dbname", &name)
            }),
            pg_dump: beside_server("pg_dump"),
            pg_restore: beside_server("pg_restore"),
            ..RehearsalOptions::new(upgrade)
        }
    }

    fn rehearse(&self, options: &RehearsalOptions) -> Rehearsal {
        rehearse(&self.target, options, &Run::new()).unwrap()
    }

    fn refused(&self, options: &RehearsalOptions) -> pum::Error {
        match rehearse(&self.target, options, &Run::new()) {
            Ok(_) => panic!("it must be refused"),
            Err(error) => error,
        }
    }
}

/// A program of the server to test with, where it is not the system's.
fn beside_server(name: &str) -> Option<PathBuf> {
    support::options().programs.map(|directory| directory.join(name))
}

/// Everything that is compared, and every row.
fn everything() -> Filter {
    let mut filter = Filter {
        data: vec!["town.*".parse().unwrap(), "pum_sys.*".parse().unwrap()],
        ..Filter::default()
    };
    filter.include_words(&["all"]).unwrap();
    filter
}

fn events() -> (Run, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    (
        Run::new().on_event(move |event| heard.lock().unwrap().push(event)),
        events,
    )
}

#[test]
fn a_copy_is_equal_to_production_in_everything() {
    let production = Production::new("equal");
    for method in METHODS {
        let rehearsal = production.rehearse(&production.options(method));
        assert_eq!(rehearsal.copied().method, method);
        assert!(rehearsal.is_clean());
        let mut filter = everything();
        if method != CopyMethod::Physical {
            // The comment on it says that it is pum's.
            filter.ignore_words(&["database"]).unwrap();
        }
        let report = check(rehearsal.copy(), &production.target, &filter, &Run::new()).unwrap();
        assert!(report.same(), "{method}: {}", report.to_json());
        assert!(report.not_counted().is_empty(), "{method}: {}", report.to_json());
        for (what, sql) in [
            ("sequence", "select nextval('town.street_id_seq')::text"),
            ("view", "select count(*)::text from town.longest"),
            ("time zone", "select current_setting('timezone')"),
        ] {
            let of_production = match what {
                "sequence" => "201".to_owned(),
                _ => value(&production.target, sql),
            };
            assert_eq!(value(rehearsal.copy(), sql), of_production, "{method}: {what}");
        }
    }
}

#[test]
fn statistics_are_there_in_every_copy() {
    let production = Production::new("statistics");
    execute(&production.target, "analyze");
    for method in METHODS {
        let rehearsal = production.rehearse(&production.options(method));
        let columns = "select count(*)::text from pg_stats where schemaname = 'town' and tablename = 'house'";
        assert_eq!(value(rehearsal.copy(), columns), "5", "{method}");
    }
}

#[test]
fn an_upgrade_is_rehearsed_and_carried_out_with_every_copy() {
    for method in METHODS {
        let production = Production::new(&format!("carried_out_{method}"));
        production.delta("1.1.0", "alter table town.house add column height int");
        let rehearsal = production.rehearse(&production.options(method));
        assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
        let columns =
            "select count(*)::text from pg_attribute where attrelid = 'town.house'::regclass and attname = 'height'";
        assert_eq!(value(&production.target, columns), "0");
        let done = rehearsal.carry_out(&Terms::default(), &Run::new()).unwrap();
        assert!(done.report.same(), "{method}: {}", done.report.to_json());
        assert_eq!(value(&production.target, columns), "1");
    }
}

#[test]
fn only_a_physical_copy_keeps_bloat_and_order() {
    let production = Production::new("bloat");
    execute(
        &production.target,
        "alter table town.house set (autovacuum_enabled = off);
         insert into town.house (street, number) select 1, n from generate_series(1, 100000) n;
         update town.house set note = 'moved' where id % 3 = 0;
         delete from town.house where id % 2 = 0",
    );
    let size = "select (pg_table_size('town.house') / 1024)::text";
    let first = "select string_agg(id::text, ',') from (select id from town.house limit 20) h";
    let (bytes, order) = (value(&production.target, size), value(&production.target, first));
    let physical = production.rehearse(&production.options(CopyMethod::Physical));
    assert_eq!(value(physical.copy(), first), order);
    let copied: u64 = value(physical.copy(), size).parse().unwrap();
    let bytes: u64 = bytes.parse().unwrap();
    // The maps beside the table may be a page more or less.
    assert!(copied.abs_diff(bytes) <= 64, "{copied} and {bytes} kB");
    let restored = production.rehearse(&production.options(CopyMethod::Restore));
    let restored: u64 = value(restored.copy(), size).parse().unwrap();
    assert!(restored * 3 / 2 < bytes, "{restored} and {bytes} kB");
}

#[test]
fn a_template_is_refused_while_somebody_is_connected_and_named() {
    let production = Production::new("connected");
    let options = production.options(CopyMethod::Template);
    let guest = production.target.clone().with("application_name", "a guest");
    let guest = Connection::open(&guest, &Run::new()).unwrap();
    let pid = guest.backend_pid().to_string();
    let error = production.refused(&options);
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error.message().contains(&pid) && error.message().contains("a guest"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--copy restore"));
    drop(guest);
    execute(
        &production.target,
        "begin; update town.street set name = 'x' where id = 1; prepare transaction 'half way'",
    );
    let error = production.refused(&options);
    assert!(error.message().contains("half way"), "{error}");
    execute(&production.target, "rollback prepared 'half way'");
    assert!(production.rehearse(&options).is_clean());
}

#[test]
fn a_template_needs_production_s_server_a_name_and_rights() {
    let production = Production::new("template_rights");
    let options = production.options(CopyMethod::Template);
    let elsewhere = RehearsalOptions {
        test: Some(support::server().target("elsewhere")),
        ..options.clone()
    };
    let error = production.refused(&elsewhere);
    assert!(error.message().contains("production's own server"), "{error}");
    let nameless = RehearsalOptions {
        test: None,
        ..options.clone()
    };
    assert_eq!(production.refused(&nameless).kind(), ErrorKind::Usage);
    execute(&production.target, "create role template_guest login");
    let guest = RehearsalOptions {
        test: options.test.clone().map(|test| test.with("user", "template_guest")),
        ..options.clone()
    };
    let error = production.refused(&guest);
    assert!(
        error.message().contains("template_guest") && error.message().contains("CREATEDB"),
        "{error}"
    );
    execute(&production.target, "alter role template_guest createdb");
    let error = production.refused(&guest);
    assert!(error.message().contains("does not own production"), "{error}");
}

#[test]
fn a_template_replaces_only_what_pum_made() {
    let production = Production::new("template_replaces");
    let options = production.options(CopyMethod::Template);
    let test = options.test.clone().unwrap();
    for empty in [true, false] {
        execute(
            &production.target,
            "create database template_replaces_copy template template0",
        );
        if !empty {
            execute(&test, "create table public.precious (a int)");
        }
        let error = production.refused(&options);
        assert!(error.message().contains("pum did not make"), "{error}");
        execute(&production.target, "drop database template_replaces_copy");
    }
    for _ in 0..2 {
        assert!(production.rehearse(&options).is_clean());
    }
    // What a run leaves that is killed between the copy and its mark.
    execute(&production.target, "drop database template_replaces_copy");
    execute(
        &production.target,
        "create database template_replaces_copy template template0 allow_connections false connection limit 0",
    );
    assert!(production.rehearse(&options).is_clean());
    let open =
        "select (datallowconn and datconnlimit = -1)::text from pg_database where datname = 'template_replaces_copy'";
    assert_eq!(value(&production.target, open), "true");
}

#[test]
fn a_physical_copy_needs_replication_and_no_test_database() {
    let production = Production::new("unreplicated");
    execute(
        &production.target,
        "create role reader login; grant pg_read_all_data to reader",
    );
    execute(&production.target, "grant usage on schema pum_sys to reader");
    let options = production.options(CopyMethod::Physical);
    let reader = Production {
        target: production.target.clone().with("user", "reader"),
        files: tempfile::tempdir().unwrap(),
    };
    let error = reader.refused(&options);
    assert!(
        error.message().contains("REPLICATION") && error.message().contains("reader"),
        "{error}"
    );
    assert_eq!(error.state(), Some("production was only read"));
    let named = RehearsalOptions {
        test: Some(support::server().target("named")),
        ..options.clone()
    };
    assert_eq!(production.refused(&named).kind(), ErrorKind::Usage);
    // A server that cannot be replicated.
    let database = support::database("minimal");
    execute(&database, STRUCTURE);
    baseline(
        &database,
        &BaselineOptions::new(table(), "1.0.0".parse().unwrap()),
        &Run::new(),
    )
    .unwrap();
    let minimal = Production {
        target: database,
        files: tempfile::tempdir().unwrap(),
    };
    let error = minimal.refused(&options);
    assert!(error.message().contains("wal_level = minimal"), "{error}");
}

#[test]
fn a_physical_copy_reaches_nobody() {
    let production = Production::new("reaches_nobody");
    execute(
        &production.target,
        "create publication everything for all tables;
         create subscription to_nowhere connection 'host=/nonexistent dbname=x' publication p with (connect = false)",
    );
    let rehearsal = production.rehearse(&production.options(CopyMethod::Physical));
    let copy = rehearsal.copy();
    for (setting, wanted) in [
        ("listen_addresses", ""),
        ("archive_mode", "off"),
        ("primary_conninfo", ""),
        ("fsync", "off"),
        ("max_logical_replication_workers", "0"),
        ("max_wal_senders", "0"),
        ("wal_level", "replica"),
    ] {
        assert_eq!(
            value(copy, &format!("select current_setting('{setting}')")),
            wanted,
            "{setting}"
        );
    }
    let count = "select count(*)::text from pg_replication_slots where not temporary";
    assert_eq!(value(copy, count), "0");
    assert_eq!(value(&production.target, count), "0");
    assert_eq!(value(copy, "select pg_is_in_recovery()::text"), "false");
    assert_eq!(value(copy, "select current_user::text"), "postgres");
    execute(
        &production.target,
        "alter subscription to_nowhere disable; alter subscription to_nowhere set (slot_name = none); drop subscription to_nowhere",
    );
}

/// Where another server would be, for who reaches out to it: it counts those who come, and sends them away.
fn elsewhere() -> (tempfile::TempDir, Arc<AtomicUsize>) {
    let open_to_all =
        |path: &std::path::Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    let place = tempfile::Builder::new().prefix("pum-test-").tempdir_in("/tmp").unwrap();
    open_to_all(place.path());
    let socket = place.path().join(".s.PGSQL.5432");
    let listener = UnixListener::bind(&socket).unwrap();
    open_to_all(&socket);
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    std::thread::spawn(move || {
        for _visitor in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (place, came)
}

#[test]
fn no_copy_reaches_out_to_whom_production_knows() {
    let production = Production::new("reaches_out");
    let (place, came) = elsewhere();
    let host = place.path().display();
    execute(
        &production.target,
        &format!(
            "create subscription from_elsewhere connection 'host={host} user=a dbname=x' publication p with (connect = false);
             create table town.heard (what text);
             create function town.hear() returns event_trigger language plpgsql as
                 $$ begin insert into town.heard values (tg_tag); end $$;
             create event trigger hears on ddl_command_end execute function town.hear()"
        ),
    );
    let wrapped = "select count(*)::text from pg_available_extensions where name = 'postgres_fdw'";
    if value(&production.target, wrapped) == "1" {
        execute(
            &production.target,
            &format!(
                "create extension postgres_fdw;
                 create server elsewhere foreign data wrapper postgres_fdw options (host '{host}', dbname 'x');
                 create user mapping for public server elsewhere options (user 'a', password 'b');
                 create foreign table town.reading_2030 partition of town.reading
                     for values from ('2030-01-01') to ('2031-01-01') server elsewhere;
                 create foreign table town.alone (a int) server elsewhere"
            ),
        );
        // It is there to be found.
        Connection::open(&production.target, &Run::new())
            .unwrap()
            .execute("select * from town.alone")
            .unwrap_err();
        assert_eq!(came.swap(0, Ordering::SeqCst), 1);
    }
    // The last of a restore is to fill materialized views.
    let heard = "select string_agg(what, ', ') from town.heard where what <> 'REFRESH MATERIALIZED VIEW'";
    let workers = "select count(*)::text from pg_stat_activity where backend_type like 'logical replication%' \
                   and datname = current_database()";
    for method in METHODS {
        let (run, events) = events();
        let rehearsal = rehearse(&production.target, &production.options(method), &run).unwrap();
        let copy = rehearsal.copy();
        let complains = |event: &Event| matches!(event, Event::Warning(text) if text.contains("could not"));
        assert!(
            !events.lock().unwrap().iter().any(complains),
            "{method}: {:?}",
            events.lock().unwrap()
        );
        assert_eq!(came.load(Ordering::SeqCst), 0, "{method}");
        assert_eq!(value(copy, heard), value(&production.target, heard), "{method}");
        assert_eq!(value(copy, workers), "0", "{method}");
        // Where there is a subscription nothing works at it, even if a delta turned it on.
        let mine = "select count(*)::text from pg_subscription s join pg_database d on d.oid = subdbid \
                    where datname = current_database()";
        let there = if method == CopyMethod::Template { "0" } else { "1" };
        assert_eq!(value(copy, mine), there, "{method}");
        if method == CopyMethod::Restore {
            assert_eq!(value(copy, "select subenabled::text from pg_subscription"), "false");
        }
        if method != CopyMethod::Template {
            execute(copy, "alter subscription from_elsewhere enable");
            assert_eq!(
                value(copy, "select current_setting('max_logical_replication_workers')"),
                "0"
            );
        }
        let analyzed =
            "select count(*)::text from pg_stats where schemaname = 'town' and tablename in ('house', 'reading_2026')";
        if method == CopyMethod::Restore {
            assert_eq!(value(copy, analyzed), "8", "{method}");
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
    execute(
        &production.target,
        "alter subscription from_elsewhere set (slot_name = none); drop subscription from_elsewhere",
    );
}

#[test]
fn tablespaces_come_along_with_the_server() {
    let place = tempfile::Builder::new().prefix("pum-test-").tempdir().unwrap();
    let status = std::process::Command::new("chmod")
        .arg("777")
        .arg(place.path())
        .status();
    assert!(status.unwrap().success());
    let odd = place.path().join("a=b");
    std::fs::create_dir(&odd).unwrap();
    let owner = value(&server().target("postgres"), "select current_setting('data_directory')");
    let status = std::process::Command::new("chown")
        .arg(format!("--reference={owner}"))
        .arg(&odd)
        .status();
    assert!(status.unwrap().success());
    let production = Production::new("tablespaces");
    execute(
        &production.target,
        &format!("create tablespace elsewhere location '{}'", odd.display()),
    );
    execute(&production.target, "alter table town.street set tablespace elsewhere");
    let rehearsal = production.rehearse(&production.options(CopyMethod::Physical));
    let report = check(rehearsal.copy(), &production.target, &everything(), &Run::new()).unwrap();
    assert!(report.same(), "{}", report.to_json());
    let location = value(
        rehearsal.copy(),
        "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'elsewhere'",
    );
    assert!(location.contains("pum-server-"), "{location}");
    execute(&production.target, "alter table town.street set tablespace pg_default");
    execute(&production.target, "drop tablespace elsewhere");
}

#[test]
fn timeouts_of_a_role_break_no_copy() {
    execute(
        &server().target("postgres"),
        "create role hurried login createdb replication;
         -- pg_restore asks one short question before it sets its own.
         alter role hurried set statement_timeout = '20ms'; alter role hurried set lock_timeout = '1ms';
         alter role hurried set idle_in_transaction_session_timeout = '1ms'",
    );
    let production = Production::owned_by("hurried", "hurried");
    production.delta("1.1.0", "update town.street set name = name where id < 0");
    for method in METHODS {
        let options = production.options(method);
        let rehearsal = production.rehearse(&options);
        let report = check(rehearsal.copy(), &production.target, &everything(), &Run::new()).unwrap();
        let rows: Vec<String> = report
            .differences()
            .iter()
            .map(|found| found.object.to_string())
            .filter(|object| object.starts_with("row town."))
            .collect();
        assert!(rows.is_empty(), "{method}: {rows:?}");
        // A restored copy belongs to who restored it.
        let counted = report
            .differences()
            .iter()
            .filter(|found| found.object.schema != "pum_sys");
        assert!(
            method != CopyMethod::Physical || counted.count() == 0,
            "{}",
            report.to_json()
        );
    }
}

#[test]
fn a_copy_of_the_structure_has_the_upgrades_table_and_no_rows() {
    let production = Production::new("structure");
    production.delta("1.1.0", "create table town.later (id int)");
    let options = RehearsalOptions {
        schema_only: true,
        ..production.options(CopyMethod::Auto)
    };
    let rehearsal = production.rehearse(&options);
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    assert!(rehearsal.copied().schema_only);
    assert!(rehearsal.contract().to_text().contains("times are not production's"));
    assert_eq!(value(rehearsal.copy(), "select count(*)::text from town.house"), "0");
    let history = pum::history(rehearsal.copy(), &table(), &Run::new()).unwrap().unwrap();
    assert_eq!(history.current_version().unwrap().to_string(), "1.1.0");
    assert_eq!(rehearsal.applied().steps.len(), 1);
    assert!(
        rehearsal
            .carry_out(&Terms::default(), &Run::new())
            .unwrap()
            .report
            .same()
    );

    let mut with_rows = options.clone();
    with_rows.filter.data = vec!["town.street".parse().unwrap()];
    assert_eq!(production.refused(&with_rows).kind(), ErrorKind::Usage);
    let template = RehearsalOptions {
        schema_only: true,
        ..production.options(CopyMethod::Template)
    };
    assert_eq!(production.refused(&template).kind(), ErrorKind::Usage);
}

#[test]
fn a_backup_that_is_asked_for_is_whole_with_every_way() {
    let production = Production::new("backed_up");
    let mut all: Vec<RehearsalOptions> = METHODS.map(|method| production.options(method)).to_vec();
    all.push(RehearsalOptions {
        schema_only: true,
        ..production.options(CopyMethod::Restore)
    });
    for (number, options) in all.into_iter().enumerate() {
        let backup = production.files.path().join(format!("{number}.dump"));
        let options = RehearsalOptions {
            backup: Some(backup.clone()),
            ..options
        };
        let (run, events) = events();
        rehearse(&production.target, &options, &run).unwrap();
        let phases: Vec<(usize, usize)> = events
            .lock()
            .unwrap()
            .iter()
            .filter_map(|event| match event {
                Event::Phase { number, of, .. } => Some((*number, *of)),
                _ => None,
            })
            .collect();
        let count = phases.len();
        assert_eq!(phases, (1..=count).map(|number| (number, count)).collect::<Vec<_>>());
        let restored = server().create_database(&format!("backed_up_{number}")).unwrap();
        let restore_options = pum::RestoreOptions {
            pg_restore: beside_server("pg_restore"),
            ..pum::RestoreOptions::default()
        };
        pum::restore(&backup, &restored, &restore_options, &Run::new()).unwrap();
        let report = check(&restored, &production.target, &everything(), &Run::new()).unwrap();
        assert!(report.same(), "{number}: {}", report.to_json());
    }
}

#[test]
fn progress_is_told_in_bytes() {
    let production = Production::new("progress");
    execute(
        &production.target,
        "insert into town.house (street, number, note) select 1, n, repeat('y', 200) from generate_series(1, 100000) n",
    );
    for method in [CopyMethod::Restore, CopyMethod::Physical] {
        let (run, events) = events();
        rehearse(&production.target, &production.options(method), &run).unwrap();
        let told: Vec<(u64, u64)> = events
            .lock()
            .unwrap()
            .iter()
            .filter_map(|event| match event {
                Event::Progress {
                    done,
                    total: Some(total),
                    unit: "bytes",
                } => Some((*done, *total)),
                _ => None,
            })
            .collect();
        assert!(told.iter().all(|(done, total)| done <= total), "{method}: {told:?}");
        assert!(told.iter().any(|(_, total)| *total > 10_000_000), "{method}: {told:?}");
        assert!(told.iter().any(|(done, total)| done == total), "{method}: {told:?}");
    }
}

#[test]
fn an_extension_that_is_missing_is_told_before_anything_is_copied() {
    let production = Production::new("extended");
    // As it is where the packages differ.
    execute(
        &production.target,
        "insert into pg_extension select 99999, 'water_meters', extowner, extnamespace, extrelocatable, extversion from pg_extension where extname = 'plpgsql'",
    );
    for (method, test) in [
        (CopyMethod::Restore, None),
        (CopyMethod::Physical, None),
        (CopyMethod::Restore, Some(support::server().target("extended_test"))),
    ] {
        let options = RehearsalOptions {
            test,
            ..production.options(method)
        };
        let (run, events) = events();
        let Err(error) = rehearse(&production.target, &options, &run) else {
            panic!("it must be refused");
        };
        assert!(error.message().contains("water_meters"), "{error}");
        let phases = events.lock().unwrap();
        let phases = phases.iter().filter(|event| matches!(event, Event::Phase { .. }));
        assert_eq!(phases.count(), 1, "{method}");
    }
}

#[test]
fn a_table_that_stays_locked_is_not_waited_for_without_end() {
    let production = Production::new("locked");
    execute(&production.target, "create table town.closed (a int)");
    let mut holder = Connection::open(&production.target, &Run::new()).unwrap();
    holder.execute("begin; lock table town.closed").unwrap();
    let options = RehearsalOptions {
        lock_wait: Duration::from_millis(300),
        ..production.options(CopyMethod::Restore)
    };
    let error = production.refused(&options);
    assert_eq!(error.kind(), ErrorKind::Program);
    assert!(
        error.hint().unwrap().contains(&holder.backend_pid().to_string()),
        "{error} {:?}",
        error.hint()
    );
}

#[test]
fn excluded_schemas_are_neither_dumped_nor_restored() {
    let production = Production::new("excluded");
    execute(
        &production.target,
        "create schema \"Audit\"; create table \"Audit\".log (a int); insert into \"Audit\".log values (1)",
    );
    let options = RehearsalOptions {
        exclude_schemas: vec!["Audit".to_owned()],
        ..production.options(CopyMethod::Restore)
    };
    let rehearsal = production.rehearse(&options);
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    let there = "select (to_regclass('\"Audit\".log') is null)::text";
    assert_eq!(value(rehearsal.copy(), there), "true");
}

#[test]
fn sequences_of_a_template_outlive_a_crash() {
    let mut server = Server::start(&support::options(), &Run::new()).unwrap();
    let target = server.create_database("sequences").unwrap();
    execute(
        &target,
        "create schema town; create table town.house (id int primary key, note text); create index on town.house (note);
         create sequence town.number; select nextval('town.number') from generate_series(1, 500)",
    );
    baseline(
        &target,
        &BaselineOptions::new(table(), "1.0.0".parse().unwrap()),
        &Run::new(),
    )
    .unwrap();
    let production = Production {
        target: target.clone(),
        files: tempfile::tempdir().unwrap(),
    };
    std::fs::create_dir(production.files.path().join("deltas")).unwrap();
    let test = server.target("sequences_copy");
    let options = RehearsalOptions {
        test: Some(test.clone()),
        expected: Some(Expected::Deltas),
        ..production.options(CopyMethod::Template)
    };
    drop(production.rehearse(&options));
    let next = value(&test, "select last_value::text from town.number");
    server.crash_and_restart().unwrap();
    assert_eq!(value(&test, "select last_value::text from town.number"), next);
    assert!(
        value(&test, "select nextval('town.number')::text")
            .parse::<u32>()
            .unwrap()
            > 500
    );
}
