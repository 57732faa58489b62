//! Hostile texts in every place that a database or a folder of deltas offers, and every way in which they come out.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use pum::{Target, quote_identifier};
use serde_json::Value;

use crate::support::{Ended, Place, TABLE, database, empty_database, sql};

/// Each fits into a name of PostgreSQL.
const PAYLOADS: [&str; 46] = [
    // What a terminal acts on: C0, C1, DEL.
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\link",
    "\u{9b}31m",
    "\u{90}q\u{9c}",
    "\u{85}next",
    "\x07bell",
    "\x08\x08back",
    "a\rover",
    "a\nerror: forged",
    "a\r\nb",
    "\x0bvt\x0cff",
    "\x7fdel",
    "\ttab",
    // What turns, hides or breaks what is read.
    "\u{202e}rtl",
    "\u{2066}isolate\u{2069}",
    "\u{200b}zero",
    "\u{2028}line",
    "\u{feff}mark",
    "\u{e0041}tag",
    // A page.
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=2>",
    "\"><svg onload=window.pwned=3>",
    "' onmouseover='window.pwned=4",
    "</style><b>",
    "</script><script>window.pwned=5</script>",
    "<!--",
    "-->",
    "javascript:alert(1)",
    "{{ 7*7 }} ${7*7}",
    // XML and JSON.
    "]]><x/>",
    "&lt;i&gt;&#x3c;&xxe;",
    "<?xml version='1.0'?>",
    "{\"a\":1}",
    "\"},{\"forged\":true",
    // SQL, shells, files, formulas, formats.
    "'; drop table public.canary; --",
    "\"; drop table public.canary; --",
    "\\'; drop table public.canary; --",
    "$$; drop table public.canary; $$",
    "*/ drop table public.canary; /*",
    "\\",
    "../../../etc/passwd",
    "`id` $(id); id",
    "=cmd|'/c calc'!A0",
    "%s%n %1$s :var",
    "null\u{fffd}\u{fffe}",
];

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A schema, a table, a column, a constraint, a function and comments for each text.
fn script(texts: &[String], of_type: &str, comment: &str) -> String {
    let mut script = String::from("create table public.canary (id int);\n");
    for payload in texts {
        let name = quote_identifier(payload);
        let said = literal(&format!("{payload}{comment}"));
        script.push_str(&format!(
            "create schema {name}; create table {name}.{name} ({name} {of_type}, keep int constraint {name} check (keep > 0));
             comment on schema {name} is {said}; comment on column {name}.{name}.{name} is {said};
             comment on constraint {name} on {name}.{name} is {said};
             create function {name}.{name}() returns text language sql as {};\n",
            literal(&format!("select {}", literal(&format!("{payload}{of_type}")))),
        ));
    }
    script
}

fn filled(target: &Target, of_type: &str, comment: &str) {
    let texts = PAYLOADS.map(str::to_owned);
    sql(target, &format!("{};\nselect ''", script(&texts, of_type, comment)));
}

/// The same with as many texts that mean nothing.
fn filled_harmlessly(target: &Target, of_type: &str, comment: &str) {
    let texts: Vec<String> = (0..PAYLOADS.len())
        .map(|number| format!("name {number}\nline"))
        .collect();
    sql(target, &format!("{};\nselect ''", script(&texts, of_type, comment)));
}

/// Nothing that a terminal acts on, and nothing that turns or hides what is read.
fn harmless(what: &str, text: &str) {
    let bad = text.chars().find(|&character| {
        character.is_control() && !matches!(character, '\n' | '\t')
            || matches!(
                character,
                '\u{200b}' | '\u{2028}' | '\u{202e}' | '\u{2066}' | '\u{2069}' | '\u{feff}' | '\u{e0041}'
            )
    });
    assert_eq!(
        bad,
        None,
        "in {what}: {:?}",
        bad.and_then(|bad| text.lines().find(|line| line.contains(bad)))
    );
    let forged = text.lines().find(|line| line.starts_with("error: forged"));
    assert_eq!(forged, None, "in {what}");
}

/// A command that was done, and whose words are harmless.
fn done(ended: &Ended) {
    assert_eq!(ended.code, 0, "{ended:#?}");
    silent(ended);
}

