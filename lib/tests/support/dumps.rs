//! What the tests of dump and restore share.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use pum::{Connection, DumpOptions, Event, Format, RestoreOptions, Run, Target, dump, restore};

use crate::support;

/// A database with what dumps stumble over; shared and never changed.
pub fn source() -> &'static Target {
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
pub fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("pum-dump-test").tempdir().unwrap()
}

pub fn one(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    let rows = connection.query(sql, &[]).unwrap();
    rows.value(0, 0).unwrap_or("").to_owned()
}

pub fn execute(target: &Target, sql: &str) {
    Connection::open(target, &Run::new()).unwrap().execute(sql).unwrap();
}

/// Every relation, routine and type of the user with the number and the hash of its rows.
pub fn contents(target: &Target) -> Vec<String> {
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
pub fn listening() -> (Run, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let run = Run::new().on_event(move |event| heard.lock().unwrap().push(event));
    (run, events)
}

pub fn warnings(events: &Arc<Mutex<Vec<Event>>>) -> String {
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

pub fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub fn dump_to(file: &Path, format: Format) {
    let options = DumpOptions {
        format,
        ..DumpOptions::default()
    };
    dump(source(), file, &options, &Run::new()).unwrap();
}

pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_there() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{what} did not happen in 10 seconds");
}

pub fn sessions(target: &Target, application: &str) -> String {
    one(
        target,
        &format!(
            "select count(*)::text from pg_stat_activity where datname = current_database() and application_name = '{application}'"
        ),
    )
}

pub fn plain(place: &Path, sql: &str) -> PathBuf {
    let file = place.join("plain.sql");
    let text = format!(
        "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n{sql}\n--\n-- PostgreSQL database dump complete\n--\n\n"
    );
    fs::write(&file, text).unwrap();
    file
}

/// Restoring it must be refused without a change, with and without passing over errors.
pub fn assert_refused(file: &Path, words: &str) {
    static EMPTY: OnceLock<Target> = OnceLock::new();
    let target = EMPTY.get_or_init(|| support::database("never filled"));
    for ignore_errors in [false, true] {
        let options = RestoreOptions {
            ignore_errors,
            ..RestoreOptions::default()
        };
        let error = restore(file, target, &options, &Run::new()).expect_err("must be refused");
        let text = format!("{error} {:?}", error.hint());
        assert!(text.contains(words), "{text}");
        assert_eq!(error.state(), Some("nothing was changed in any database"), "{error}");
    }
    assert_eq!(contents(target), Vec::<String>::new());
}
