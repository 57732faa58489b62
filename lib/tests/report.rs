//! What is left out of a comparison, what it says, and where it must not write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use pum::{Catalog, Connection, Filter, Report, Run, Target, TextOptions, check};

fn database(script: &str) -> Target {
    let target = support::database("report");
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    connection.execute(script).unwrap();
    target
}

fn name(target: &Target) -> String {
    Connection::open(target, &Run::new())
        .unwrap()
        .parameter("dbname")
        .unwrap()
}

fn compare(left: &Target, right: &Target, filter: &Filter) -> Report {
    check(left, right, filter, &Run::new()).unwrap()
}

fn differences(report: &Report) -> Vec<String> {
    report
        .differences()
        .iter()
        .map(|difference| difference.object.to_string())
        .collect()
}

const TABLE: &str = "create schema s; create schema gone; create table s.t (a int, fk_b int, fk_c int); \
     create view s.v as select t.a from s.t, s.t u;";

#[test]
fn kinds_schemas_and_columns_can_be_left_out() {
    let left = database(TABLE);
    let right = database(&format!(
        "{TABLE} create table gone.x (y int); alter table s.t drop fk_b, alter fk_c type bigint, add d int; \
         drop view s.v; create view s.v as select 1 as a;"
    ));
    let all = differences(&compare(&left, &right, &Filter::default()));
    assert_eq!(
        all,
        [
            "table gone.x",
            "column gone.x.y",
            "column s.t.d",
            "column s.t.fk_b",
            "column s.t.fk_c",
            "view s.v"
        ]
    );
    let filter = Filter {
        ignore: vec!["views".parse().unwrap()],
        exclude_schemas: vec!["gone".to_owned()],
        exclude_fields: vec!["fk\\_%".to_owned()],
        ..Filter::default()
    };
    let report = compare(&left, &right, &filter);
    assert_eq!(differences(&report), ["column s.t.d"]);
    let text = report.to_text(&TextOptions::default());
    assert!(
        text.contains("ignored: views\nleft out: schemas gone; columns fk\\_%\n"),
        "{text}"
    );
    for told in [report.to_html(&pum::HtmlOptions::default()), report.to_junit()] {
        assert!(told.contains("schemas gone; columns fk\\_%"), "{told}");
    }
    assert!(
        report.to_json().contains("\"columns\": [\n      \"fk\\\\_%\""),
        "{}",
        report.to_json()
    );
}

