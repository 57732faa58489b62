//! Snapshot files: written, read, compared, and refused when they are not what was written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use pum::{Catalog, Connection, ErrorKind, Expectations, Filter, Report, Run, Target, TextOptions, check};

const WATER: &str = "create schema water; \
     create table water.pipe (id serial primary key, material varchar check (material in ('steel', 'cast iron')), note text); \
     create view water.steel as select pipe.id from water.pipe, water.pipe other where pipe.material in ('steel', 'x'); \
     comment on table water.pipe is E'one\\ntwo \"three\" \\\\ ü'; grant select on water.pipe to public;";

fn database(script: &str) -> Target {
    let target = support::database("snapshot");
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    connection.execute(script).unwrap();
    target
}

fn read(target: &Target) -> Catalog {
    Catalog::read(&mut Connection::open(target, &Run::new()).unwrap(), &Filter::default()).unwrap()
}

fn saved(target: &Target, directory: &Path) -> PathBuf {
    let file = directory.join("water.json");
    read(target).save(&file).unwrap();
    file
}

fn everything() -> Filter {
    let mut filter = Filter::default();
    filter.include_words(&["all"]).unwrap();
    filter
}

fn objects(report: &Report) -> Vec<String> {
    let name = |difference: &pum::Difference| difference.object.to_string();
    report.differences().iter().map(name).collect()
}

