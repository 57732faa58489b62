//! The rows of lookup tables.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::time::{Duration, Instant};

use pum::{Change, Connection, Error, ErrorKind, Expectations, Filter, Report, Run, Target, TextOptions, check};

fn database(script: &str) -> Target {
    let target = support::database("rows");
    execute(&target, script);
    target
}

fn execute(target: &Target, script: &str) {
    let mut connection = Connection::open_for_scripts(target, &Run::new()).unwrap();
    connection.execute(script).unwrap();
}

fn filter(patterns: &[&str]) -> Filter {
    Filter {
        data: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        ..Filter::default()
    }
}

fn compare(left: &Target, right: &Target, patterns: &[&str]) -> Report {
    check(left, right, &filter(patterns), &Run::new()).unwrap()
}

fn fails(left: &Target, right: &Target, filter: &Filter) -> Error {
    check(left, right, filter, &Run::new()).unwrap_err()
}

/// One line a row: `~ public.t a=1 b: x → y`.
fn rows(report: &Report) -> Vec<String> {
    let differences = report
        .differences()
        .iter()
        .filter(|difference| difference.object.kind == pum::Kind::DATA);
    differences
        .map(|difference| {
            let object = &difference.object;
            let mark = match difference.change {
                Change::OnlyLeft => "-",
                Change::OnlyRight => "+",
                Change::Changed => "~",
            };
            let mut line = format!("{mark} {}.{} {}", object.schema, object.relation, object.name);
            if difference.change == Change::Changed {
                for attribute in &difference.attributes {
                    let value = |value: &Option<String>| value.clone().unwrap_or("null".to_owned());
                    line += &format!(
                        " {}: {} → {}",
                        attribute.name,
                        value(&attribute.left),
                        value(&attribute.right)
                    );
                }
            }
            line
        })
        .collect()
}

/// The rows that differ, which must be all that does, and the same mirrored.
fn only_rows(left: &Target, right: &Target, patterns: &[&str]) -> Vec<String> {
    let report = compare(left, right, patterns);
    let found = rows(&report);
    assert_eq!(found.len(), report.differences().len(), "{}", report.to_json());
    assert_eq!(compare(right, left, patterns).differences().len(), found.len());
    assert!(compare(left, left, patterns).same() && compare(right, right, patterns).same());
    found
}