#[test]
fn the_table_of_upgrades_is_no_difference() {
    let left = database(
        "create schema s; create table s.info (id serial primary key, version text not null, type int not null, \
         exclude (version with =) where (type = 0)); create index on s.info (version);",
    );
    let right = database("create schema s");
    let filter = |schema: &str, table: &str| Filter {
        upgrades_table: Some((schema.to_owned(), table.to_owned())),
        ..Filter::default()
    };
    assert_eq!(differences(&compare(&left, &right, &filter("s", "info"))), [""; 0]);
    let all = differences(&compare(&left, &right, &filter("s", "information"))).join(", ");
    for part in [
        "table s.info",
        "column s.info.id",
        "sequence s.info_id_seq",
        "index s.info.info_version_idx",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[test]
fn json_has_its_stable_form() {
    let left = database("create table t (a int); create view v as select t.a from t, t u;");
    let right = database("create table t (a bigint); create type e as enum ('x'); create table \"T\" ()");
    let report = compare(&left, &right, &Filter::default());
    let version = support::server().version().to_string();
    let document: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let view = &document["differences"][2];
    assert_eq!(
        (
            &view["kind"],
            &view["change"],
            &view["schema"],
            &view["relation"],
            &view["name"]
        ),
        (
            &"views".into(),
            &"only_left".into(),
            &"public".into(),
            &serde_json::Value::Null,
            &"v".into()
        )
    );
    let mut document = document.clone();
    document["differences"].as_array_mut().unwrap().truncate(2);
    document["differences"][0]["attributes"] = serde_json::json!([]);
    assert_eq!(
        document,
        serde_json::json!({
            "schema": "pum/check/1",
            "same": false,
            "left": {"target": left.to_string(), "server_version": version},
            "right": {"target": right.to_string(), "server_version": version},
            "differences": [
                {"kind": "tables", "schema": "public", "relation": null, "name": "T", "change": "only_right",
                 "attributes": []},
                {"kind": "columns", "schema": "public", "relation": "t", "name": "a", "change": "changed",
                 "attributes": [{"name": "type", "left": "integer", "right": "bigint"}]},
            ],
            "summary": [
                {"schema": "public", "kind": "tables", "only_left": 0, "only_right": 1, "changed": 0},
                {"schema": "public", "kind": "columns", "only_left": 0, "only_right": 0, "changed": 1},
                {"schema": "public", "kind": "views", "only_left": 1, "only_right": 0, "changed": 0},
                {"schema": "public", "kind": "types", "only_left": 0, "only_right": 1, "changed": 0},
            ],
            "more_rows": [],
            "expected": [],
            "expected_and_gone": [],
            "not_counted": [],
            "ignored": [],
            "left_out": {"schemas": [], "objects": [], "columns": [], "upgrades_table": null},
            "not_compared": [],
            "warnings": [],
        })
    );
    let keys: Vec<String> = document.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "schema",
            "same",
            "left",
            "right",
            "summary",
            "differences",
            "more_rows",
            "expected",
            "expected_and_gone",
            "not_counted",
            "ignored",
            "left_out",
            "not_compared",
            "warnings"
        ]
    );
    let same = compare(&left, &left, &Filter::default());
    assert!(same.same() && same.to_json().contains("\"same\": true"));
}

fn body(text: &str) -> &str {
    let begin = text.find("\n\n").unwrap();
    text[begin + 2..].trim_end()
}

#[test]
fn text_is_grouped_and_folded() {
    let left = database(
        "create table a (x int primary key, y serial); create index on a (y); create table t (n int, o text); \
         create function f() returns int language plpgsql as 'begin\n  -- one\n  -- two\n  return 1;\nend';",
    );
    let right = database(
        "create table t (n bigint, o text); comment on table t is 'x'; \
         create function f() returns int language plpgsql as 'begin\n  -- one\n  -- 2\n  return 1;\nend';",
    );
    let report = compare(&left, &right, &Filter::default());
    let text = |verbosity, width| {
        report.to_text(&TextOptions {
            verbosity,
            width,
            color: false,
        })
    };
    let summary = "\
8 differences.

                       only left  only right   changed
  public  tables               1           .         .
          columns              2           .         1
          constraints          1           .         .
          sequences            1           .         .
          indexes              1           .         .
          functions            .           .         1";
    let details = "
public.a
  - table  only left (2 columns, 1 constraint, 1 sequence, 1 index)

public.f()
  ~ function
      body:
          begin
            -- one
        -   -- two
        +   -- 2
            return 1;
          end

public.t
  ~ column n
      type: integer → bigint
";
    let end = "\n1 difference in comments not counted, see --include comments";
    assert_eq!(body(&text(0, 100)), format!("{summary}\n{end}"));
    assert_eq!(body(&text(1, 100)), format!("{summary}\n{details}{end}"));
    assert!(text(1, 20).contains("      type:\n        - integer\n        + bigint\n"));
    let whole = text(2, 100);
    for line in [
        "      kind: table\n",
        "      column x\n        type: integer\n",
        "      index a_y_idx\n",
    ] {
        assert!(whole.contains(line), "{line} in {whole}");
    }
    let coloured = report.to_text(&TextOptions {
        verbosity: 1,
        width: 100,
        color: true,
    });
    assert!(coloured.contains("type: \u{1b}[31minteger\u{1b}[0m → \u{1b}[32mbigint\u{1b}[0m"));
}

