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

#[test]
fn plain_format_comes_back_as_it_was() {
    let options = DumpOptions {
        format: Format::Plain,
        ..DumpOptions::default()
    };
    let (file, restored, _place) = round_trip(&options, &RestoreOptions::default());
    assert_eq!(restored.passed_over, []);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn all_tables_of_a_role_come_back_when_errors_are_passed_over() {
    for format in [Format::Custom, Format::Plain, Format::Directory] {
        let restoring = RestoreOptions {
            ignore_errors: true,
            ..RestoreOptions::default()
        };
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        let (_, restored, _place) = round_trip(&options, &restoring);
        assert_eq!(restored.passed_over, []);
    }
}

/// Restoring it must be refused without a change, with and without passing over errors.
fn assert_refused(file: &Path, words: &str) {
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

#[test]
fn truncated_dumps_are_refused() {
    let place = directory();
    for (format, name) in [(Format::Custom, "custom"), (Format::Plain, "plain")] {
        let whole = place.path().join(name);
        dump_to(&whole, format);
        let bytes = fs::read(&whole).unwrap();
        let cut = place.path().join(format!("{name}.cut"));
        let length = bytes.len();
        for keep in [
            1,
            5,
            20,
            100,
            length / 10,
            length / 2,
            length - 2000,
            length - 100,
            length - 40,
        ] {
            fs::write(&cut, &bytes[..keep]).unwrap();
            println!("{name}, {keep} of {length} bytes");
            let words = if keep < 50 { "" } else { "is damaged or not complete" };
            assert_refused(&cut, words);
        }
        fs::write(&cut, "").unwrap();
        assert_refused(&cut, "it is empty");
        // With the checksum beside it, one byte less is enough.
        fs::copy(
            whole.with_file_name(format!("{name}.sha256")),
            place.path().join(format!("{name}.cut.sha256")),
        )
        .unwrap();
        fs::write(&cut, &bytes[..length - 1]).unwrap();
        assert_refused(&cut, if format == Format::Custom { "is not what" } else { "" });
        fs::remove_file(place.path().join(format!("{name}.cut.sha256"))).unwrap();
    }
}

#[test]
fn damaged_directories_are_refused() {
    let place = directory();
    for compression in ["0", "6"] {
        let whole = place.path().join(format!("whole{compression}"));
        let options = DumpOptions {
            format: Format::Directory,
            compression: Some(compression.into()),
            ..DumpOptions::default()
        };
        dump(source(), &whole, &options, &Run::new()).unwrap();
        let mut data: Vec<(u64, String)> = names(&whole)
            .into_iter()
            .filter(|name| name.contains(".dat") && name.starts_with(|c: char| c.is_ascii_digit()))
            .map(|name| (fs::metadata(whole.join(&name)).unwrap().len(), name))
            .collect();
        data.sort();
        let biggest = data.last().unwrap().1.clone();
        let broken = place.path().join("broken");
        let damage = |name: &str, keep: Option<u64>| {
            let _ = fs::remove_dir_all(&broken);
            fs::create_dir(&broken).unwrap();
            for name in names(&whole) {
                fs::copy(whole.join(&name), broken.join(&name)).unwrap();
            }
            match keep {
                Some(keep) => fs::OpenOptions::new()
                    .write(true)
                    .open(broken.join(name))
                    .unwrap()
                    .set_len(keep)
                    .unwrap(),
                None => fs::remove_file(broken.join(name)).unwrap(),
            }
            assert_refused(&broken, "");
        };
        let length = fs::metadata(whole.join(&biggest)).unwrap().len();
        for keep in [Some(0), Some(100), Some(length / 2), Some(length - 3), None] {
            damage(&biggest, keep);
        }
        for keep in [Some(0), Some(200), None] {
            damage("toc.dat", keep);
        }
    }
}

#[test]
fn a_flipped_bit_is_seen() {
    let place = directory();
    for (format, name) in [(Format::Custom, "custom"), (Format::Plain, "plain")] {
        let file = place.path().join(name);
        let options = DumpOptions {
            format,
            // Not compressed: nothing else would notice.
            compression: (format == Format::Custom).then(|| "0".to_owned()),
            ..DumpOptions::default()
        };
        dump(source(), &file, &options, &Run::new()).unwrap();
        let whole = fs::read(&file).unwrap();
        for part in 1..8 {
            let mut bytes = whole.clone();
            let place = bytes.len() * part / 8;
            bytes[place] ^= 4;
            fs::write(&file, &bytes).unwrap();
            assert_refused(&file, "is not what");
        }
        fs::write(&file, &whole).unwrap();
        restore(
            &file,
            &support::database("whole"),
            &RestoreOptions::default(),
            &Run::new(),
        )
        .unwrap();
    }
}

#[test]
fn what_is_no_dump_is_refused() {
    let place = directory();
    let file = place.path().join("some file");
    assert_refused_missing(&file);
    for (bytes, words) in [
        (&b"create table t (id int);\n"[..], "is no dump of PostgreSQL"),
        (b"\x00\x01\x02\xff", "is no dump of PostgreSQL"),
        (b"PGDMP", "cut off in its header"),
        (
            b"PGDMP\x01\x0e\x00\xff\x08\x01\x01\x01\x01\x01\x01\x01\x01\x01",
            "cut off in its header",
        ),
    ] {
        fs::write(&file, bytes).unwrap();
        assert_refused(&file, words);
    }
    assert_refused(place.path(), "there is no toc.dat in it");
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    fs::write(&file, tar).unwrap();
    assert_refused(&file, "is a tar archive");
}

fn assert_refused_missing(file: &Path) {
    let target = support::database("missing");
    let options = RestoreOptions {
        ignore_errors: true,
        ..RestoreOptions::default()
    };
    let error = restore(file, &target, &options, &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("No such file"), "{error}");
}

#[test]
fn an_archive_of_a_newer_pg_dump_is_named() {
    let place = directory();
    let file = place.path().join("new");
    dump_to(&file, Format::Custom);
    fs::remove_file(place.path().join("new.sha256")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    if bytes[6] < 15 {
        // From 1.15 on the compression is one byte.
        bytes.drain(11..15);
    }
    bytes[6] = 99;
    // The version of pg_dump is the second one of the header, and a length of 4 bytes and a sign stand before it.
    let version = format!("{}.", support::server().version().major()).into_bytes();
    let places: Vec<usize> = (5..200)
        .filter(|at| bytes[*at..].starts_with(&version) && bytes[at - 3..*at] == [0, 0, 0])
        .collect();
    bytes[places[1]..places[1] + 2].copy_from_slice(b"29");
    fs::write(&file, &bytes).unwrap();
    assert_refused(&file, "was written by pg_dump 29.");
    assert_refused(&file, "postgresql-client-29");
}

fn plain(place: &Path, sql: &str) -> PathBuf {
    let file = place.join("plain.sql");
    let text = format!(
        "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n{sql}\n--\n-- PostgreSQL database dump complete\n--\n\n"
    );
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn psql_commands_in_a_plain_dump_are_refused() {
    let place = directory();
    assert_refused(&plain(place.path(), "\\! touch /tmp/planted"), "plain.sql");
    assert_refused(
        &plain(place.path(), "create table a (b int);\n\\connect other\n"),
        "plain.sql",
    );
    assert_refused(&plain(place.path(), "COPY a FROM stdin;\n1\n"), "");
}

#[test]
fn missing_extensions_are_told_before_anything_is_changed() {
    let place = directory();
    let file = plain(
        place.path(),
        "CREATE TABLE a (b int);\nCREATE EXTENSION IF NOT EXISTS \"no such\" WITH SCHEMA public;",
    );
    let target = support::database("extension");
    let error = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().ends_with("does not have: no such"), "{error}");
    assert_eq!(contents(&target), Vec::<String>::new());
}

#[test]
fn missing_roles_are_all_named_and_can_be_created() {
    let place = directory();
    let source = support::database("roles");
    execute(
        &source,
        "create role giver; create role \"Odd one\"; create table public.t (id int);
         grant select on public.t to giver; create policy p on public.t to \"Odd one\" using (id > 0)",
    );
    let file = place.path().join("roles");
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    execute(
        &source,
        "drop policy p on public.t; drop owned by giver; drop role giver; drop role \"Odd one\"",
    );
    let target = support::database("no roles");
    let error = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap_err();
    assert!(error.message().ends_with("does not have: Odd one, giver"), "{error}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("create role \"Odd one\" nologin; create role \"giver\" nologin")
    );
    assert_eq!(contents(&target), Vec::<String>::new());

    let (run, events) = listening();
    let options = RestoreOptions {
        ignore_errors: true,
        ..RestoreOptions::default()
    };
    let restored = restore(&file, &target, &options, &run).unwrap();
    assert!(warnings(&events).contains("Odd one, giver"));
    assert_eq!(restored.passed_over.len(), 1);
    let passed_over = &restored.passed_over[0];
    assert_eq!(
        (passed_over.class, passed_over.harmless, passed_over.count),
        ("role missing", false, 2)
    );
    assert!(passed_over.first.contains("does not exist"));

    let target = support::database("new roles");
    let options = RestoreOptions {
        create_roles: true,
        ..RestoreOptions::default()
    };
    restore(&file, &target, &options, &Run::new()).unwrap();
    assert_eq!(
        one(
            &target,
            "select has_table_privilege('giver', 'public.t', 'select')::text"
        ),
        "true"
    );
    execute(
        &target,
        "drop policy p on public.t; drop owned by giver; drop role giver; drop role \"Odd one\"",
    );
}

#[test]
fn an_error_rolls_everything_back_and_is_named() {
    let place = directory();
    let file = plain(
        place.path(),
        "CREATE TABLE public.a (b int);\nCOPY public.a (b) FROM stdin;\n1\n2\n\\.\n\nCREATE TABLE public.c (d no_such_type);\n",
    );
    let target = support::database("rolled back");
    let error = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.message(), "type \"no_such_type\" does not exist");
    assert_eq!(error.location().unwrap().line, 12);
    assert_eq!(
        error.state(),
        Some("the transaction was rolled back: the database is as it was")
    );
    assert_eq!(contents(&target), Vec::<String>::new());

    let options = RestoreOptions {
        ignore_errors: true,
        ..RestoreOptions::default()
    };
    let restored = restore(&file, &target, &options, &Run::new()).unwrap();
    assert_eq!(restored.passed_over.len(), 1);
    assert_eq!(restored.passed_over[0].class, "missing object");
    assert_eq!(one(&target, "select count(*)::text from public.a"), "2");
}

#[test]
fn settings_and_schemas_that_are_left_over_are_no_failure() {
    let place = directory();
    let file = plain(
        place.path(),
        "SET transaction_timeout_of_tomorrow = 0;\nCREATE SCHEMA public;\nALTER SCHEMA public OWNER TO nobody_here;\n\
         COMMENT ON SCHEMA public IS 'x';\nCREATE TABLE public.a (b int);\nALTER TABLE public.a OWNER TO nobody_here;\n",
    );
    let target = support::database("leftovers");
    let restored = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    let found: Vec<(&str, bool)> = restored
        .passed_over
        .iter()
        .map(|class| (class.class, class.harmless))
        .collect();
    assert_eq!(
        found,
        [("setting unknown to this server", true), ("already exists", true)]
    );
    assert_eq!(contents(&target), ["r public.a 0 "]);
}

#[test]
fn clean_replaces_and_into_existing_adds() {
    let place = directory();
    let file = place.path().join("a");
    dump_to(&file, Format::Custom);
    for jobs in [1, 2] {
        let target = support::database("cleaned");
        execute(&target, "create table public.mine (id int)");
        let with = |clean, into_existing| RestoreOptions {
            clean,
            into_existing,
            jobs,
            ..RestoreOptions::default()
        };
        restore(&file, &target, &with(false, true), &Run::new()).unwrap();
        execute(&target, "delete from water.valve");
        restore(&file, &target, &with(true, false), &Run::new()).unwrap();
        assert_eq!(one(&target, "select count(*)::text from water.valve"), "100");
        // What the dump does not hold stays.
        execute(&target, "drop table public.mine");
        assert_eq!(contents(&target), contents(source()));
        let again = restore(&file, &target, &with(false, true), &Run::new()).unwrap_err();
        assert!(again.message().contains("already exists"), "{again}");
        assert_eq!(contents(&target), contents(source()));
    }
}

#[test]
fn a_created_database_gets_locale_and_settings() {
    let place = directory();
    let file = place.path().join("settings");
    let source = support::server().target("With Settings");
    execute(
        &support::server().target("postgres"),
        "create database \"With Settings\" template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'",
    );
    execute(
        &source,
        "alter database \"With Settings\" set search_path to a, public; alter database \"With Settings\" set work_mem to '5MB';
         create table public.t (id int)",
    );
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    let target = support::server().target("Copy of \"it\"");
    let options = RestoreOptions {
        create: true,
        ..RestoreOptions::default()
    };
    restore(&file, &target, &options, &Run::new()).unwrap();
    let facts =
        "select d.datctype || ' ' || pg_encoding_to_char(d.encoding) || ' ' || array_to_string(s.setconfig, ';')
                 from pg_database d join pg_db_role_setting s on s.setdatabase = d.oid and s.setrole = 0
                 where datname = current_database()";
    assert_eq!(one(&target, facts), "C.UTF-8 UTF8 search_path=a, public;work_mem=5MB");
    assert_eq!(one(&target, facts), one(&source, facts));
}

#[test]
fn other_encodings_come_back() {
    let place = directory();
    let admin = support::server().target("postgres");
    execute(
        &admin,
        "create database latin template template0 encoding 'LATIN1' locale 'C'",
    );
    let source = support::server().target("latin");
    execute(
        &source,
        "create table public.\"grün\" (v text); insert into public.\"grün\" values ('é')",
    );
    for format in [Format::Custom, Format::Directory] {
        let file = place.path().join(format!("{format:?}"));
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        dump(&source, &file, &options, &Run::new()).unwrap();
        let target = support::database("from latin");
        restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
        assert_eq!(one(&target, "select v from public.\"grün\""), "é");
    }
    let file = place.path().join("plain");
    let options = DumpOptions {
        format: Format::Plain,
        ..DumpOptions::default()
    };
    dump(&source, &file, &options, &Run::new()).unwrap();
    assert_refused(&file, "LATIN1, and plain dumps are restored in UTF-8 only");
}

/// PostGIS has a table of its own whose rows are dumped too.
#[test]
fn postgis_comes_back_into_an_empty_and_a_prepared_database() {
    let source = support::database("postgis");
    if one(
        &source,
        "select count(*)::text from pg_available_extensions where name = 'postgis'",
    ) == "0"
    {
        println!("not tested: this server has no PostGIS");
        return;
    }
    execute(
        &source,
        "create schema gis; set search_path = public; create extension postgis;
         create table gis.well (id int primary key, place geometry(point, 21781));
         insert into gis.well select g, st_setsrid(st_point(g, g), 21781) from generate_series(1, 100) g;
         create index on gis.well using gist (place);
         insert into spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) values (990001, 'me', 1, 'x', 'y')",
    );
    let place = directory();
    for (format, jobs) in [(Format::Custom, 1), (Format::Plain, 1), (Format::Directory, 2)] {
        let file = place.path().join(format!("{format:?}"));
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        dump(&source, &file, &options, &Run::new()).unwrap();
        for prepared in [false, true] {
            let target = support::database("gis");
            if prepared {
                // What people do before they restore: the rows of the dump are there already, and the schema too.
                execute(
                    &target,
                    "create schema gis; create extension postgis schema public;
                     insert into public.spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) values (990001, 'me', 1, 'x', 'y')",
                );
            }
            let options = RestoreOptions {
                jobs,
                ..RestoreOptions::default()
            };
            let restored = restore(&file, &target, &options, &Run::new()).unwrap();
            let found: Vec<(&str, bool, u64)> = restored
                .passed_over
                .iter()
                .map(|class| (class.class, class.harmless, class.count))
                .collect();
            if prepared {
                assert_eq!(found.len(), 2);
                assert!(found.contains(&("already exists", true, 1)), "{found:?}");
                assert!(found.contains(&("rows of an extension", true, 1)), "{found:?}");
            } else {
                assert_eq!(found, []);
            }
            assert_eq!(
                one(
                    &target,
                    "select count(*)::text from public.spatial_ref_sys where srid = 990001"
                ),
                "1"
            );
            assert_eq!(contents(&target), contents(&source));
        }
    }
}