#[test]
fn rows_are_known_by_their_key() {
    let table = "create schema s; create table s.unit (id int primary key, code text, label text); ";
    let left = database(&format!(
        "{table} insert into s.unit values (1, 'm', 'metre'), (2, 'km', null), (9, 'a', ''), (10, 'b', 'x'), (-3, 'c', 'y')"
    ));
    let right = database(&format!(
        "{table} insert into s.unit values (10, 'b', 'x'), (2, 'km', 'kilometre'), (1, 'm', 'meter'), (9, 'a', null), (11, 'd', 'z')"
    ));
    assert_eq!(
        only_rows(&left, &right, &["s.unit"]),
        [
            "- s.unit id=-3",
            "~ s.unit id=1 label: metre → meter",
            "~ s.unit id=2 label: null → kilometre",
            "~ s.unit id=9 label:  → null",
            "+ s.unit id=11",
        ]
    );
    let report = compare(&left, &right, &["s.*"]);
    let text = report.to_text(&TextOptions {
        verbosity: 2,
        ..TextOptions::default()
    });
    assert!(
        text.contains(
            "s.unit\n  - row id=-3  only left\n      id: -3\n      code: c\n      label: y\n  ~ row id=1\n      label: metre → meter\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("      label: null → kilometre\n") && text.contains("      label: '' → null\n"),
        "{text}"
    );
    assert!(
        text.contains("  s  data                 1           1         3\n"),
        "{text}"
    );
    // Without the option the rows are nobody's business.
    assert!(compare(&left, &right, &[]).same());
    let ignored = Filter {
        ignore: vec![pum::Kind::DATA],
        ..filter(&["s.*"])
    };
    assert!(check(&left, &right, &ignored, &Run::new()).unwrap().same());
}

#[test]
fn a_composite_key_and_any_text_in_it() {
    let table = "create table t (b text collate \"C\", a text, n int, v text, primary key (n, a)); ";
    let values = |values: &[&str]| {
        values
            .iter()
            .map(|value| format!("insert into t values ('x', {value}, 1, 'v');"))
            .collect::<String>()
    };
    let common = [
        "'Z'",
        "'a'",
        "'ä'",
        "'A'",
        "'_'",
        "'a b'",
        "''",
        "E'\\\\'",
        "E'\\t'",
        "E'a\\nb'",
        "E'\\r'",
        "'\u{1f600}'",
        "'\u{ffff}'",
        "'\\N'",
    ];
    let left = database(&(table.to_owned() + &values(&common) + &values(&["'it''s'", "E'one\\ttwo\\\\three\\nfour'"])));
    let mut reversed = common;
    reversed.reverse();
    let right = database(
        &(table.to_owned()
            + &values(&reversed)
            + &values(&["'null'", "'a=1, b=2'"])
            + "insert into t values ('x', 'a', 10, 'v')"),
    );
    assert_eq!(
        only_rows(&left, &right, &["t"]),
        [
            "+ public.t n=1, a='a=1, b=2'",
            "- public.t n=1, a='it''s'",
            "+ public.t n=1, a='null'",
            "- public.t n=1, a='one\ttwo\\three\nfour'",
            "+ public.t n=10, a=a",
        ]
    );
}

#[test]
fn without_a_key_rows_are_compared_whole_and_counted() {
    let left = database(
        "create table t (a int, b text); insert into t values (1, 'x'), (1, 'x'), (1, 'x'), (2, null), (2, ''), (null, null), (5, 'n'), (5, 'n')",
    );
    let right = database(
        "create table t (a int, b text); insert into t values (2, ''), (1, 'x'), (null, ''), (10, 'x'), (null, null), (1, 'x')",
    );
    assert_eq!(
        only_rows(&left, &right, &["t"]),
        [
            "~ public.t a=1, b=x rows: 3 → 2",
            "- public.t a=2, b=null",
            "- public.t a=5, b=n (2 times)",
            "+ public.t a=10, b=x",
            "+ public.t a=null, b=''",
        ]
    );
    let (left, right) = (
        database("create table t (); insert into t default values"),
        database("create table t ()"),
    );
    assert_eq!(only_rows(&left, &right, &["t"]).len(), 1);
}

#[test]
fn every_type_is_compared_as_text_whatever_the_session_is_set_to() {
    let script = "create type mood as enum ('sad', 'happy'); create type pair as (a int, b text); create domain d as text; \
        create table t (id int primary key, f float8, r real, b bytea, j json, jb jsonb, a text[], ts timestamptz, da date, \
        i interval, m money, e mood, p pair, x d, u uuid, n numeric, c char(4), re regclass, g int generated always as (id * 2) stored); \
        insert into t select k, v / 3, v / 7, E'\\\\x00ff5c0a', '{\"a\" : 1}', '{\"b\": [1]}', array['a,\"b\\', null, 'c d'], \
        '2020-07-01 12:00:00.5+02', '2020-12-31', '1 mon 2 days 03:04:05.6', 12.5::numeric::money, 'happy', row(1, 'a b')::pair, 'dom', \
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1.50, 'ab', 'pg_class' from (values (1, 1e0), (2, 1e20)) s (k, v)";
    let (left, right) = (database(script), database(script));
    for (name, value) in [
        ("timezone", "'Asia/Tokyo'"),
        ("datestyle", "'German, DMY'"),
        ("intervalstyle", "iso_8601"),
        ("extra_float_digits", "-5"),
        ("bytea_output", "escape"),
        ("client_encoding", "LATIN1"),
        ("search_path", "public"),
        ("lc_monetary", "'C.UTF-8'"),
    ] {
        let name_of = Connection::open(&right, &Run::new())
            .unwrap()
            .parameter("dbname")
            .unwrap();
        execute(&right, &format!("alter database \"{name_of}\" set {name} = {value}"));
    }
    assert_eq!(only_rows(&left, &right, &["t"]), [""; 0]);
    execute(
        &right,
        "update t set f = f * (1 + 1e-15), b = E'\\\\x00ff5c0b', ts = ts + '1 us', j = '{\"a\": 1}', a[2] = 'NULL' where id = 1",
    );
    let found = only_rows(&left, &right, &["t"]);
    assert_eq!(found.len(), 1);
    for part in [
        "f: 0.33333333333333",
        " b: \\x00ff5c0a → \\x00ff5c0b",
        "ts: 2020-07-01 10:00:00.5+00 → 2020-07-01 10:00:00.500001+00",
        " j: {\"a\" : 1} → {\"a\": 1}",
        ",NULL,\"c d\"} → {\"a,",
    ] {
        assert!(found[0].contains(part), "{part} in {}", found[0]);
    }
}

#[test]
fn keys_of_every_type_are_in_one_order() {
    let (left, right) = (database(""), database(""));
    for (kind, values) in [
        ("smallint", "select k from generate_series(-300, 300) k"),
        ("bigint", "select k * 10000000000 from generate_series(-300, 300) k"),
        (
            "text",
            "select md5(k::text) from generate_series(1, 300) k union all select chr(k) from generate_series(1, 300) k union all select 'é' || chr(k) from generate_series(57500, 130000, 1000) k",
        ),
        (
            "varchar(40)",
            "select chr(65 + k) || chr(97 + k) from generate_series(0, 25) k",
        ),
        ("char(9)", "select md5(k::text)::char(9) from generate_series(1, 300) k"),
        ("uuid", "select md5(k::text)::uuid from generate_series(1, 300) k"),
        ("numeric", "select k / 7.0 from generate_series(-300, 300) k"),
        ("float8", "select k / 7.0 from generate_series(-300, 300) k"),
        (
            "date",
            "select '2000-01-01'::date + k from generate_series(-300, 300) k",
        ),
        (
            "timestamptz",
            "select '2000-01-01'::timestamptz + k * '1 hour'::interval from generate_series(-300, 300) k",
        ),
        (
            "interval",
            "select k * '1 hour'::interval from generate_series(-300, 300) k",
        ),
        (
            "bytea",
            "select decode(md5(k::text), 'hex') from generate_series(1, 300) k",
        ),
        ("text[]", "select array[chr(k), 'a'] from generate_series(1, 300) k"),
        ("inet", "select '10.0.0.0'::inet + k from generate_series(1, 300) k"),
        ("boolean", "values (true), (false)"),
    ] {
        let script = format!(
            "drop table if exists t; create table t (k {kind} primary key, v int); insert into t select k, 1 from ({values}) s (k)"
        );
        execute(&left, &script);
        execute(
            &right,
            &format!(
                "{script} order by random(); delete from t where k = (select k from t order by k offset 1 limit 1); \
                 update t set v = 2 where k = (select k from t order by k limit 1)"
            ),
        );
        assert_eq!(rows(&compare(&left, &right, &["t"])).len(), 2, "{kind}");
        assert!(compare(&right, &right, &["t"]).same(), "{kind}");
    }
}

#[test]
fn columns_and_keys_of_other_types_and_places() {
    let left = database(
        "create table t (id int primary key, a text, b text, l int); insert into t values (9, 'a', 'b', 1), (10, 'c', 'd', 1)",
    );
    let right = database(
        "create table t (r int, b text, a varchar, id bigint primary key); insert into t values (1, 'b', 'a', 9), (1, 'x', 'c', 10)",
    );
    assert_eq!(rows(&compare(&left, &right, &["t"])), ["~ public.t id=10 b: d → x"]);
    let text = database(
        "create table t (id text primary key, a text, b text); insert into t values ('9', 'a', 'b'), ('10', 'c', 'd')",
    );
    assert_eq!(rows(&compare(&left, &text, &["t"])), [""; 0]);
    let mut left_out = filter(&["t"]);
    left_out.exclude_fields = vec!["b".to_owned()];
    assert_eq!(rows(&check(&left, &right, &left_out, &Run::new()).unwrap()), [""; 0]);
    // Without the key's column rows are compared by what they hold.
    left_out.exclude_fields = vec!["id".to_owned(), "b".to_owned()];
    execute(&right, "update t set id = id + 5");
    assert_eq!(rows(&check(&left, &right, &left_out, &Run::new()).unwrap()), [""; 0]);

    let other_key = database(
        "create table t (id int, a text primary key, b text); insert into t values (9, 'a', 'b'), (11, 'c', 'd')",
    );
    let report = compare(&left, &other_key, &["t"]);
    assert_eq!(
        rows(&report),
        ["- public.t id=10, a=c, b=d", "+ public.t id=11, a=c, b=d"]
    );
    assert_eq!(
        report.warnings(),
        ["the rows of public.t were compared whole: the primary keys of both sides are not of the same columns"]
    );
    let no_key =
        database("create table t (id int, a text, b text); insert into t values (9, 'a', 'b'), (10, 'c', 'd')");
    let report = compare(&left, &no_key, &["t"]);
    assert_eq!(
        (rows(&report).len(), report.warnings()),
        (
            0,
            &["the rows of public.t were compared whole: only one side has a primary key".to_owned()][..]
        )
    );
}

#[test]
fn partitions_children_and_what_is_no_table() {
    let script = "create table p (id int primary key, v text) partition by range (id); create table p1 partition of p for values from (0) to (10); \
        create table p2 partition of p for values from (10) to (20); insert into p select k, 'x' from generate_series(0, 19) k; \
        create table parent (a int); create table child () inherits (parent); insert into parent values (1); insert into child values (2); \
        create view v as select 1 as a; create materialized view m as select 1 as a; create table \"T x\".\"A.b\" (i int primary key)";
    let script = format!("create schema \"T x\"; {script}");
    let (left, right) = (database(&script), database(&script));
    execute(
        &right,
        "update p set v = 'y' where id = 15; insert into child values (3); insert into \"T x\".\"A.b\" values (1)",
    );
    assert_eq!(
        only_rows(&left, &right, &["p*", "\"T x\".*", "child"]),
        ["+ T x.A.b i=1", "+ public.child a=3", "~ public.p id=15 v: x → y"]
    );
    assert_eq!(only_rows(&left, &right, &["p2"]), ["~ public.p2 id=15 v: x → y"]);
    let report = compare(&left, &right, &["public.*"]);
    assert_eq!(
        report.warnings(),
        ["only tables have rows to compare: public.m is a materialized view, public.v is a view"]
    );
    for (pattern, why) in [
        ("v", "public.v is a view"),
        ("nothing", "neither side has one"),
        ("p2*", "public.p2 is a partition"),
    ] {
        let error = fails(&left, &right, &filter(&["p", pattern]));
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains(why), "{error}");
    }
    let mut left_out = filter(&["p"]);
    left_out.exclude = vec!["public.*".parse().unwrap()];
    assert!(fails(&left, &right, &left_out).message().contains("is left out"));
}