#[test]
fn long_texts_are_cut_and_many_rows_are_summed() {
    let function = |name: &str, ends: [&str; 2]| {
        let lines: String = (0..20).map(|number| format!("  -- {number}\n")).collect();
        let [first, last] = ends;
        format!(
            "create function {name}() returns int language plpgsql as \
             'begin\n  -- {first}\n{lines}  -- {last}\n  return 1;\nend';"
        )
    };
    let schemas: String = (0..45).map(|number| format!("create schema s{number};")).collect();
    let tables: String = (0..45)
        .map(|number| format!("create table s{number}.t (a int);"))
        .collect();
    let table = "create table own (a int);";
    let left = format!(
        "{schemas} {table} {} {tables} create sequence q owned by own.a",
        function("f", ["a", "b"])
    );
    let right = format!("{schemas} {table} {}", function("f", ["x", "y"]));
    let report = compare(&database(&left), &database(&right), &Filter::default());
    let text = |verbosity| {
        report.to_text(&TextOptions {
            verbosity,
            ..TextOptions::default()
        })
    };
    let (cut, whole) = (text(1), text(2));
    let middle = "            -- 2\n        ... 14 equal lines\n            -- 17\n";
    assert!(cut.contains(middle), "{cut}");
    assert!(
        whole.contains("            -- 10\n") && !whole.contains("equal lines"),
        "{whole}"
    );
    let line = cut
        .lines()
        .find(|line| line.contains("(all schemas)"))
        .unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["(all", "schemas)", "tables", "45", ".", "."]);
    assert!(cut.contains("\npublic.own\n  - sequence q  only left\n"), "{cut}");
}

#[test]
fn hostile_names_cannot_disturb_the_terminal() {
    let left = database(
        "create table \"a\u{1b}[2J\nb\u{202e}c\u{200b}\r\" (\"x\u{7}\" int); \
         create function f() returns int language plpgsql as 'begin\n--\u{1b}]0;x\u{7}\nend'",
    );
    let right = database("create function f() returns int language plpgsql as 'begin\nend'");
    let report = compare(&left, &right, &Filter::default());
    let text = report.to_text(&TextOptions {
        verbosity: 2,
        width: 100,
        color: false,
    });
    assert!(
        text.contains("public.a\\u{1b}[2J\\nb\\u{202e}c\\u{200b}\\u{d}"),
        "{text}"
    );
    assert!(!text.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}' || c == '\u{200b}'));
    serde_json::from_str::<serde_json::Value>(&report.to_json()).unwrap();
}

#[test]
fn lines_that_are_equal_are_not_told_and_those_that_differ_look_different() {
    let enumeration = |labels: &str| format!("create type rating as enum ({labels});");
    let function = |line: &str| {
        format!("create function f() returns int language plpgsql as E'begin\\n{line}\\n  return 1;\\nend';")
    };
    let left = database(&(enumeration("'G', 'NC-17'") + &function("\\tperform 1;")));
    let right = database(&(enumeration("'G', 'NC-17', 'NC-21'") + &function("    perform 1; ")));
    let report = compare(&left, &right, &Filter::default());
    let text = report.to_text(&TextOptions::default());
    assert!(text.contains("          NC-17\n        + NC-21\n"), "{text}");
    assert!(
        text.contains("        - \\tperform 1;\n        +     perform 1;·\n"),
        "{text}"
    );
    let html = report.to_html(&pum::HtmlOptions::default());
    assert!(html.contains("·") && html.contains("\\t"), "{html}");
    assert!(report.to_junit().contains("+ NC-21"));
}

/// A check whose text changes at the first parse, and the same as a restored dump has it.
const SPELLED: &str = "create table t (v varchar, constraint k check (v in ('a', 'b')))";
const RESPELLED: &str =
    "create table t (v varchar, constraint k check (v::text = any (array['a'::varchar::text, 'b'::varchar::text])))";

fn alter(target: &Target, settings: &str) {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    connection
        .execute(&format!("alter database \"{}\" {settings}", name(target)))
        .unwrap();
}