/// What is left of a run that is killed, or told to stop: nothing under the final name.
fn is_dump_or_nothing(place: &Path) -> bool {
    names(place).is_empty() || names(place) == ["water.dump", "water.dump.sha256"]
}

/// A database whose dump waits: another session holds a lock on a table until the connection is dropped.
fn locked(target: &Target) -> Connection {
    let mut holder = Connection::open(target, &Run::new()).unwrap();
    holder
        .execute("begin; lock table public.t in access exclusive mode")
        .unwrap();
    holder
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_there() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{what} did not happen in 10 seconds");
}

/// Whether pg_dump waits for a lock in this database.
fn waits(target: &Target) -> bool {
    let sql = "select count(*)::text from pg_stat_activity where datname = current_database()
               and application_name = 'pum pg_dump' and wait_event_type = 'Lock'";
    one(target, sql) != "0"
}

fn sessions(target: &Target, application: &str) -> String {
    one(
        target,
        &format!(
            "select count(*)::text from pg_stat_activity where datname = current_database() and application_name = '{application}'"
        ),
    )
}

#[test]
fn a_cancelled_dump_leaves_nothing_and_no_session() {
    let source = support::database("cancelled");
    execute(&source, "create table public.t (id int)");
    let _holder = locked(&source);
    let place = directory();
    for (format, jobs) in [(Format::Custom, 1), (Format::Directory, 2), (Format::Plain, 1)] {
        let run = Run::new();
        let cancel = run.cancel().clone();
        let file = place.path().join("water.dump");
        let options = DumpOptions {
            format,
            jobs,
            ..DumpOptions::default()
        };
        let (watched, directory) = (source.clone(), place.path().to_owned());
        let canceller = std::thread::spawn(move || {
            wait_for("the dump waiting for the lock", || {
                waits(&watched) && !names(&directory).is_empty()
            });
            cancel.cancel();
        });
        let error = dump(&source, &file, &options, &run).unwrap_err();
        canceller.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(names(place.path()), Vec::<String>::new());
        wait_for("the end of pg_dump's session", || {
            sessions(&source, "pum pg_dump") == "0"
        });
    }
}