#[test]
fn a_table_on_one_side_is_told() {
    let left = database("create table t (a int); create table u (a int); insert into u values (1)");
    let right = database("create table t (a int)");
    let report = compare(&left, &right, &["*"]);
    assert_eq!((rows(&report).len(), report.same()), (0, false));
    assert_eq!(
        report.warnings(),
        ["the rows of public.u were not compared: only the left side has such a table"]
    );
    let mut ignoring = filter(&["*"]);
    ignoring.ignore_words(&["tables"]).unwrap();
    let error = fails(&right, &left, &ignoring);
    assert!(
        error.message().contains("public.u") && error.message().contains("only the right side"),
        "{error}"
    );
    // Columns on one side only would go unsaid.
    let mut ignoring = filter(&["t"]);
    ignoring.ignore_words(&["columns"]).unwrap();
    let error = fails(&right, &left, &ignoring);
    assert_eq!(
        error.message(),
        "rows are compared by their columns, and columns are to be ignored"
    );
    let catalog = pum::Catalog::read(&mut Connection::open(&right, &Run::new()).unwrap(), &Filter::default()).unwrap();
    let error = check(&left, &catalog, &filter(&["t"]), &Run::new()).unwrap_err();
    assert_eq!(
        (error.kind(), error.message().contains("snapshot file")),
        (ErrorKind::Usage, true)
    );
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_what_to_do() {
    let script = "create schema s; create table s.t (a int primary key, b text); insert into s.t values (1, 'x')";
    let (left, right) = (database(script), database(script));
    execute(
        &left,
        "do $$ begin create role pum_reader login; exception when duplicate_object or unique_violation then null; end $$",
    );
    let reader = left.clone().with("user", "pum_reader");
    let ignoring = Filter {
        ignore_classes: vec![pum::Class::Privileges],
        ..filter(&["s.t"])
    };
    for grant in [
        "select",
        "grant usage on schema s to pum_reader",
        "grant select (a) on s.t to pum_reader",
    ] {
        if grant != "select" {
            execute(&left, grant);
        }
        let error = fails(&reader, &right, &ignoring);
        assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::Server, Some("42501")));
        assert!(
            error.message().contains("s.t") && error.message().contains("42501"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("grant select on s.t"), "{error:?}");
    }
    execute(&left, "grant select on s.t to pum_reader");
    assert_eq!(rows(&check(&reader, &right, &ignoring, &Run::new()).unwrap()), [""; 0]);
    execute(&left, "alter table s.t enable row level security");
    let error = fails(&right, &reader, &ignoring);
    assert!(error.hint().unwrap().contains("BYPASSRLS"), "{error:?}");
    assert_eq!(rows(&check(&left, &right, &ignoring, &Run::new()).unwrap()), [""; 0]);
}