#[test]
fn where_nobody_may_write_spelling_is_a_remark() {
    let (left, right) = (database(SPELLED), database(RESPELLED));
    assert!(compare(&left, &right, &Filter::default()).same());
    alter(&right, "set default_transaction_read_only = on");
    assert!(
        compare(&left, &right, &Filter::default()).same(),
        "the left side is asked then"
    );
    let mut connection = Connection::open(&left, &Run::new()).unwrap();
    connection
        .execute(
            "create function public.e() returns event_trigger language plpgsql as 'begin raise exception ''no''; end'; \
             create event trigger e on ddl_command_start execute function public.e()",
        )
        .unwrap();
    let filter = Filter {
        ignore: vec!["functions".parse().unwrap()],
        ..Filter::default()
    };
    let report = compare(&left, &right, &filter);
    assert!(!report.same() && report.differences()[0].maybe_spelling);
    assert_eq!(report.warnings().len(), 1);
    for reason in ["transactions are read-only", "event triggers would run"] {
        assert!(report.warnings()[0].contains(reason), "{:?}", report.warnings());
    }
    assert!(report.to_json().contains("\"maybe_spelling\": true"));
    assert!(
        report
            .to_text(&TextOptions::default())
            .contains("~ constraint k  (may be spelling only)")
    );
}

#[test]
fn a_lock_that_keeps_readers_out_is_not_waited_for_without_end() {
    let (left, right) = (database(SPELLED), database(RESPELLED));
    let mut holder = Connection::open(&right, &Run::new()).unwrap();
    holder
        .execute("begin; lock table public.t in access exclusive mode")
        .unwrap();
    alter(&right, "set lock_timeout = '300ms'");
    let error = check(&left, &right, &Filter::default(), &Run::new()).unwrap_err();
    assert_eq!(error.sqlstate(), Some("55P03"));
    assert!(error.hint().unwrap().contains("keeps readers out"), "{error:?}");
}

#[test]
fn nothing_is_left_behind() {
    let (left, right) = (database(SPELLED), database(RESPELLED));
    assert!(compare(&left, &right, &Filter::default()).same());
    for target in [left, right] {
        let mut connection = Connection::open(&target, &Run::new()).unwrap();
        let rows = connection
            .query("select count(*)::text from pg_class where relname like 'pum%'", &[])
            .unwrap();
        assert_eq!(rows.value(0, 0), Some("0"));
    }
}

#[test]
fn a_role_without_privileges_sees_the_same() {
    let script = "create schema s; create table s.t (a int default 1 check (a > 0)); \
         create view s.v as select a from s.t where a in (1, 2); \
         create function s.f() returns int language sql as 'select 1'; create sequence s.q; revoke all on schema s from public;";
    let (left, right) = (database(script), database(script));
    let mut connection = Connection::open(&left, &Run::new()).unwrap();
    connection.execute("create role weak login").unwrap();
    let report = compare(&left.clone().with("user", "weak"), &right, &Filter::default());
    assert!(report.same(), "{}", report.to_text(&TextOptions::default()));
    assert_eq!(report.warnings(), [""; 0]);
}

#[test]
fn a_catalog_is_of_one_moment_and_has_a_fingerprint() {
    let target = database("create table t (a int)");
    let run = Run::new();
    let mut first = Connection::open(&target, &run).unwrap();
    let before = Catalog::read(&mut first, &Filter::default()).unwrap();
    first
        .execute("begin isolation level repeatable read read only")
        .unwrap();
    let exported = first.query("select pg_export_snapshot()", &[]).unwrap();
    let mut other = Connection::open_for_scripts(&target, &run).unwrap();
    other.execute("create table u (b int)").unwrap();
    let mut adopted = Connection::open(&target, &run).unwrap();
    adopted
        .execute(&format!(
            "begin isolation level repeatable read read only; set transaction snapshot '{}'",
            exported.value(0, 0).unwrap()
        ))
        .unwrap();
    let same = Catalog::read(&mut adopted, &Filter::default()).unwrap();
    assert_eq!(same.fingerprint(), before.fingerprint());
    assert_eq!(same.fingerprint().to_string().len(), 64);
    adopted.execute("commit").unwrap();
    let after = Catalog::read(&mut adopted, &Filter::default()).unwrap();
    assert_ne!(after.fingerprint(), before.fingerprint());
    assert!(!pum::Diff::between(&before, &after).is_empty());
    assert_eq!(adopted.transaction_status(), pum::TransactionStatus::Idle);
}

