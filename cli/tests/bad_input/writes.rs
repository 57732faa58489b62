//! The n-th write of a file fails, for every n: a limit for the size of files grows block by block to what the file needs.
//!
//! `PUM_WRITES=full cargo test -p pum-cli --test bad_input writes -- --nocapture` tries every block of the reports.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::support::{Ended, Place, TABLE, database, empty_database, sql, text};

const BLOCK: u64 = 4096;
/// Of a dump, whose every block would take long.
const STEPS: u64 = 50;

fn full() -> bool {
    std::env::var("PUM_WRITES").as_deref() == Ok("full")
}

/// The command where no file may become larger than so many bytes.
fn limited(place: &Place, words: &[&str], bytes: u64) -> Ended {
    let script = format!("trap '' XFSZ; ulimit -f {}; exec setsid -w \"$0\" \"$@\"", bytes / 512);
    let mut command = place.program("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_pum")]).args(words);
    Ended::new(&command.output().unwrap(), words)
}

/// Everything below a path, with what it holds.
fn held(path: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            held(&entry, found);
        }
    } else {
        found.push((text(path).to_owned(), fs::read(path).unwrap()));
    }
}

fn all(place: &Place) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    held(&place.path(""), &mut found);
    found
}

/// Writes a file under limits from nothing to its size, over what `before` had written; how often it failed. The code is that
/// of success.
fn stepped(place: &Place, before: &[&str], words: &[&str], code: i32, name: &str, steps: Option<u64>) -> u64 {
    assert_eq!(place.pum(words).code, code);
    let mut new = Vec::new();
    held(&place.path(name), &mut new);
    let size = new.iter().map(|(_, bytes)| bytes.len() as u64).max().unwrap();
    assert!(place.pum(before).code <= 1);
    let old = all(place);
    let blocks = size.div_ceil(BLOCK);
    let each = steps.map_or(1, |steps| blocks.div_ceil(steps));
    // In the short form only the last.
    let first = if full() { 0 } else { blocks - 1 };
    let (mut failed, mut of_the_file) = (0, 0);
    for block in (first..blocks).step_by(usize::try_from(each).unwrap()) {
        let ended = limited(place, words, block * BLOCK);
        assert_ne!(ended.code, 0, "{block} of {blocks}: {ended:#?}");
        // pg_dump does not notice it when its last block is not written; then pum does.
        let told = ["File too large", "the new dump is not whole"];
        let told = told.iter().any(|why| ended.stderr.contains(why));
        assert!(
            told && ended.stderr.contains("error: "),
            "{block} of {blocks}: {ended:#?}"
        );
        assert!(all(place) == old, "{block} of {blocks}: {ended:#?}");
        failed += 1;
        of_the_file += u64::from(ended.stderr.contains(name) || words[0] == "dump");
    }
    // A rehearsal fails at its dump before, where that needs more.
    assert!(of_the_file > 0, "{name}");
    // With room for all of it, it is there.
    assert_eq!(limited(place, words, (blocks + 64) * BLOCK).code, code);
    assert!(all(place) != old);
    failed
}

#[test]
fn a_file_whose_every_block_may_fail_is_the_one_of_before() {
    let begun = Instant::now();
    let (left, right) = (database("left"), empty_database("right"));
    let tables: String = (0..20)
        .map(|number| format!("create table public.pipe_{number}(id int primary key, name text);\n"))
        .collect();
    sql(
        &left,
        &format!(
            "{tables} insert into public.pipe_0 select n, md5(n::text) || md5((n + 1)::text) from generate_series(1, 20000) n;\nselect ''"
        ),
    );
    // The one of before is of the other side, or the other way round.
    let (left, right) = (left.name(), right.name());
    let mut count = 0;
    let formats = ["custom", "plain", "directory"];
    for format in &formats[..if full() { 3 } else { 1 }] {
        let place = Place::new();
        let dump = |database: &'static str| ["dump", "-F", format, "-p", database, "water.backup"];
        let [left, right] = [&left, &right].map(|name| &*name.clone().leak());
        count += stepped(&place, &dump(right), &dump(left), 0, "water.backup", Some(STEPS));
    }
    for report in ["report.html", "report.json", "report.xml", "report.txt"] {
        let place = Place::new();
        let check = |one, other| ["check", "-p1", one, "-p2", other, "-o", report];
        count += stepped(&place, &check(&right, &right), &check(&left, &right), 1, report, None);
    }
    let place = Place::new();
    let snapshot = |database| ["snapshot", "-p", database, "-o", "water.json"];
    count += stepped(&place, &snapshot(&right), &snapshot(&left), 0, "water.json", None);
    let place = Place::new();
    let known = |one, other| ["check", "-p1", one, "-p2", other, "--write-expected", "known.json"];
    count += stepped(
        &place,
        &known(&right, &right),
        &known(&left, &right),
        0,
        "known.json",
        None,
    );
    if full() {
        count += rehearsed();
    }
    println!(
        "writes: {count} failed, the file of before was whole after each; {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(!full() || count > 150, "{count}");
}

/// What a rehearsal keeps. Its copy is on the server of the tests, which has no limit.
fn rehearsed() -> u64 {
    let production = database("production");
    let tables: String = (0..60)
        .map(|number| format!("create table public.a_{number}(id int);\n"))
        .collect();
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", &tables)]);
    let (copy, expected) = (empty_database("copy"), empty_database("expected"));
    sql(&expected, &format!("{tables}select ''"));
    let [production, copy, expected] = [production, copy, expected].map(|target| target.name());
    let mut count = 0;
    for (option, name) in [("--save", "saved.json"), ("--report", "saved.html")] {
        let words = [
            "test",
            "-pp",
            &production,
            "-pt",
            &copy,
            "-pc",
            &expected,
            "-t",
            TABLE,
            "-d",
            "deltas",
            option,
            name,
        ];
        // The same without the new tables is not what is expected.
        let before = [&words[..], &["-u", "1.0.0"]].concat();
        count += stepped(&place, &before, &words, 0, name, None);
    }
    count
}
