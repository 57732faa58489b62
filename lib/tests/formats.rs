//! What a report looks like to programs: JSON by its schema, JUnit XML, and the escapes of the page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::time::Instant;

use pum::{Connection, Filter, HtmlOptions, Report, Run, Target, check};
use serde_json::Value;

fn database(script: &str) -> Target {
    let target = support::database("formats");
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    connection.execute(script).unwrap();
    target
}

fn compare(left: &str, right: &str, filter: &Filter) -> Report {
    check(&database(left), &database(right), filter, &Run::new()).unwrap()
}

const LEFT: &str = "create schema s; create table s.t (a int, b text); create view s.v as select a from s.t; \
    create table s.\"<&\u{1}\u{1b}[31m]]>\u{fffe}\" (a int); comment on table s.t is 'x';
    create function s.f() returns int language plpgsql as 'begin\n  return 1;\nend'";
const RIGHT: &str = "create schema s; create table s.t (a bigint, b text not null); create extension plpgsql_x";

fn report() -> Report {
    let right = RIGHT.replace("; create extension plpgsql_x", "");
    compare(LEFT, &right, &Filter::default())
}

/// Says where a document is not as a schema wants it, for the words that the schema of reports uses.
fn violations(document: &Value, schema: &Value, root: &Value, place: &str, found: &mut Vec<String>) {
    for (word, wanted) in schema.as_object().unwrap() {
        let wrong = match word.as_str() {
            "$ref" => {
                let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                violations(document, &root["$defs"][name], root, place, found);
                false
            }
            "type" => {
                let name = match document {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                wanted != name && !wanted.as_array().is_some_and(|names| names.contains(&name.into()))
            }
            "const" => document != wanted,
            "enum" => !wanted.as_array().unwrap().contains(document),
            "minimum" => document.as_u64() < wanted.as_u64(),
            "required" => {
                let names = wanted.as_array().unwrap();
                names.iter().any(|name| document.get(name.as_str().unwrap()).is_none())
            }
            "properties" => {
                let known = wanted.as_object().unwrap();
                for (name, value) in document.as_object().into_iter().flatten() {
                    match known.get(name) {
                        Some(schema) => violations(value, schema, root, &format!("{place}.{name}"), found),
                        None => found.push(format!("{place}.{name} is not described")),
                    }
                }
                false
            }
            "items" => {
                for (number, value) in document.as_array().into_iter().flatten().enumerate() {
                    violations(value, wanted, root, &format!("{place}[{number}]"), found);
                }
                false
            }
            "oneOf" => {
                let fits = |schema: &&Value| {
                    let mut found = Vec::new();
                    violations(document, schema, root, place, &mut found);
                    found.is_empty()
                };
                wanted.as_array().unwrap().iter().filter(fits).count() != 1
            }
            "$schema" | "$defs" | "title" | "description" | "format" => false,
            other => panic!("the schema has a word that this test does not know: {other}"),
        };
        if wrong {
            found.push(format!("{place} against {word} {wanted}"));
        }
    }
}

#[test]
fn json_is_as_its_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../check.schema.json")).unwrap();
    let report = report();
    assert!(!report.not_counted().is_empty());
    let document: Value = serde_json::from_str(&report.to_json()).unwrap();
    let mut found = Vec::new();
    violations(&document, &schema, &schema, "report", &mut found);
    assert_eq!(found, [""; 0]);

    // The check itself sees what is wrong.
    for (pointer, value) in [
        ("/same", Value::Null),
        ("/schema", "pum/check/2".into()),
        ("/differences/0/change", "other".into()),
        ("/differences/0/attributes", Value::Null),
        ("/summary/0", serde_json::json!({})),
    ] {
        let mut document = document.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        let mut found = Vec::new();
        violations(&document, &schema, &schema, "report", &mut found);
        assert_ne!(found, [""; 0], "{pointer}");
    }
}