#[test]
fn nothing_planted_is_called() {
    let trap = "create function trap() returns text language plpgsql as $$ begin raise exception 'hijacked'; end $$; ";
    let script = "create type e as enum ('b', 'a'); create type c as (x int); create table t (k e, n numeric, c c, v text, primary key (k, n)); \
        insert into t values ('a', 1, row(1), 'x'), ('b', 2, row(2), 'y'); create table whole (k e, c c, v text); insert into whole values ('a', row(1), 'x'); \
        create function f(e) returns text language plpgsql as $$ begin raise exception 'hijacked'; end $$; create cast (e as text) with function f(e) as implicit; \
        create function f(c) returns text language plpgsql as $$ begin raise exception 'hijacked'; end $$; create cast (c as text) with function f(c) as implicit; \
        create function concat(e) returns text language plpgsql as $$ begin raise exception 'hijacked'; end $$; \
        create function concat(numeric) returns text language plpgsql as $$ begin raise exception 'hijacked'; end $$; \
        create function num_nulls(e) returns int language plpgsql as $$ begin raise exception 'hijacked'; end $$; \
        create function lt(text, text) returns boolean language plpgsql as $$ begin raise exception 'hijacked'; end $$; \
        create operator < (leftarg = text, rightarg = text, function = lt); \
        create function lt(e, e) returns boolean language plpgsql as $$ begin raise exception 'hijacked'; end $$; \
        create operator < (leftarg = e, rightarg = e, function = lt); \
        create operator = (leftarg = oid, rightarg = oid, function = oideq_trap)";
    let script = script.replace("create operator = (leftarg = oid, rightarg = oid, function = oideq_trap)", 
        "create function oideq(oid, oid) returns boolean language plpgsql as $$ begin raise exception 'hijacked'; end $$; create operator = (leftarg = oid, rightarg = oid, function = oideq)");
    let (left, right) = (
        database(&format!("{trap}{script}")),
        database(&format!("{trap}{script}")),
    );
    for target in [&left, &right] {
        let name = Connection::open(target, &Run::new())
            .unwrap()
            .parameter("dbname")
            .unwrap();
        execute(
            target,
            &format!("alter database \"{name}\" set search_path = public, pg_catalog"),
        );
    }
    assert_eq!(only_rows(&left, &right, &["t", "whole"]), [""; 0]);
}

