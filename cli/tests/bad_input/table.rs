//! The upgrades table, baselines and versions.

use crate::support::{Place, TABLE, contents, database, empty_database, sql};

#[test]
fn no_upgrades_table() {
    let target = empty_database("no_table");
    let before = contents(&target);
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    for command in ["info", "upgrade"] {
        place
            .pum(&[command, "-p", &target.name(), "-t", TABLE, "-d", "deltas"])
            .fails(3)
            .says(&["has no upgrades table water_sys.upgrades"])
            .helps(&["pum baseline", "-b X.Y.Z"]);
    }
    place
        .pum(&[
            "test",
            "-pp",
            &target.name(),
            "-pc",
            &target.name(),
            "-t",
            TABLE,
            "-d",
            "deltas",
        ])
        .fails(3)
        .says(&["error: "]);
    assert_eq!(contents(&target), before);
}

#[test]
fn names_of_the_table() {
    let target = empty_database("names");
    let before = contents(&target);
    let place = Place::with_deltas(&[]);
    for (name, why) in [
        ("upgrades", "the schema is missing"),
        ("a.b.c", "more than two parts"),
        ("a.", "a part is empty"),
        ("a.\"b", "not closed"),
        ("a.b; drop table x", "after it"),
        ("pg_catalog.upgrades", "belongs to the system"),
        ("PG_Toast.upgrades", "belongs to the system"),
        ("pg_temp.upgrades", "belongs to the system"),
        ("pg_temp_3.upgrades", "belongs to the system"),
        ("information_schema.upgrades", "belongs to the system"),
        ("\"pg_toast\".upgrades", "belongs to the system"),
        ("a.1b", "begins with a digit"),
        ("", "empty"),
        (
            "a.x123456789012345678901234567890123456789012345678901234567890abc",
            "longer than 63",
        ),
    ] {
        place
            .pum(&["baseline", "-p", &target.name(), "-t", name, "-b", "1.0.0"])
            .fails(2)
            .says(&["is not a name", why])
            .helps(&["schema and table"]);
    }
    assert_eq!(contents(&target), before);
}

#[test]
fn names_with_quotes_and_sql_are_names() {
    let target = empty_database("quoted");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select 1;")]);
    let name = "\"it's \"\"quoted\"\"\".\"; drop table x; -- ü\"";
    let on = ["-p", &target.name(), "-t", name];
    place
        .pum(&[&["baseline"][..], &on, &["-b", "1.0.0"]].concat())
        .succeeds();
    place
        .pum(&[&["upgrade"][..], &on, &["-d", "deltas"]].concat())
        .succeeds();
    assert_eq!(
        sql(
            &target,
            "select count(*) from \"it's \"\"quoted\"\"\".\"; drop table x; -- ü\" where success"
        ),
        "2"
    );
}

#[test]
fn something_else_has_the_name_of_the_table() {
    let target = empty_database("unfit");
    sql(
        &target,
        "create schema s;
         create view s.a_view as select 1 as id;
         create table s.a_table(id int, version text);
         create unlogged table s.unlogged(id int);
         create sequence s.a_sequence;
         select ''",
    );
    let before = contents(&target);
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select 1;")]);
    for (name, why) in [
        ("s.a_view", "it is a view"),
        ("s.a_sequence", "it is a sequence"),
        ("s.unlogged", "unlogged"),
        ("s.a_table", "it has no column description, type, script, checksum"),
    ] {
        for words in [
            &["upgrade", "-d", "deltas"][..],
            &["baseline", "-b", "1.0.0"],
            &["info", "-d", "deltas"],
        ] {
            place
                .pum(&[words, &["-p", &target.name(), "-t", name]].concat())
                .fails(3)
                .says(&[name, why])
                .helps(&["-t"]);
        }
    }
    assert_eq!(contents(&target), before);
}