fn silent(ended: &Ended) {
    harmless("the standard output", &ended.stdout);
    harmless("the standard error", &ended.stderr);
}

/// What a parser that is not ours finds in a page or in XML: each element with the names of its attributes.
fn elements(place: &Place, file: &str) -> BTreeSet<String> {
    let parser = r#"
import sys, html.parser, xml.etree.ElementTree as tree
found = set()
class Page(html.parser.HTMLParser):
    def handle_starttag(self, tag, attributes):
        found.add(" ".join([tag] + sorted(name for name, _ in attributes if name != "open")))
    handle_startendtag = handle_starttag
text = open(sys.argv[1], encoding="utf-8").read()
if sys.argv[1].endswith(".xml"):
    for element in tree.fromstring(text).iter():
        found.add(" ".join([element.tag] + sorted(element.attrib)))
else:
    page = Page()
    page.feed(text)
    page.close()
print("\n".join(sorted(found)))
"#;
    let output = Command::new("python3")
        .args(["-c", parser])
        .arg(place.path(file))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{file}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Every element of a page of ours is one of those that a harmless page has.
fn holds_no_more(place: &Place, hostile: &str, harmless: &str) {
    let more: Vec<String> = elements(place, hostile)
        .difference(&elements(place, harmless))
        .cloned()
        .collect();
    assert_eq!(more, [""; 0], "{hostile}");
}

/// Every text of a document.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                texts(value, found);
            }
        }
        _ => {}
    }
}

fn read(place: &Place, file: &str) -> String {
    fs::read_to_string(place.path(file)).unwrap()
}

/// Whether it is JSON in which each payload stands as it is.
fn whole(what: &str, json: &str) {
    let document: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut found = BTreeSet::new();
    texts(&document, &mut found);
    for payload in PAYLOADS {
        let there = found.contains(payload) || found.iter().any(|text| text.contains(payload));
        assert!(there, "{payload:?} is not in {what}");
    }
}

fn canary(target: &Target) {
    assert_eq!(
        sql(target, "select count(*) from pg_class where relname = 'canary'"),
        "1"
    );
}

#[test]
fn hostile_texts_come_out_of_check_as_text() {
    let (left, right) = (empty_database("inject"), empty_database("inject"));
    filled(&left, "int", " one");
    filled(&right, "bigint", " two");
    let (plain_left, plain_right) = (empty_database("plain"), empty_database("plain"));
    filled_harmlessly(&plain_left, "int", " one");
    filled_harmlessly(&plain_right, "bigint", " two");
    let place = Place::new();
    let (left_name, right_name) = (left.name(), right.name());
    let check = |more: &[&str]| {
        let words = ["check", "-p1", &left_name, "-p2", &right_name, "--include", "all"];
        let ended = place.pum(&[&words[..], more].concat());
        assert_eq!(ended.code, 1, "{ended:#?}");
        silent(&ended);
        ended
    };
    for level in ["0", "1", "2"] {
        check(&["-v", level]);
    }
    whole("check --format json", &check(&["--format", "json"]).stdout);
    for form in ["html", "xml", "json", "txt"] {
        let file = format!("hostile.{form}");
        check(&["-o", &file]);
        harmless(&file, &read(&place, &file));
        let harmless = format!("harmless.{form}");
        let names = (plain_left.name(), plain_right.name());
        let words = [
            "check",
            "-p1",
            &names.0,
            "-p2",
            &names.1,
            "--include",
            "all",
            "-o",
            &harmless,
        ];
        assert_eq!(place.pum(&words).code, 1);
        if matches!(form, "html" | "xml") {
            holds_no_more(&place, &file, &harmless);
        }
    }
    whole("the report", &read(&place, "hostile.json"));
    let page = read(&place, "hostile.html");
    for payload in PAYLOADS
        .iter()
        .filter(|payload| payload.contains('<') && payload.len() > 4)
    {
        assert!(!page.contains(payload), "{payload} stands in the page as it is");
    }

    // As files that are read again they are the same.
    done(&place.pum(&["snapshot", "-p", &left_name, "-o", "left.json"]));
    whole("the snapshot", &read(&place, "left.json"));
    let all = ["check", "-p1", &left_name, "-p2", "left.json", "--include", "all"];
    done(&place.pum(&all));
    let known = ["check", "-p1", &left_name, "-p2", &right_name, "--include", "all"];
    done(&place.pum(&[&known[..], &["--write-expected", "known.json"]].concat()));
    done(&place.pum(&[&known[..], &["--expect", "known.json"]].concat()));
    for target in [&left, &right] {
        canary(target);
    }
}