#[test]
fn junit_has_a_case_for_each_difference_and_for_each_kind_without() {
    let report = report();
    let xml = report.to_junit();
    assert!(
        !xml.contains(|c: char| c.is_control() && c != '\n' || c == '\u{fffe}'),
        "{xml}"
    );
    let junit = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!(junit.failures, report.differences().len());
    assert!(junit.tests > junit.failures + 1);
    let suite = |name: &str| {
        junit
            .test_suites
            .iter()
            .find(|suite| suite.name.as_str() == name)
            .unwrap()
    };
    let tables = suite("tables");
    assert_eq!(tables.failures, 1);
    let name = tables.test_cases[0].name.as_str();
    assert_eq!(name, "table s.<&\\u{1}\\u{1b}[31m]]>\\u{fffe}");
    let columns = format!("{:?}", suite("columns"));
    for text in ["changed: type", "type: integer → bigint", "column s.t.a"] {
        assert!(columns.contains(text), "{text} in {columns}");
    }
    let views = format!("{:?}", suite("views"));
    assert!(views.contains("only left") && views.contains("SELECT"), "{views}");
    let rules = suite("rules");
    assert_eq!((rules.tests, rules.failures), (1, 0));
    assert!(xml.contains("1 difference in comments not counted"), "{xml}");

    let filter = Filter {
        ignore: vec!["views".parse().unwrap()],
        ..Filter::default()
    };
    let same = compare(LEFT, LEFT, &filter);
    let junit = quick_junit::Report::deserialize_from_str(&same.to_junit()).unwrap();
    assert!(junit.failures == 0 && junit.tests > 5);
    assert!(junit.test_suites.iter().all(|suite| suite.name.as_str() != "views"));
}

#[test]
fn expected_differences_are_told_in_every_form() {
    let report = report();
    let known = pum::Expectations::of(&report.differences()[..1], &pum::Expectations::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), known.to_json()).unwrap();
    let filter = Filter {
        expected: pum::Expectations::read(file.path()).unwrap(),
        ..Filter::default()
    };
    let other = compare(LEFT, &RIGHT.replace("; create extension plpgsql_x", ""), &filter);
    assert_eq!(other.differences().len() + 1, report.differences().len());
    let junit = quick_junit::Report::deserialize_from_str(&other.to_junit()).unwrap();
    let skipped: usize = junit.test_suites.iter().map(|suite| suite.skipped).sum();
    assert_eq!(skipped, 1);
    let html = other.to_html(&HtmlOptions::default());
    for text in ["1 known", "Expected differences", "Differences by habit", "comments"] {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn the_page_of_equal_databases_says_so_without_a_script() {
    let report = compare(LEFT, LEFT, &Filter::default());
    let html = report.to_html(&HtmlOptions::default());
    assert!(html.contains("<h1 class=\"same\">No differences</h1>") && !html.contains("<script"));
}

#[test]
fn ten_thousand_differences_are_written_in_linear_time() {
    let empty = database("");
    let time = |count: usize| {
        let left = database(
            &(0..7)
                .map(|number| format!("create schema s{number};"))
                .collect::<String>(),
        );
        let mut connection = Connection::open_for_scripts(&left, &Run::new()).unwrap();
        let of = |number: usize| format!("create table s{}.t{number} (a int, b int default 1);", number % 7);
        // One transaction for all would need more locks than a server has room for.
        for from in (0..count).step_by(500) {
            let script: String = (from..from + 500).map(of).collect();
            connection.execute(&script).unwrap();
        }
        let report = check(&left, &empty, &Filter::default(), &Run::new()).unwrap();
        assert!(report.differences().len() >= 3 * count);
        let start = Instant::now();
        let html = report.to_html(&HtmlOptions::default());
        let spent = start.elapsed();
        assert!(html.len() < 3_000 * count, "{} bytes", html.len());
        spent
    };
    let (few, many) = (time(500), time(4000));
    assert!(
        many < 30 * few.max(std::time::Duration::from_millis(20)),
        "{few:?} and {many:?}"
    );
}