/// The table of pum 0.8: fewer constraints, no columns of ours.
#[test]
fn an_old_table_is_read_and_extended() {
    let target = empty_database("old");
    sql(
        &target,
        "create schema qwat_sys;
         create table qwat_sys.info(id serial primary key, version varchar(50), description varchar(200) not null,
            type integer not null, script varchar(1000) not null, checksum varchar(32) not null,
            installed_by varchar(100) not null, installed_on timestamp without time zone not null default now(),
            execution_time integer not null, success boolean not null);
         insert into qwat_sys.info(version, description, type, script, checksum, installed_by, execution_time, success)
            values ('1.0.0', 'baseline', 0, '', '', 'postgres', 1, true);
         select ''",
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let on = ["-p", &target.name(), "-t", "qwat_sys.info", "-d", "deltas"];
    // Reading leaves it alone.
    let before = contents(&target);
    place.pum(&[&["info"][..], &on].concat()).succeeds();
    place.pum(&[&["upgrade", "--dry-run"][..], &on].concat()).succeeds();
    assert_eq!(contents(&target), before);
    place.pum(&[&["upgrade"][..], &on].concat()).succeeds();
    assert_eq!(
        sql(&target, "select max(version) from qwat_sys.info where success"),
        "1.1.0"
    );

    // A row that no version can be read from is named.
    sql(
        &target,
        "update qwat_sys.info set version = 'one' where id = 1;\nselect ''",
    );
    place
        .pum(&[&["upgrade"][..], &on].concat())
        .fails(3)
        .says(&["the row with id 1 of qwat_sys.info", "\"one\""])
        .helps(&["correct or delete that row"]);
}

#[test]
fn a_table_that_may_not_be_read_or_written() {
    let target = database("rights");
    sql(
        &target,
        "do $$ begin create role water_guest login; exception when duplicate_object then null; end $$;\nselect ''",
    );
    let guest = target.clone().with("user", "water_guest");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select 1;")]);
    let before = contents(&target);
    place
        .upgrade(&guest, &[])
        .fails(3)
        .says(&["water_guest may not read it"])
        .helps(&["GRANT USAGE ON SCHEMA", "water_guest"]);
    assert_eq!(contents(&target), before);
    sql(
        &target,
        "grant usage on schema water_sys to water_guest;
         grant select on water_sys.upgrades to water_guest;\nselect ''",
    );
    place
        .refused_upgrade(&guest, &[])
        .fails(3)
        .says(&["water_guest lacks INSERT ON", "nothing was changed"])
        .helps(&["GRANT INSERT ON", "GRANT UPDATE ON", "GRANT USAGE ON SEQUENCE"]);
    // A database in which nothing may be created.
    let empty = empty_database("rights").with("user", "water_guest");
    place
        .pum(&["baseline", "-p", &empty.name(), "-t", TABLE, "-b", "1.0.0"])
        .fails(1)
        .says(&["permission denied", "42501", "nothing was changed"])
        .helps(&["GRANT CREATE ON DATABASE", "\"water_guest\""]);
}

#[test]
fn a_baseline_twice() {
    let target = database("baseline");
    let before = contents(&target);
    let place = Place::new();
    place
        .pum(&["baseline", "-p", &target.name(), "-t", TABLE, "-b", "1.0.0"])
        .fails(3)
        .says(&["has the baseline 1.0.0 already", "nothing was changed"])
        .helps(&["pum info"]);
    // The same number in another writing.
    place
        .pum(&["baseline", "-p", &target.name(), "-t", TABLE, "-b", "01.0.00"])
        .fails(3)
        .says(&["has the baseline 1.0.0 already"]);
    assert_eq!(contents(&target), before);
}

#[test]
fn a_version_that_is_none() {
    let target = database("version");
    let before = contents(&target);
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select 1;")]);
    for version in [
        "1",
        "1.2",
        "1.2.3.4",
        "v1.2.3",
        "1.2.x",
        "",
        "1.2.-3",
        "1,2,3",
        "1.0.0-rc1",
        "1.2.3\n",
        "١.٢.٣",
        "１.2.3",
        "99999999999999999999.0.0",
    ] {
        place
            .pum(&["baseline", "-p", &target.name(), "-t", TABLE, &format!("-b={version}")])
            .fails(2)
            .says(&["version"])
            .helps(&[]);
        place
            .refused_upgrade(&target, &[&format!("-u={version}")])
            .fails(2)
            .says(&["version"])
            .helps(&[]);
    }
    assert_eq!(contents(&target), before);
}

#[test]
fn a_target_below_the_current_version() {
    let target = database("below");
    let place = Place::with_deltas(&[
        ("delta_1.1.0_a.sql", "create table public.a();"),
        ("delta_1.2.0_b.sql", "create table public.b();"),
    ]);
    place.upgrade(&target, &[]).succeeds();
    for more in [&["-u", "1.1.0"][..], &["-u", "1.1.0", "--dry-run"]] {
        place
            .refused_upgrade(&target, more)
            .fails(2)
            .says(&["1.1.0", "at version 1.2.0", "state: nothing was changed"])
            .helps(&["backup"]);
    }
}

#[test]
fn a_delta_of_the_version_that_a_fresh_database_has() {
    let target = empty_database("fresh");
    sql(&target, "create table public.a();\nselect ''");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    place
        .pum(&["baseline", "-p", &target.name(), "-t", TABLE, "-b", "1.1.0"])
        .succeeds();
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&["relation \"a\" already exists", "SQLSTATE: 42P07"])
        .helps(&["pum baseline -b 1.1.0 --mark-applied"]);
    // And that is what helps.
    let target = target.name();
    let on = ["-p", &target, "-t", TABLE, "-d", "deltas"];
    place
        .pum(&[&["baseline", "-b", "1.1.0", "--mark-applied"][..], &on].concat())
        .succeeds();
    place.pum(&[&["upgrade"][..], &on].concat()).succeeds();
}