#[test]
fn a_snapshot_is_the_database_it_was_taken_of() {
    let water = database(WATER);
    let directory = tempfile::tempdir().unwrap();
    let file = saved(&water, directory.path());
    let snapshot = Catalog::load(&file).unwrap();
    assert_eq!(snapshot.fingerprint(), read(&water).fingerprint());
    assert_eq!(snapshot.target(), file.display().to_string());
    for report in [
        check(&water, &snapshot, &everything(), &Run::new()).unwrap(),
        check(&snapshot, &water, &everything(), &Run::new()).unwrap(),
        check(&snapshot, &snapshot, &everything(), &Run::new()).unwrap(),
    ] {
        assert_eq!(objects(&report), [""; 0]);
        assert!(report.warnings().is_empty() && report.not_compared().is_empty());
    }
    // The same database writes the same file, and nothing is left beside it.
    let before = fs::read(&file).unwrap();
    assert_eq!(fs::read(saved(&water, directory.path())).unwrap(), before);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn only_a_regular_file_is_replaced_by_a_snapshot() {
    let water = read(&database(""));
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(at("fifo.json"))
        .status()
        .unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("nothing", at("link.json")).unwrap();
    for (name, why) in [
        ("fifo.json", "is not a regular file"),
        ("link.json", "is a symbolic link"),
    ] {
        let error = water.save(&at(name)).unwrap_err();
        assert!(error.message().ends_with(why), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn differences_are_found_and_spelling_is_settled_by_the_side_that_can_be_asked() {
    let water = database(WATER);
    let directory = tempfile::tempdir().unwrap();
    let snapshot = Catalog::load(&saved(&water, directory.path())).unwrap();
    // What a restore makes of the check and the view, and one true difference.
    let restored = database(&WATER.replace(
        "in ('steel', 'cast iron')",
        "= any (array['steel'::varchar, 'cast iron'])",
    ));
    let mut connection = Connection::open_for_scripts(&restored, &Run::new()).unwrap();
    connection
        .execute("alter table water.pipe alter note type varchar(10)")
        .unwrap();
    let report = check(&snapshot, &restored, &everything(), &Run::new()).unwrap();
    assert_eq!(
        objects(&report),
        ["column water.pipe.note"],
        "{}",
        report.to_text(&TextOptions::default())
    );
}

#[test]
fn two_files_cannot_be_asked_about_spelling() {
    let one = database("create table t (v varchar check (v in ('a', 'b')))");
    let two = database(
        "create table t (v varchar); alter table t add constraint t_v_check check \
         (v::text = any (array['a'::varchar::text, 'b'::varchar::text]))",
    );
    assert!(check(&one, &two, &Filter::default(), &Run::new()).unwrap().same());
    let report = check(&read(&one), &read(&two), &Filter::default(), &Run::new()).unwrap();
    assert_eq!(objects(&report), ["constraint public.t.t_v_check"]);
    assert!(report.differences()[0].maybe_spelling);
    assert!(
        report.warnings()[0].contains("a file cannot be asked"),
        "{:?}",
        report.warnings()
    );
}

#[test]
fn a_filter_holds_for_files_too() {
    let water = database(WATER);
    let directory = tempfile::tempdir().unwrap();
    let snapshot = Catalog::load(&saved(&water, directory.path())).unwrap();
    let other =
        database("create schema water; create table water.usr_local (a int); create index on water.usr_local (a)");
    let filter = |words: &[&str], pattern: &str| {
        let mut filter = Filter {
            exclude: vec![pattern.parse().unwrap()],
            ..Filter::default()
        };
        filter.ignore_words(words).unwrap();
        filter
    };
    let report = check(
        &snapshot,
        &other,
        &filter(&["constraints", "views"], "water.pipe"),
        &Run::new(),
    )
    .unwrap();
    assert_eq!(
        objects(&report),
        [
            "table water.usr_local",
            "column water.usr_local.a",
            "index water.usr_local.usr_local_a_idx"
        ]
    );
    let report = check(&snapshot, &other, &filter(&["views"], "*.*"), &Run::new()).unwrap();
    assert_eq!(objects(&report), [""; 0]);
}

#[test]
fn a_file_that_is_not_what_was_written_is_refused() {
    let water = database(WATER);
    let directory = tempfile::tempdir().unwrap();
    let file = saved(&water, directory.path());
    let text = fs::read_to_string(&file).unwrap();
    let refused = |changed: &str| {
        fs::write(&file, changed).unwrap();
        let error = Catalog::load(&file).expect_err("must be refused");
        let place = error
            .location()
            .map(|place| format!(" {}:{}", place.line, place.column));
        format!("{:?}: {}{}", error.kind(), error.message(), place.unwrap_or_default())
    };
    for (changed, wanted) in [
        (
            text.replace("character varying\"", "text\""),
            "was changed after it was written",
        ),
        (text.replace("\"pipe\"", "\"pype\""), "was changed after it was written"),
        (text[..text.len() / 2].to_owned(), "EOF while parsing"),
        (text.replace("pum/snapshot/1", "pum/snapshot/2"), "reads pum/snapshot/1"),
        (
            text.replace("\"tables\":", "\"tabels\":"),
            "does not know the kind \"tabels\"",
        ),
        (
            text.replace("\"attributes\": [", "\"attributes\": [\"\\u001b[2J\", "),
            "is no name of an attribute",
        ),
        (String::new(), "EOF while parsing"),
        ("[]".to_owned(), "no file of the form pum/snapshot/1"),
        ("{\"schema\": 3}".to_owned(), "invalid type"),
        ("create table t ();".to_owned(), "expected value 1:1"),
        ("[".repeat(1_000_000), ""),
        (
            format!("{{\"schema\": \"pum/snapshot/1\", \"kinds\": {}", "[".repeat(1_000_000)),
            "",
        ),
    ] {
        let found = refused(&changed);
        assert!(found.contains(wanted), "{found}");
    }
    fs::write(&file, b"{\"schema\": \"\xff\"}").unwrap();
    assert!(Catalog::load(&file).unwrap_err().message().contains("not UTF-8"));
    let missing = Catalog::load(&directory.path().join("missing.json")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
}

#[test]
fn known_differences_do_not_count_and_news_do() {
    let left = database("create table t (a int, b int); create table local_notes (id int primary key)");
    let right = database("create table t (a bigint, b int)");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known.json");
    let found = check(&left, &right, &Filter::default(), &Run::new()).unwrap();
    assert_eq!(found.differences().len(), 4);
    let written = Expectations::of(found.differences(), &Expectations::default());
    fs::write(
        &file,
        written
            .to_json()
            .replacen("\"reason\": \"\"", "\"reason\": \"ours\"", 1),
    )
    .unwrap();
    let compare = |left: &Target, right: &Target| {
        let filter = Filter {
            expected: Expectations::read(&file).unwrap(),
            ..Filter::default()
        };
        check(left, right, &filter, &Run::new()).unwrap()
    };
    let report = compare(&left, &right);
    assert!(report.same());
    assert_eq!((report.expected().len(), report.expected_and_gone().len()), (4, 0));
    assert!(
        report
            .to_text(&TextOptions::default())
            .contains("4 expected differences not counted\n")
    );
    let whole = report.to_text(&TextOptions {
        verbosity: 2,
        ..TextOptions::default()
    });
    assert!(whole.contains("\n  - table public.local_notes: ours\n"), "{whole}");
    assert!(report.to_json().contains("\"reason\": \"ours\""));
    assert!(report.to_html(&pum::HtmlOptions::default()).contains("<bdi>ours</bdi>"));
    assert!(report.to_junit().contains("an expected difference: ours"));

    // Another type is news again, and what is mended is told.
    let mut connection = Connection::open_for_scripts(&right, &Run::new()).unwrap();
    connection
        .execute("alter table t alter a type text; create table local_notes (id int primary key)")
        .unwrap();
    let report = compare(&left, &right);
    assert_eq!(objects(&report), ["column public.t.a"]);
    let gone: Vec<String> = report.expected_and_gone().iter().map(ToString::to_string).collect();
    assert_eq!(
        gone,
        [
            "table public.local_notes",
            "column public.local_notes.id",
            "constraint public.local_notes.local_notes_pkey"
        ]
    );
    // What differs otherwise is told as such, and of what was not compared nothing is.
    let mut filter = Filter {
        expected: Expectations::read(&file).unwrap(),
        exclude: vec!["local_*".parse().unwrap()],
        ..Filter::default()
    };
    let gone = |filter: &Filter| {
        check(&left, &right, filter, &Run::new())
            .unwrap()
            .expected_and_gone()
            .len()
    };
    assert_eq!(gone(&filter), 0);
    filter.exclude = Vec::new();
    filter.ignore_words(&["columns"]).unwrap();
    assert_eq!(gone(&filter), 2);
    filter.exclude_schemas = vec!["public".to_owned()];
    assert_eq!(gone(&filter), 0);
    // Reasons are kept when the file is written again.
    let again = Expectations::of(found.differences(), &Expectations::read(&file).unwrap());
    assert!(again.to_json().contains("\"reason\": \"ours\""));
}

#[test]
fn a_wrong_file_of_known_differences_gets_a_sentence_and_a_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known.json");
    for (text, wanted) in [
        (
            "{\"schema\": \"pum/expected/1\", \"differences\": [{\"kind\": \"tables\"}]}",
            "missing field",
        ),
        (
            "{\"schema\": \"pum/expected/9\", \"differences\": []}",
            "reads pum/expected/1",
        ),
        (
            "{\"schema\": \"pum/expected/1\", \"differences\": [{\"kind\": \"tabels\", \"name\": \"t\", \"change\": \"changed\"}]}",
            "no kind of objects",
        ),
        (
            "{\"schema\": \"pum/expected/1\",\n \"differences\": [}",
            "expected value",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let error = Expectations::read(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains(wanted), "{error}");
    }
    assert_eq!(Expectations::read(&file).unwrap_err().location().unwrap().line, 2);
}