#[test]
fn an_index_cannot_run_somebody_elses_function() {
    let roles = "do $$ begin create role pum_trap login; exception when duplicate_object or unique_violation then null; end $$; ";
    let script = format!(
        "{roles} create table own (id int primary key, v text); create index on own (lower(v)); \
         create function mine(text) returns text language plpgsql immutable as 'begin return $1; end'; create index on own (mine(v)); \
         create schema pum_trap authorization pum_trap; set role pum_trap; \
         create function pum_trap.f(int) returns int language plpgsql immutable as $$ begin \
             if current_user <> 'pum_trap' then raise exception 'hijacked'; end if; return 1; end $$; \
         create table pum_trap.plain (id int primary key, c int check (pum_trap.f(1) = 1), d int default pum_trap.f(2)); \
         create table pum_trap.p (id int primary key) partition by range (id); \
         create table pum_trap.p1 partition of pum_trap.p (check (id > pum_trap.f(1))) for values from (2) to (9); \
         create table pum_trap.i (id int primary key, v int); create index on pum_trap.i ((v + pum_trap.f(1))); \
         create table pum_trap.s (id int primary key, v int); create index on pum_trap.s (v) where pum_trap.f(1) = 1; \
         create table pum_trap.q (id int, v int) partition by range (id); create table pum_trap.q1 partition of pum_trap.q for values from (2) to (9); \
         create index on pum_trap.q1 ((v + pum_trap.f(1))); insert into pum_trap.p values (3);"
    );
    let (left, right) = (database(&script), database(&script));
    assert_eq!(
        rows(&compare(&left, &right, &["own", "pum_trap.p", "pum_trap.plain"])),
        [""; 0]
    );
    for table in ["i", "s", "q"] {
        let pattern = format!("pum_trap.{table}");
        let error = fails(&left, &right, &filter(&[&pattern]));
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(
            error.message().contains(&pattern) && error.message().contains("pum_trap.f(integer)"),
            "{error}"
        );
        let owner = |target: &Target| target.clone().with("user", "pum_trap");
        assert_eq!(rows(&compare(&owner(&left), &owner(&right), &[&pattern])), [""; 0]);
    }
}

