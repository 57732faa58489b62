//! Every way to name the wrong database that was thought of: refused, and the database as it was.

use std::os::unix::fs::symlink;

use crate::production::forwarded;
use crate::support::{Place, TABLE, contents, database, empty_database, server, sql, text};

/// Names that lead to the same database, by way of what: a place knows the service and the link.
fn aliases(place: &Place, name: &str) -> Vec<String> {
    let socket = server().socket_directory();
    let link = place.path(&format!("link_{name}"));
    symlink(socket, &link).unwrap();
    let port = forwarded();
    let socket = text(socket);
    vec![
        format!("host={socket} user=postgres dbname={name}"),
        format!("host={socket} user=postgres dbname={name} application_name=another connect_timeout=9"),
        format!("host={socket} user=water_other dbname={name}"),
        format!("host={} user=postgres dbname={name}", text(&link)),
        format!("host={socket}/./ user=postgres dbname={name}"),
        format!("postgresql:///{name}?host={}&user=postgres", socket.replace('/', "%2F")),
        format!("postgresql://postgres@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"),
        format!("host=localhost port={port} user=postgres dbname={name} sslmode=disable gssencmode=disable"),
        format!("host=127.0.0.1 port={port} user=water_other dbname={name} sslmode=disable gssencmode=disable"),
        format!("copy_{name}"),
        format!("service=copy_{name}"),
    ]
}

fn services(place: &Place, names: &[&str]) {
    let socket = text(server().socket_directory());
    let services: String = names
        .iter()
        .map(|name| format!("[copy_{name}]\nhost={socket}\nport=5432\nuser=postgres\ndbname={name}\n"))
        .collect();
    place.write(".pg_service.conf", services);
}

#[test]
fn production_and_the_copies_are_told_apart_by_whatever_name() {
    let (production, other) = (database("production"), empty_database("other"));
    sql(
        &production,
        "do $$ begin create role water_other superuser login; exception when duplicate_object then null; end $$;\nselect ''",
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let of = |target| sql(target, "select current_database()");
    services(&place, &[&of(&production), &of(&other)]);
    let before = contents(&production);
    let (named, free) = (production.name(), other.name());
    let mut refused = 0;
    let mut refuse = |command: &[&str], test: Option<&str>, comparison: &str, what: &str| {
        let databases = [&["-pp", &named, "-pc", comparison][..], &["-t", TABLE, "-d", "deltas"]].concat();
        let test = test.map_or(Vec::new(), |test| vec!["-pt", test]);
        place
            .pum(&[command, &databases, &test].concat())
            .fails(3)
            .says(&[what, "production was only read"])
            .helps(&["name another database"]);
        refused += 1;
    };
    let is_production = "the test database is production";
    for alias in aliases(&place, &of(&production)) {
        for command in [&["test"][..], &["test-and-upgrade", "--yes", "--overwrite-test"]] {
            refuse(command, Some(&alias), &free, is_production);
            refuse(command, Some(&free), &alias, "the comparison database is production");
        }
        // Without a test database there is a throw-away server, and a comparison that is wrong all the same.
        refuse(&["test"], None, &alias, "the comparison database is production");
    }
    for alias in aliases(&place, &of(&other)) {
        refuse(
            &["test", "--overwrite-test"],
            Some(&free),
            &alias,
            "the comparison database is the test database",
        );
    }
    assert_eq!(contents(&production), before);
    println!("{refused} wrong targets of rehearsals refused");
    assert!(refused >= 60);
}

#[test]
fn no_backup_goes_into_a_database_that_holds_anything() {
    let source = database("source");
    sql(
        &source,
        "create table public.pipe(id int primary key, name text);\nselect ''",
    );
    let place = Place::new();
    for format in ["custom", "directory", "plain"] {
        place
            .pum(&["dump", "-F", format, "-p", &source.name(), format])
            .succeeds();
    }
    let mut refused = 0;
    for held in [
        "create table public.t()",
        "create view public.v as select 1 as one",
        "create materialized view public.m as select 1 as one",
        "create sequence public.s",
        "create function public.f() returns int language sql as 'select 1'",
        "create procedure public.p() language sql as ''",
        "create type public.e as enum ('a')",
        "create type public.c as (a int)",
        "create domain public.d as int",
        "create schema other; create table other.t()",
        "create table public.parts (a int) partition by list (a)",
        "select lo_create(0)",
    ] {
        let target = empty_database("holding");
        sql(&target, &format!("{held};\nselect ''"));
        let before = contents(&target);
        for (format, more) in [
            ("custom", &[][..]),
            ("custom", &["-x"]),
            ("directory", &["-j", "2"]),
            ("plain", &[]),
        ] {
            place
                .pum(&[&["restore", "-p", &target.name(), format][..], more].concat())
                .fails(3)
                .says(&["is not empty", "nothing was changed"])
                .helps(&["--create"]);
            refused += 1;
        }
        assert_eq!(contents(&target), before, "{held}");
    }
    println!("{refused} wrong targets of restores refused");
}
