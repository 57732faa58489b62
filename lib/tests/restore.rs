//! Restores against a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/dumps.rs"]
mod dumps;
mod support;

use pum::{Connection, DumpOptions, ErrorKind, Event, Format, RestoreOptions, Run, Target, dump, restore};

use dumps::*;

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
fn an_empty_database_that_is_to_be_created_is_told_with_two_ways_on() {
    let place = directory();
    let file = place.path().join("a.dump");
    dump_to(&file, Format::Custom);
    // What a restore leaves that was killed when it had created the database.
    let target = support::database("left empty");
    let name = one(&target, "select quote_ident(current_database())");
    let options = RestoreOptions {
        create: true,
        ..RestoreOptions::default()
    };
    let told = |error: pum::Error| format!("{error} | {} | {}", error.hint().unwrap(), error.state().unwrap());
    let server = support::server().target("postgres");
    let alone = || {
        let others = format!(
            "select count(*) from pg_stat_activity where datname = '{}'",
            name.trim_matches('"')
        );
        wait_for("nobody is connected", || one(&server, &others) == "0");
    };
    alone();
    let at_work = pum::Connection::open(&target, &Run::new()).unwrap();
    let error = told(restore(&file, &target, &options, &Run::new()).unwrap_err());
    assert!(error.contains("exists already and is empty"), "{error}");
    assert!(
        error.contains("1 other session is connected to it, perhaps another restore"),
        "{error}"
    );
    // Seen by who sees no more of it than that it is there, too.
    execute(&server, "create role restores login createdb");
    let own = target.clone().with("user", "restores");
    let error = told(restore(&file, &own, &options, &Run::new()).unwrap_err());
    assert!(error.contains("1 other session is connected to it"), "{error}");
    drop(at_work);
    alone();
    let error = told(restore(&file, &target, &options, &Run::new()).unwrap_err());
    assert!(error.contains("exists already and is empty"), "{error}");
    assert!(
        error.contains(&format!("DROP DATABASE {name} and restore again")),
        "{error}"
    );
    assert!(error.contains("nothing was changed in any database"), "{error}");
    // Both ways lead on.
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(source()));
    alone();
    execute(&server, &format!("drop database {name}"));
    restore(&file, &target, &options, &Run::new()).unwrap();
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
fn two_at_once_into_an_empty_database_are_not_told_to_mix() {
    let place = directory();
    let file = place.path().join("a");
    dump_to(&file, Format::Custom);
    let target = support::database("two_at_once");
    // The first has made its schema, which the second cannot see yet.
    let mut first = Connection::open(&target, &Run::new()).unwrap();
    first.execute("begin; create schema water").unwrap();
    let error = std::thread::scope(|scope| {
        let second = scope.spawn(|| restore(&file, &target, &RestoreOptions::default(), &Run::new()));
        wait_for("the second restore", || {
            one(&target, "select count(*)::text from pg_locks where not granted") != "0"
        });
        first.execute("commit").unwrap();
        second.join().unwrap().unwrap_err()
    });
    assert_eq!(error.sqlstate(), Some("23505"), "{error}");
    let hint = error.hint().unwrap_or_default();
    assert!(
        hint.contains("another restore may be at work") && !hint.contains("-x"),
        "{hint}"
    );
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

#[test]
fn a_killed_restore_leaves_the_database_as_it_was() {
    let place = directory();
    let file = plain(
        place.path(),
        "CREATE TABLE public.a (b int);\nSELECT pg_catalog.pg_sleep(60);\nCREATE TABLE public.c (b int);\n",
    );
    let target = support::database("killed");
    let mut process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restore_of_another_process"])
        .env("PUM_TEST_TARGET", target.to_string())
        .env("PUM_TEST_FILE", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the restore", || {
        one(
            &target,
            "select count(*)::text from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
        ) != "0"
    });
    process.kill().unwrap();
    process.wait().unwrap();
    wait_for("the end of its session", || sessions(&target, "pum") == "1");
    assert_eq!(contents(&target), Vec::<String>::new());
}

/// No test by itself: the other half of the test that kills a process.
#[test]
fn restore_of_another_process() {
    let (Ok(target), Some(file)) = (std::env::var("PUM_TEST_TARGET"), std::env::var_os("PUM_TEST_FILE")) else {
        return;
    };
    let target = Target::new(&target).unwrap();
    restore(file.as_ref(), &target, &RestoreOptions::default(), &Run::new()).unwrap();
}