#[test]
fn functions_planted_in_public_are_not_called() {
    let script = "create table t (a int default 1 check (a > 0)); create view v as select a from t; \
         create function pg_get_viewdef(oid) returns text language plpgsql as 'begin raise exception ''hijacked''; end'; \
         create function quote_ident(name) returns text language plpgsql as 'begin raise exception ''hijacked''; end'; \
         create function eq(name, name) returns boolean language plpgsql as 'begin raise exception ''hijacked''; end'; \
         create operator = (leftarg = name, rightarg = name, function = eq);";
    let (left, right) = (database(script), database(script));
    for target in [&left, &right] {
        alter(target, "set search_path = public, pg_catalog");
    }
    assert!(compare(&left, &right, &Filter::default()).same());
}

#[test]
fn objects_may_vanish_while_they_are_read() {
    let target = database("");
    let other = target.clone();
    let worker = std::thread::spawn(move || {
        let mut connection = Connection::open_for_scripts(&other, &Run::new()).unwrap();
        for _ in 0..300 {
            connection
                .execute(
                    "create table x (a serial primary key, b text check (b <> '')); create view y as select a from x",
                )
                .unwrap();
            connection.execute("drop view y; drop table x").unwrap();
        }
    });
    let mut connection = Connection::open(&target, &Run::new()).unwrap();
    while !worker.is_finished() {
        // Reading it may fail when it vanishes every time, and then with a sentence; it must never end otherwise.
        if let Err(error) = Catalog::read(&mut connection, &Filter::default()) {
            assert!(error.message().starts_with("cannot read the catalog of"), "{error}");
            assert_eq!(connection.transaction_status(), pum::TransactionStatus::Idle);
        }
    }
    worker.join().unwrap();
}

#[test]
fn a_renamed_object_is_compared_in_its_classes_too() {
    let table = |name: &str, comment: &str| {
        database(&format!(
            "create table t (a int); alter table t add constraint {name} check (a > 0); \
             comment on constraint {name} on t is '{comment}';"
        ))
    };
    let (left, right) = (table("k1", "one"), table("k2", "two"));
    let mut filter = Filter::default();
    assert!(compare(&left, &right, &filter).same());
    filter.include_words(&["comments"]).unwrap();
    let report = compare(&left, &right, &filter);
    assert_eq!(differences(&report), ["constraint public.t.k1"]);
    assert_eq!(report.differences()[0].attributes[0].right.as_deref(), Some("two"));
}

#[test]
fn a_function_of_ten_megabytes_and_a_view_of_all_columns_are_compared() {
    let columns: Vec<String> = (1..=1600).map(|number| format!("{number} as c{number}")).collect();
    let script = |last: &str| {
        format!(
            "create view v as select {}; create function f() returns text language plpgsql as $f$ begin\n{}return '{last}';\nend $f$",
            columns.join(", "),
            "  -- a line that says nothing\n".repeat(350_000)
        )
    };
    let (left, right) = (database(&script("a")), database(&script("b")));
    let report = compare(&left, &right, &Filter::default());
    assert_eq!(differences(&report), ["function public.f()"]);
    for form in [
        report.to_text(&TextOptions::default()),
        report.to_html(&pum::HtmlOptions::default()),
        report.to_junit(),
    ] {
        assert!(form.len() < 100_000_000, "{}", form.len());
    }
    serde_json::from_str::<serde_json::Value>(&report.to_json()).unwrap();
}
