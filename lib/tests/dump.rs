//! Dump and restore against a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use pum::{Connection, DumpOptions, ErrorKind, Event, Format, RestoreOptions, Restored, Run, Target, dump, restore};

/// A database with what dumps stumble over; shared and never changed.
fn source() -> &'static Target {
    static SOURCE: OnceLock<Target> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let target = support::database("source");
        Connection::open(&target, &Run::new())
            .unwrap()
            .execute(
                r#"
                create schema water; create schema audit; create schema "Odd schema"; create schema notes;
                create table water.pipe (id int primary key, diameter numeric(6,2) check (diameter > 0), remark text);
                insert into water.pipe select g, g / 10.0, md5(g::text) || E'\ttab\nline \\ back ü' from generate_series(1, 20000) g;
                create table water.valve (id int generated always as identity, pipe int references water.pipe deferrable);
                insert into water.valve (pipe) select g from generate_series(1, 100) g;
                create table water.empty (v text);
                create table audit.log (id bigserial, what text);
                insert into audit.log (what) select 'x' || g from generate_series(1, 50) g;
                create table notes.note (t text); insert into notes.note values ('\.'), (null), ('');
                create table "Odd schema"."a b;""c" ("select" int, ü text); insert into "Odd schema"."a b;""c" values (1, 'ä');
                create view water.big as select * from water.pipe where diameter > 100;
                create materialized view water.counts as select count(*) from water.pipe;
                create function water.f() returns int language sql begin atomic; select 1; select 2; end;
                create function water.g() returns trigger language plpgsql as $$ begin return new; end $$;
                create trigger t before insert on water.pipe for each row execute function water.g();
                create type water.material as enum ('steel', 'it''s');
                create index on water.pipe (remark);
                select lo_from_bytea(4711, '\x00ff10');
                "#,
            )
            .unwrap();
        target
    })
}

/// A new empty directory, removed at the end.
fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("pum-dump-test").tempdir().unwrap()
}

fn one(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    let rows = connection.query(sql, &[]).unwrap();
    rows.value(0, 0).unwrap_or("").to_owned()
}

fn execute(target: &Target, sql: &str) {
    Connection::open(target, &Run::new()).unwrap().execute(sql).unwrap();
}

/// Every relation, routine and type of the user with the number and the hash of its rows.
fn contents(target: &Target) -> Vec<String> {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    let objects = connection
        .query(
            "select c.relkind::text || ' ' || format('%I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname), c.relkind
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
               and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
             union all
             select 'f ' || p.oid::regprocedure::text, null, null from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname not in ('pg_catalog', 'information_schema')
               and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
             union all
             select 'lo ' || oid::text || encode(lo_get(oid), 'hex'), null, null from pg_largeobject_metadata
             union all
             select 't ' || oid::regtype::text, null, null from pg_type where typtype in ('e', 'd')
               and typnamespace <> 'information_schema'::regnamespace
             order by 1",
            &[],
        )
        .unwrap();
    let mut found = Vec::new();
    for object in objects.iter() {
        let mut line = object.text(0).to_owned();
        if matches!(object.text(2), "r" | "m" | "v" | "S") {
            // How many values a sequence has in stock is not restored.
            let columns = if object.text(2) == "S" {
                "last_value, is_called"
            } else {
                "*"
            };
            let sql = format!(
                "select count(*) || ' ' || coalesce(md5(string_agg(x::text, '|' order by x::text)), '')
                 from (select {columns} from {}) x",
                object.text(1)
            );
            let rows = connection.query(&sql, &[]).unwrap();
            line.push(' ');
            line.push_str(rows.value(0, 0).unwrap());
        }
        found.push(line);
    }
    found
}

/// A run and what it told.
fn listening() -> (Run, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let run = Run::new().on_event(move |event| heard.lock().unwrap().push(event));
    (run, events)
}

fn warnings(events: &Arc<Mutex<Vec<Event>>>) -> String {
    let events = events.lock().unwrap();
    let lines: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            Event::Warning(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    lines.join("\n")
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn dump_to(file: &Path, format: Format) {
    let options = DumpOptions {
        format,
        ..DumpOptions::default()
    };
    dump(source(), file, &options, &Run::new()).unwrap();
}

/// Dumps, restores and compares.
fn round_trip(options: &DumpOptions, restoring: &RestoreOptions) -> (PathBuf, Restored, tempfile::TempDir) {
    let place = directory();
    let file = place.path().join("water.dump");
    let (run, events) = listening();
    let dumped = dump(source(), &file, options, &run).unwrap();
    assert_eq!(dumped.path, file);
    assert!(dumped.bytes > 0);
    assert_eq!(names(place.path()), ["water.dump", "water.dump.sha256"]);
    assert_eq!(warnings(&events), "");
    let progress: Vec<(u64, Option<u64>)> = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Progress {
                done,
                total,
                unit: "bytes",
            } => Some((*done, *total)),
            _ => None,
        })
        .collect();
    let last = progress.last().expect("progress");
    assert_eq!(Some(last.0), last.1);
    assert!(progress.is_sorted());
    let target = support::database("restored");
    let restored = restore(&file, &target, restoring, &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(source()));
    (file, restored, place)
}

#[test]
fn custom_format_comes_back_as_it_was() {
    let (file, restored, _place) = round_trip(&DumpOptions::default(), &RestoreOptions::default());
    assert_eq!(restored.passed_over, []);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&file.with_extension("dump.sha256")), 0o600);
}

#[test]
fn directory_format_comes_back_with_jobs() {
    let options = DumpOptions {
        format: Format::Directory,
        jobs: 2,
        ..DumpOptions::default()
    };
    let restoring = RestoreOptions {
        jobs: 2,
        ..RestoreOptions::default()
    };
    let (file, _, _place) = round_trip(&options, &restoring);
    assert_eq!(mode(&file), 0o700);
}

#[test]
fn a_database_is_created_and_dropped_when_the_restore_fails() {
    let place = directory();
    let file = place.path().join("a.dump");
    dump_to(&file, Format::Custom);
    let target = support::server().target("created by restore");
    let options = RestoreOptions {
        create: true,
        ..RestoreOptions::default()
    };
    restore(&file, &target, &options, &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(source()));
    let again = restore(&file, &target, &options, &Run::new()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Refused);
    assert!(again.message().contains("exists already"), "{again}");
    assert_eq!(contents(&target), contents(source()));
}

#[test]
fn a_database_with_objects_is_refused_and_left_alone() {
    let place = directory();
    let file = place.path().join("a.dump");
    dump_to(&file, Format::Custom);
    let target = support::database("full");
    execute(
        &target,
        "create table public.mine (id int); insert into public.mine values (1)",
    );
    let before = contents(&target);
    let error = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error.message().contains("holds 1 objects, such as public.mine"),
        "{error}"
    );
    assert_eq!(error.state(), Some("nothing was changed in any database"));
    assert_eq!(contents(&target), before);
}

#[test]
fn several_excluded_schemas_are_each_left_out() {
    let place = directory();
    let file = place.path().join("a.dump");
    let options = DumpOptions {
        exclude_schemas: vec!["audit".into(), "notes".into(), "no_such".into()],
        ..DumpOptions::default()
    };
    let (run, events) = listening();
    dump(source(), &file, &options, &run).unwrap();
    assert_eq!(
        warnings(&events),
        "no schema is named \"no_such\": excluding it changes nothing"
    );
    let target = support::database("excluded");
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(
        one(
            &target,
            "select string_agg(nspname, ',' order by nspname) from pg_namespace where nspname in ('water', 'audit', 'notes')"
        ),
        "water"
    );
}