#[test]
fn what_differs_is_told_up_to_a_limit_and_counted_beyond() {
    let table = "create table t (id int primary key, v text); ";
    let left = database(&format!(
        "{table} insert into t select k, 'x' from generate_series(1, 100000) k"
    ));
    let right = database(&format!(
        "{table} insert into t select k, case when k % 2 = 0 then 'x' else 'y' end from generate_series(101, 100100) k order by k desc"
    ));
    let report = compare(&left, &right, &["t"]);
    assert_eq!(report.differences().len(), 1000);
    let more = &report.more_rows()[0];
    assert_eq!((more.only_left, more.only_right, more.changed), (0, 100, 49_050));
    assert!(!report.same() && !report.behaves_the_same());
    let text = report.to_text(&TextOptions::default());
    assert!(text.contains("50150 differences.\n"), "{text}");
    assert!(
        text.contains("warning: 49150 more rows of public.t differ than are listed: 100 only right, 49050 changed\n"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(
        json["more_rows"][0],
        serde_json::json!({"schema": "public", "relation": "t", "only_left": 0, "only_right": 100, "changed": 49050})
    );
    assert_eq!(json["summary"][0]["changed"], 49_950);

    // Long values are cut, and still told apart.
    let long = |end: &str| {
        database(&format!(
            "create table t (k text primary key, v text); insert into t values (repeat('k', 20000), repeat('ä', 200000) || '{end}')"
        ))
    };
    let report = compare(&long("a"), &long("b"), &["t"]);
    let difference = &report.differences()[0];
    let [left, right] =
        [&difference.attributes[0].left, &difference.attributes[0].right].map(|value| value.clone().unwrap());
    assert!(
        left != right && left.len() < 21_000 && left.contains("(400001 bytes, sha256 "),
        "{}",
        left.len()
    );
    assert!(difference.object.name.len() < 200, "{}", difference.object.name);
    let empty = database("create table t (k text primary key, v text)");
    assert_eq!(rows(&compare(&empty, &long("a"), &["t"])).len(), 1);
}

#[test]
fn rows_can_be_expected() {
    let table = "create table t (id int primary key, v text); create table w (a int); ";
    let left = database(&format!(
        "{table} insert into t select k, 'x' from generate_series(1, 3000) k; insert into w values (1), (1), (2)"
    ));
    let right = database(&format!(
        "{table} insert into t values (1, 'x'), (2, 'y'), (5000, 'z'); insert into w values (1)"
    ));
    let some = database(&format!(
        "{table} insert into t select k, 'x' from generate_series(1, 20) k; insert into w values (1), (1), (2)"
    ));
    let known = Expectations::of(
        compare(&some, &right, &["t", "w"]).differences(),
        &Expectations::default(),
    );
    assert_eq!(known.len(), 22);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), known.to_json()).unwrap();
    let expecting = Filter {
        expected: Expectations::read(file.path()).unwrap(),
        ..filter(&["t", "w"])
    };
    let report = check(&some, &right, &expecting, &Run::new()).unwrap();
    assert!(report.same(), "{}", report.to_json());
    assert_eq!((report.expected().len(), report.expected_and_gone().len()), (22, 0));
    // What is known takes no place among what is told.
    let report = check(&left, &right, &expecting, &Run::new()).unwrap();
    assert_eq!(
        (
            report.differences().len(),
            report.expected().len(),
            report.more_rows()[0].only_left
        ),
        (1000, 22, 1980)
    );
    execute(&some, "update t set v = 'other' where id = 2; insert into w values (2)");
    let report = check(&some, &right, &expecting, &Run::new()).unwrap();
    assert_eq!(
        rows(&report),
        ["~ public.t id=2 v: other → y", "- public.w a=2 (2 times)"]
    );
    // The row that differs otherwise is news, and not gone.
    let gone: Vec<String> = report.expected_and_gone().iter().map(ToString::to_string).collect();
    assert_eq!(gone, ["row public.w.a=2"]);
}