#[test]
fn a_cancelled_restore_leaves_the_database_as_it_was() {
    let place = directory();
    let file = place.path().join("a");
    dump_to(&file, Format::Custom);
    for (jobs, create) in [(1, false), (1, true), (2, true)] {
        let target = if create {
            support::server().target("cancelled restore")
        } else {
            support::database("cancelled")
        };
        let run = Run::new();
        let cancel = run.cancel().clone();
        let listener = {
            let cancel = cancel.clone();
            move |event| {
                if let Event::Progress { unit: "tables", .. } = event {
                    cancel.cancel();
                }
            }
        };
        // The same run with a listener.
        let run = run.on_event(listener);
        let options = RestoreOptions {
            jobs,
            create,
            ..RestoreOptions::default()
        };
        let error = restore(&file, &target, &options, &run).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        if create {
            let there = "select count(*)::text from pg_database where datname = 'cancelled restore'";
            assert_eq!(one(&support::server().target("postgres"), there), "0");
            assert_eq!(
                error.state(),
                Some("the database \"cancelled restore\" was created and dropped again")
            );
        } else {
            assert_eq!(contents(&target), Vec::<String>::new());
            assert_eq!(
                error.state(),
                Some("the transaction was rolled back: the database is as it was")
            );
        }
    }
}