#[test]
fn what_is_left_aside_is_told() {
    let place = directory();
    let file = plain(place.path(), "CREATE TABLE public.a (b int);\n");
    let admin = support::server().target("postgres");
    execute(
        &admin,
        "create database narrow template template0 encoding 'LATIN1' locale 'C'",
    );
    let (run, events) = listening();
    let options = RestoreOptions {
        jobs: 2,
        ..RestoreOptions::default()
    };
    restore(&file, &support::server().target("narrow"), &options, &run).unwrap();
    let warnings = warnings(&events);
    assert!(warnings.contains("a plain dump is restored by one job"), "{warnings}");
    assert!(warnings.contains("is in LATIN1 and the dump in UTF8"), "{warnings}");
}

#[test]
fn a_function_that_counts_on_a_search_path_is_a_fault_of_the_database() {
    let source = support::database("unqualified");
    execute(
        &source,
        "set search_path = public;
         create function public.inner_one(int) returns boolean language sql as 'select true';
         create function public.outer_one(int) returns boolean language plpgsql as 'begin return inner_one($1); end';
         create table public.t (id int check (public.outer_one(id))); insert into public.t values (1)",
    );
    let place = directory();
    let file = place.path().join("unqualified");
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    let target = support::database("unqualified");
    let error = restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap_err();
    assert!(error.message().contains("inner_one"), "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("a fault of the database") && hint.contains("SET search_path"),
        "{hint}"
    );
    assert_eq!(contents(&target), Vec::<String>::new());
    // And that is what helps.
    execute(&source, "alter function public.outer_one(int) set search_path = public");
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(&source));
}

#[test]
fn only_the_database_that_is_named_is_touched() {
    // `pg_restore --create --clean` would drop the one that the dump names.
    let source = support::database("dumped");
    execute(
        &source,
        "create table public.t (id int); insert into public.t values (1)",
    );
    let place = directory();
    let file = place.path().join("a");
    dump(&source, &file, &DumpOptions::default(), &Run::new()).unwrap();
    execute(&source, "insert into public.t values (2)");
    let before = contents(&source);
    let target = support::database("scratch");
    for jobs in [1, 2] {
        let options = RestoreOptions {
            clean: true,
            jobs,
            ..RestoreOptions::default()
        };
        restore(&file, &target, &options, &Run::new()).unwrap();
        assert_eq!(one(&target, "select count(*)::text from public.t"), "1");
        assert_eq!(contents(&source), before);
    }
}

#[test]
fn who_is_connected_is_told() {
    let place = directory();
    let file = plain(place.path(), "CREATE TABLE public.a (b int);\n");
    let target = support::database("busy");
    let mut other = pum::Connection::open(&target, &Run::new()).unwrap();
    // Whoever restores sees no more of another role's session than that it is there.
    let name = one(&target, "select quote_ident(current_database())");
    other
        .execute(&format!(
            "create role owns_busy login; alter database {name} owner to owns_busy; grant create on schema public to owns_busy"
        ))
        .unwrap();
    let own = target.clone().with("user", "owns_busy");
    let (run, events) = listening();
    restore(&file, &own, &RestoreOptions::default(), &run).unwrap();
    assert!(
        warnings(&events).contains("1 other session is connected"),
        "{}",
        warnings(&events)
    );
    assert_eq!(contents(&target), ["r public.a 0 "]);
}

#[test]
fn what_dumps_stumble_over_comes_back() {
    let source = support::database("stumbling");
    execute(
        &source,
        "create schema town; create unlogged table town.fast (id int); insert into town.fast values (1);
         create table town.house (id int primary key, doubled int generated always as (id * 2) stored);
         insert into town.house select generate_series(1, 10);
         create function town.f() returns int language sql set search_path = town as 'select max(id) from house';
         create materialized view town.m as select town.f() as most;
         create table town.log (what text);
         create function town.e() returns event_trigger language plpgsql as 'begin insert into town.log values (tg_tag); end';
         create event trigger e on ddl_command_end when tag in ('CREATE TABLE', 'CREATE VIEW', 'ALTER TABLE', 'CREATE FUNCTION')
         execute function town.e()",
    );
    let place = directory();
    for (format, jobs) in [(Format::Custom, 1), (Format::Directory, 2), (Format::Plain, 1)] {
        let file = place.path().join(format!("{format:?}"));
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        dump(&source, &file, &options, &Run::new()).unwrap();
        let target = support::database("stumbling");
        let options = RestoreOptions {
            jobs,
            ..RestoreOptions::default()
        };
        restore(&file, &target, &options, &Run::new()).unwrap();
        // The event trigger comes last, and writes nothing down.
        assert_eq!(contents(&target), contents(&source));
        assert_eq!(one(&target, "select most::text from town.m"), "10");
    }
    execute(&source, "drop event trigger e");
}