#[test]
fn a_cancelled_run_stops_at_once() {
    let script = "create table t (id int primary key, v text); insert into t select k, repeat('x', 1000) from generate_series(1, 300000) k; \
        create table w (v text); insert into w select md5(k::text) from generate_series(1, 500000) k";
    let (left, right) = (
        database(script),
        database("create table t (id int primary key, v text); create table w (v text)"),
    );
    for pattern in ["t", "w"] {
        for delay in [100, 400, 900] {
            let run = Run::new();
            let cancel = run.cancel().clone();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(delay));
                cancel.cancel();
                Instant::now()
            });
            let outcome = check(&left, &right, &filter(&[pattern]), &run);
            let ended = Instant::now();
            let cancelled = thread.join().unwrap();
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                assert!(ended.saturating_duration_since(cancelled) < Duration::from_secs(3));
            }
        }
    }
}

#[test]
fn what_changes_meanwhile_never_looks_the_same() {
    let script = "create table a (id int primary key, v text); create table b (id int primary key, v text); insert into a select k, repeat('x', 100) from generate_series(1, 200000) k; insert into b values (1, 'x')";
    for change in [
        "truncate b",
        "alter table b drop v",
        "drop table b",
        "alter table b alter id type bigint",
    ] {
        let (left, right) = (database(script), database(script));
        // A lock on the table before it holds the comparison between its snapshot and the table.
        let mut holder = Connection::open(&left, &Run::new()).unwrap();
        let run = Run::new();
        let outcome = std::thread::scope(|scope| {
            let (left, right) = (&left, &right);
            let mut catalog = filter(&["a", "b"]);
            catalog.ignore_words(&["indexes", "constraints"]).unwrap();
            holder
                .execute("begin; lock table public.a in access exclusive mode")
                .unwrap();
            let checking = scope.spawn(move || check(left, right, &catalog, &run));
            let begun = Instant::now();
            loop {
                let waits = holder
                    .query(
                        "select count(*)::text from pg_locks where not granted and relation = 'public.a'::regclass",
                        &[],
                    )
                    .unwrap();
                if waits.value(0, 0) == Some("1") {
                    break;
                }
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "the comparison does not get there"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            execute(left, change);
            holder.execute("commit").unwrap();
            checking.join().unwrap()
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server);
        assert!(
            error.message().contains("public.b") && error.hint().unwrap().contains("try again"),
            "{change}: {error:?}"
        );
    }
}

#[test]
fn other_encodings_are_compared_too() {
    let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
    let script = "create table t (k text primary key, v text); insert into t select chr(k), 'v' from generate_series(1040, 1103) k; insert into t values ('€', 'é'), ('z', 'é')";
    let left = database(&script.replace("'é'", "'e'"));
    connection
        .execute("create database rows_cyrillic encoding 'KOI8R' lc_collate 'C' lc_ctype 'C' template template0")
        .unwrap();
    let right = support::server().target("rows_cyrillic");
    // No euro in it.
    execute(
        &right,
        "create table t (k text primary key, v text); insert into t select convert_from(decode(to_hex(k), 'hex'), 'KOI8R'), 'v' from generate_series(192, 255) k; insert into t values ('z', 'e')",
    );
    assert_eq!(rows(&compare(&left, &right, &["t"])), ["- public.t k='€'"]);
}