/// Runs this test binary again for one test that dumps `PUM_TEST_SOURCE` to `PUM_TEST_FILE`.
fn dump_in_a_process(source: &Target, file: &Path, limit: Option<&str>) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dump_of_another_process", "--nocapture"])
        .env("PUM_TEST_SOURCE", source.to_string())
        .env("PUM_TEST_FILE", file)
        .env("PUM_TEST_LIMIT", limit.unwrap_or(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// No test by itself: the other half of the tests that kill or limit a process.
#[test]
fn dump_of_another_process() {
    let (Ok(source), Some(file)) = (std::env::var("PUM_TEST_SOURCE"), std::env::var_os("PUM_TEST_FILE")) else {
        return;
    };
    if let Ok(limit) = std::env::var("PUM_TEST_LIMIT").unwrap().parse() {
        let limit = rustix::process::Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    }
    let result = dump(
        &Target::new(&source).unwrap(),
        Path::new(&file),
        &DumpOptions::default(),
        &Run::new(),
    );
    match result {
        Ok(_) => println!("outcome: dumped"),
        Err(error) => println!(
            "outcome: {error} | {} | {}",
            error.hint().unwrap_or(""),
            error.state().unwrap_or("")
        ),
    }
}

#[test]
fn what_a_killed_dump_left_is_removed_by_the_next() {
    let source = support::database("killed");
    execute(&source, "create table public.t (id int)");
    let place = directory();
    let file = place.path().join("water.dump");
    let holder = locked(&source);
    let mut process = dump_in_a_process(&source, &file, None);
    wait_for("the dump waiting for the lock", || waits(&source));
    process.kill().unwrap();
    process.wait().unwrap();
    let left = names(place.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(
        left[0].starts_with(".water.dump.pum-") && left[0].ends_with(".part"),
        "{left:?}"
    );
    assert_eq!(mode(&place.path().join(&left[0])), 0o600);
    // A part of a dump that still goes on is left alone.
    let mut living = dump_in_a_process(&source, &file, None);
    wait_for("a second part", || {
        names(place.path()) != left && names(place.path()).len() == 1
    });
    let part = names(place.path());
    let refused = DumpOptions {
        lock_timeout: Some(std::time::Duration::from_millis(200)),
        ..DumpOptions::default()
    };
    let error = dump(&source, &file, &refused, &Run::new()).unwrap_err();
    assert!(error.hint().unwrap().contains("holds one"), "{:?}", error.hint());
    assert_eq!(names(place.path()), part);
    drop(holder);
    assert!(living.wait().unwrap().success());
    // The pg_dump of the killed run does not go on alone.
    wait_for("the end of the orphan", || sessions(&source, "pum pg_dump") == "0");
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    assert_eq!(names(place.path()), ["water.dump", "water.dump.sha256"]);
}

#[test]
fn a_full_disk_leaves_the_dump_of_before() {
    let place = directory();
    let file = place.path().join("water.dump");
    fs::write(&file, "the dump of before").unwrap();
    // Without root a limit of the file size stands for the disk that is full.
    let mut outcomes = Vec::new();
    let output = dump_in_a_process(source(), &file, Some("100000"))
        .wait_with_output()
        .unwrap();
    outcomes.push(String::from_utf8_lossy(&output.stdout).into_owned());
    if rustix::process::geteuid().is_root() {
        let disk = place.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=200k", "tmpfs"])
            .arg(&disk)
            .status()
            .unwrap();
        if mounted.success() {
            let small = disk.join("water.dump");
            fs::write(&small, "the dump of before").unwrap();
            let error = dump(source(), &small, &DumpOptions::default(), &Run::new()).unwrap_err();
            let before = fs::read_to_string(&small).unwrap();
            let left = names(&disk);
            assert!(
                std::process::Command::new("umount")
                    .arg(&disk)
                    .status()
                    .unwrap()
                    .success()
            );
            assert_eq!(before, "the dump of before");
            assert_eq!(left, ["water.dump"]);
            assert!(error.message().contains("No space left on device"), "{error}");
            assert!(error.hint().unwrap().contains("MB are free"), "{:?}", error.hint());
        } else {
            println!("no tmpfs here: only the limit of the file size was tested");
        }
        fs::remove_dir(&disk).unwrap();
    }
    for outcome in outcomes {
        assert!(outcome.contains("was not touched"), "{outcome}");
        assert!(
            outcome.contains("ulimit -f") || outcome.contains("File too large"),
            "{outcome}"
        );
    }
    assert_eq!(names(place.path()), ["water.dump"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "the dump of before");
}

#[test]
fn a_failing_dump_leaves_the_dump_of_before() {
    let place = directory();
    let file = place.path().join("water.dump");
    dump_to(&file, Format::Custom);
    let before = fs::read(&file).unwrap();
    let wrong = support::server().target("no such database");
    let error = dump(&wrong, &file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    let options = DumpOptions {
        snapshot: Some("no such snapshot".into()),
        ..DumpOptions::default()
    };
    let error = dump(source(), &file, &options, &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    assert!(error.message().contains("invalid snapshot identifier"), "{error}");
    assert!(error.state().unwrap().contains("was not touched"));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(is_dump_or_nothing(place.path()));
    // A good one replaces it, and its checksums.
    let options = DumpOptions {
        exclude_schemas: vec!["water".into()],
        ..DumpOptions::default()
    };
    dump(source(), &file, &options, &Run::new()).unwrap();
    assert_ne!(fs::read(&file).unwrap(), before);
    restore(
        &file,
        &support::database("replaced"),
        &RestoreOptions::default(),
        &Run::new(),
    )
    .unwrap();
}

#[test]
fn what_is_in_the_way_is_refused() {
    let place = directory();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("directory/mine"), "mine").unwrap();
    fs::write(at("file"), "mine").unwrap();
    std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
    let attempt = |file: &Path, format| {
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        dump(source(), file, &options, &Run::new()).unwrap_err().to_string()
    };
    for (error, words) in [
        (attempt(&at("directory"), Format::Custom), "is a directory"),
        (
            attempt(&at("directory"), Format::Directory),
            "is a directory that holds no dump",
        ),
        (attempt(&at("file"), Format::Directory), "is a file"),
        (attempt(&at("link"), Format::Custom), "is a symbolic link"),
        (attempt(Path::new("/dev/null"), Format::Plain), "is not a regular file"),
        (attempt(Path::new("-"), Format::Custom), "not to the standard output"),
        (attempt(Path::new("/"), Format::Custom), ""),
        (
            attempt(&at("nowhere/file"), Format::Custom),
            "No such file or directory",
        ),
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(names(place.path()), ["directory", "file", "link"]);
    // A directory that holds a dump is replaced.
    let options = DumpOptions {
        format: Format::Directory,
        ..DumpOptions::default()
    };
    dump(source(), &at("dump"), &options, &Run::new()).unwrap();
    fs::write(at("dump/old"), "of the old dump").unwrap();
    dump(source(), &at("dump"), &options, &Run::new()).unwrap();
    assert!(!at("dump/old").exists());
    assert_eq!(
        names(place.path()),
        ["directory", "dump", "dump.sha256", "file", "link"]
    );
}

#[test]
fn a_place_without_the_right_to_write_is_a_sentence() {
    // Nobody may write here, root neither.
    let file = Path::new("/proc/water.dump");
    let error = dump(source(), file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.message().starts_with("cannot write \"/proc/water.dump\": "),
        "{error}"
    );
    assert!(error.hint().is_some());
}

/// A program that tells another version: enough to be refused before it runs.
fn program_of_version(place: &Path, name: &str, version: &str) -> PathBuf {
    let program = place.join(name);
    fs::write(&program, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn programs_that_are_older_missing_or_others_are_refused() {
    let place = directory();
    let file = place.path().join("water.dump");
    let with = |program: PathBuf| DumpOptions {
        pg_dump: Some(program),
        ..DumpOptions::default()
    };
    let version = support::server().version().to_string();
    let old = program_of_version(place.path(), "pg_dump", "9.6.24");
    let error = dump(source(), &file, &with(old), &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error.message().contains(&format!("the server is PostgreSQL {version}")),
        "{error}"
    );
    assert!(error.message().contains("is 9.6.24"), "{error}");
    let error = dump(source(), &file, &with("/no/such/pg_dump".into()), &Run::new()).unwrap_err();
    assert!(error.message().contains("\"/no/such/pg_dump\" is not there"), "{error}");
    let silent = program_of_version(place.path(), "pg_dump_silent", "unknown");
    let error = dump(source(), &file, &with(silent), &Run::new()).unwrap_err();
    assert!(error.message().contains("does not tell its version"), "{error}");
    // It says that it is pg_dump, and writes something else.
    let liar = program_of_version(place.path(), "pg_dump_liar", "99.0");
    let error = dump(source(), &file, &with(liar), &Run::new()).unwrap_err();
    assert!(error.message().starts_with("the new dump is not whole"), "{error}");
    assert!(!file.exists());
    assert_eq!(names(place.path()), ["pg_dump", "pg_dump_liar", "pg_dump_silent"]);
}

#[test]
fn a_password_is_in_no_argument() {
    let source = support::database("password");
    execute(&source, "create table public.t (id int)");
    let holder = locked(&source);
    let place = directory();
    let file = place.path().join("water.dump");
    let secret = "canary-4711-password";
    let target = source.clone().with("password", secret);
    let (run, events) = listening();
    let path = file.clone();
    let dumping = std::thread::spawn(move || dump(&target, &path, &DumpOptions::default(), &run).map(|_| ()));
    wait_for("the dump waiting for the lock", || waits(&source));
    let mut seen = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(words) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(!words.contains(secret), "{words}");
        seen += usize::from(words.contains("pg_dump") && words.contains("--format=custom"));
    }
    assert!(seen > 0, "pg_dump was not running");
    drop(holder);
    dumping.join().unwrap().unwrap();
    assert!(!format!("{:?}", events.lock().unwrap()).contains(secret));
}

#[test]
fn what_a_role_may_not_read_is_named() {
    let source = support::database("rights");
    execute(
        &source,
        "create role reader login; create table public.open (id int); grant select on public.open to reader;
         create table public.shut (id int); create table public.locked (id int)",
    );
    let place = directory();
    let file = place.path().join("a");
    let target = source.clone().with("user", "reader");
    let error = dump(&target, &file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert!(error.message().contains("permission denied for table"), "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("public.locked, public.shut") && !hint.contains("open"),
        "{hint}"
    );
    execute(
        &source,
        "grant select on all tables in schema public to reader; alter table public.open enable row level security",
    );
    let error = dump(&target, &file, &DumpOptions::default(), &Run::new()).unwrap_err();
    assert!(error.hint().unwrap().contains("BYPASSRLS"), "{error}");
    assert_eq!(names(place.path()), Vec::<String>::new());
    execute(&source, "drop owned by reader; drop role reader");
}

#[test]
fn a_snapshot_is_dumped_as_it_was() {
    let source = support::database("snapshot");
    execute(
        &source,
        "create table public.t (id int); insert into public.t values (1)",
    );
    let mut holder = Connection::open(&source, &Run::new()).unwrap();
    holder.execute("begin isolation level repeatable read").unwrap();
    let snapshot = holder
        .query("select pg_export_snapshot()", &[])
        .unwrap()
        .value(0, 0)
        .unwrap()
        .to_owned();
    execute(&source, "insert into public.t values (2)");
    let place = directory();
    let file = place.path().join("a");
    let options = DumpOptions {
        snapshot: Some(snapshot),
        ..DumpOptions::default()
    };
    dump(&source, &file, &options, &Run::new()).unwrap();
    let target = support::database("of the snapshot");
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(one(&target, "select count(*)::text from public.t"), "1");
}

#[test]
fn schemas_can_be_left_out_when_restoring() {
    let place = directory();
    let file = place.path().join("a");
    dump_to(&file, Format::Custom);
    for jobs in [1, 2] {
        let target = support::database("without");
        let options = RestoreOptions {
            exclude_schemas: vec!["audit".into(), "Odd schema".into()],
            jobs,
            ..RestoreOptions::default()
        };
        restore(&file, &target, &options, &Run::new()).unwrap();
        let expected: Vec<String> = contents(source())
            .into_iter()
            .filter(|line| !line.contains("audit.") && !line.contains("Odd schema"))
            .collect();
        assert_eq!(contents(&target), expected);
    }
}

#[test]
fn templates_and_read_only_databases_are_refused() {
    let place = directory();
    let file = place.path().join("a");
    dump_to(&file, Format::Custom);
    let error = restore(
        &file,
        &support::server().target("template1"),
        &RestoreOptions::default(),
        &Run::new(),
    )
    .unwrap_err();
    assert!(error.message().contains("is a template"), "{error}");
    let target = support::database("read only");
    let name = one(&target, "select current_database()");
    execute(
        &target,
        &format!("alter database \"{name}\" set default_transaction_read_only to on"),
    );
    let error = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap_err();
    assert!(error.message().contains("is read-only"), "{error}");
}