#[test]
fn hostile_names_are_dumped_and_restored_as_names() {
    let source = empty_database("inject");
    filled(&source, "int", "");
    let place = Place::new();
    for format in ["custom", "directory", "plain"] {
        let file = format!("hostile.{format}");
        done(&place.pum(&["dump", "-F", format, "-p", &source.name(), &file]));
        for jobs in if format == "directory" { &["1", "2"][..] } else { &["1"] } {
            let target = empty_database("restored");
            done(&place.pum(&["restore", "-j", jobs, "-p", &target.name(), &file]));
            let words = [
                "check",
                "-p1",
                &source.name(),
                "-p2",
                &target.name(),
                "--include",
                "all",
            ];
            done(&place.pum(&words));
            canary(&target);
        }
    }
    canary(&source);
}

#[test]
fn hostile_texts_come_out_of_an_upgrade_as_text() {
    let production = database("inject");
    let expected = empty_database("inject");
    filled(&production, "int", "");
    filled(&expected, "bigint", "");
    let mut delta = String::new();
    for payload in PAYLOADS {
        let name = quote_identifier(payload);
        let said = literal(payload);
        delta.push_str(&format!(
            "alter table {name}.{name} alter {name} type bigint;\n\
             do $raise$ begin raise notice '%', {said}; raise warning '%', {said}; end $raise$;\n\
             create or replace function {name}.{name}() returns text language sql as {};\n",
            literal(&format!("select {}", literal(&format!("{payload}bigint")))),
        ));
    }
    let place = Place::with_deltas(&[("delta_1.1.0_hostile.sql", &delta)]);
    // Rows of the upgrades table as another program could have written them.
    for payload in PAYLOADS {
        let said = literal(payload);
        sql(
            &production,
            &format!(
                "insert into {TABLE} (version, description, type, script, checksum, installed_by, execution_time, success)
                 values ('0.9.0', {said}, 8, {said}, '', {said}, 1, true);\nselect ''"
            ),
        );
    }
    let (name, new) = (production.name(), expected.name());
    let on = ["-t", TABLE, "-d", "deltas"];
    let run = |words: &[&str]| {
        let ended = place.pum(&[words, &on[..]].concat());
        silent(&ended);
        ended
    };
    run(&["info", "-p", &name]).succeeds();
    whole(
        "info --format json",
        &run(&["info", "-p", &name, "--format", "json"]).succeeds().stdout,
    );
    run(&["upgrade", "-p", &name, "--dry-run"]);
    let dry = run(&["upgrade", "-p", &name, "--dry-run", "--format", "json"]).stdout;
    serde_json::from_str::<Value>(&dry).unwrap();
    let rehearsed = [
        "test",
        "-pp",
        &name,
        "-pc",
        &new,
        "-vv",
        "--save",
        "hostile.json",
        "--report",
        "hostile.html",
    ];
    assert_eq!(run(&rehearsed).code, 0);
    let file = read(&place, "hostile.json");
    whole("the rehearsal", &file);
    harmless("the page of the rehearsal", &read(&place, "hostile.html"));
    let page = read(&place, "hostile.html");
    for payload in PAYLOADS
        .iter()
        .filter(|payload| payload.contains('<') && payload.len() > 4)
    {
        assert!(!page.contains(payload), "{payload} stands in the page as it is");
    }
    // The file is believed as it was written.
    let ended = run(&["upgrade", "-p", &name, "-vv", "--rehearsal", "hostile.json"]);
    assert_eq!(ended.code, 0, "{ended:#?}");
    assert_eq!(
        sql(&production, &format!("select max(version) from {TABLE} where success")),
        "1.1.0"
    );
    canary(&production);
    canary(&expected);
}
