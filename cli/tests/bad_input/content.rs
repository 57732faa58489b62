//! What is in a delta, before any of it runs.

use crate::support::{Place, TABLE, contents, database, sql};

#[test]
fn a_byte_order_mark_and_line_ends_of_windows() {
    let target = database("bom");
    let place = Place::with_deltas(&[]);
    place.write(
        "deltas/delta_1.1.0_a.sql",
        b"\xef\xbb\xbfcreate table public.a(t text);\r\ninsert into public.a\r\nvalues ('x');\r\n",
    );
    place.upgrade(&target, &[]).succeeds();
    assert_eq!(sql(&target, "select t from public.a"), "x");

    // An error is still told at the place that an editor shows.
    place.write(
        "deltas/delta_1.2.0_b.sql",
        b"\xef\xbb\xbfselect 1;\r\n  select nothing_here;\r\n",
    );
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&["column \"nothing_here\" does not exist", "SQLSTATE: 42703"])
        .points_at("deltas/delta_1.2.0_b.sql:2:10", "  select nothing_here;")
        .helps(&["correct the cause"]);
    place.write("deltas/delta_1.2.0_b.sql", b"\xef\xbb\xbfselect nothing_here;\r\n");
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .points_at("deltas/delta_1.2.0_b.sql:1:8", "select nothing_here;");
}

#[test]
fn bytes_that_are_no_utf_8() {
    let latin_1: &[u8] = b"select 1;\ninsert into public.a values ('Z\xfcrich');\n";
    let nul: &[u8] = b"select 1;\nselect '\0';\n";
    let mut utf_16 = vec![0xff, 0xfe];
    utf_16.extend("select 1;\n".encode_utf16().flat_map(u16::to_le_bytes));
    let mut utf_16_big = vec![0xfe, 0xff];
    utf_16_big.extend("select 1;\n".encode_utf16().flat_map(u16::to_be_bytes));
    let target = database("bytes");
    for (bytes, words, place_in_file, next) in [
        (latin_1, "UTF-8", ":2:32", "iconv"),
        (nul, "NUL", ":2:9", "remove it"),
        (&utf_16, "UTF-16", "", "UTF-8"),
        (&utf_16_big, "UTF-16", "", "UTF-8"),
    ] {
        let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a(t text);")]);
        place.write("deltas/delta_1.2.0_b.sql", bytes);
        // Nothing runs, not even what comes before it.
        place
            .refused_upgrade(&target, &[])
            .fails(2)
            .says(&[
                words,
                &format!("deltas/delta_1.2.0_b.sql{place_in_file}"),
                "state: nothing was changed",
            ])
            .helps(&[next]);
        place.refused_upgrade(&target, &["--dry-run"]).fails(2).says(&[words]);
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let target = database("unreadable");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select 1;")]);
    std::os::unix::fs::symlink("/proc/self/mem", place.path("deltas/delta_1.2.0_b.sql")).unwrap();
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&["deltas/delta_1.2.0_b.sql", "state: nothing was changed"]);
}

#[test]
fn a_psql_command() {
    let target = database("psql");
    for (line, words) in [
        ("\\i other.sql", "\\i"),
        ("\\copy a from 'x'", "\\copy"),
        ("\\! rm -rf /", "\\!"),
        ("select 1 \\gset", "\\gset"),
    ] {
        let place = Place::with_deltas(&[
            ("delta_1.1.0_a.sql", "create table public.a();"),
            ("delta_1.2.0_b.sql", &format!("select 1;\n{line}\n")),
        ]);
        let column = line.find('\\').unwrap() + 1;
        place
            .refused_upgrade(&target, &[])
            .fails(2)
            .says(&[&format!("{words} is a command of psql"), "state: nothing was changed"])
            .points_at(&format!("deltas/delta_1.2.0_b.sql:2:{column}"), line)
            .helps(&[]);
    }
}

#[test]
fn a_command_that_needs_the_header() {
    let target = database("header");
    for (line, words) in [
        (
            "create index concurrently i on public.a(t);",
            "CREATE INDEX CONCURRENTLY",
        ),
        ("vacuum public.a;", "VACUUM"),
        ("alter system set work_mem = '1MB';", "ALTER SYSTEM"),
        ("create database other;", "CREATE DATABASE"),
        ("reindex table concurrently public.a;", "REINDEX"),
    ] {
        let place = Place::with_deltas(&[
            ("delta_1.1.0_a.sql", "create table public.a(t text);"),
            ("delta_1.2.0_b.sql", &format!("-- quickly\n{line}\n")),
        ]);
        place
            .refused_upgrade(&target, &[])
            .fails(3)
            .says(&[words, "state: nothing was changed"])
            .points_at("deltas/delta_1.2.0_b.sql:2:1", line)
            .helps(&["-- pum: no-transaction"]);
    }
}

#[test]
fn a_delta_that_ends_its_transaction() {
    let target = database("control");
    for line in [
        "commit;",
        "rollback;",
        "begin;",
        "rollback and chain;",
        "prepare transaction 'a';",
    ] {
        let place = Place::with_deltas(&[("delta_1.1.0_a.sql", &format!("create table public.a();\n{line}\n"))]);
        place
            .refused_upgrade(&target, &[])
            .fails(3)
            .says(&["transaction", "state: nothing was changed"])
            .points_at("deltas/delta_1.1.0_a.sql:2:1", line)
            .helps(&["take BEGIN, COMMIT and ROLLBACK out"]);
    }
    // Where no reading of the file can tell, the server's transaction does.
    let place = Place::with_deltas(&[(
        "delta_1.1.0_a.sql",
        "create procedure public.p() language plpgsql as 'begin commit; end';\ncall public.p();\n",
    )]);
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&["invalid transaction termination", "SQLSTATE: 2D000", "was rolled back"])
        .points_at("deltas/delta_1.1.0_a.sql:2:1", "call public.p();");
}

#[test]
fn quotes_that_are_not_closed() {
    let target = database("open");
    for (text, place_in_file, line) in [
        ("select 1;\nselect 'abc;\n-- the end\n", "2:8", "select 'abc;"),
        ("select 1;\n/* a comment\nselect 2;\n", "2:1", "/* a comment"),
        ("do $body$\nbegin\nend;\n", "1:4", "do $body$"),
        ("select \"a from b;\n", "1:8", "select \"a from b;"),
    ] {
        let place = Place::with_deltas(&[("delta_1.1.0_a.sql", text)]);
        place
            .refused_upgrade(&target, &[])
            .fails(2)
            .says(&["never closed", "state: nothing was changed"])
            .points_at(&format!("deltas/delta_1.1.0_a.sql:{place_in_file}"), line)
            .helps(&["it begins here"]);
    }
}

#[test]
fn no_python_for_a_python_delta() {
    let target = database("python");
    let before = contents(&target);
    let place = Place::with_deltas(&[
        ("delta_1.1.0_a.sql", "create table public.a();"),
        (
            "delta_1.2.0_b.py",
            "from pum.core.deltapy import DeltaPy\nclass B(DeltaPy):\n    def run(self):\n        pass\n",
        ),
    ])
    .set("PATH", "/nonexistent");
    let ended = place
        .upgrade(&target, &[])
        .fails(1)
        .says(&[
            "\"python3\" is not there",
            "delta_1.2.0_b.py is a Python delta",
            "state: nothing was changed",
        ])
        .helps(&["apt-get install python3"]);
    let after = contents(&target);
    assert_eq!(after, before, "the upgrade must not begin: {ended:#?}");
    place
        .pum(&["info", "-p", &target.name(), "-t", TABLE, "-d", "deltas"])
        .succeeds();
}

#[test]
fn a_python_delta_that_fails() {
    let target = database("python");
    let place = Place::with_deltas(&[
        (
            "delta_1.1.0_a.py",
            "from pum.core.deltapy import DeltaPy\nclass A(DeltaPy):\n    def run(self):\n        raise ValueError('no pipes')\n",
        ),
        ("delta_1.2.0_b.sql", "create table public.b();"),
    ]);
    place.upgrade(&target, &[]).fails(1).says(&[
        "ValueError: no pipes",
        "deltas/delta_1.1.0_a.py:4",
        "not applied: 1.1.0 a (delta py), 1.2.0 b",
    ]);
    assert_eq!(sql(&target, "select count(*) from pg_class where relname = 'b'"), "0");
    assert_eq!(
        sql(&target, "select count(*) from water_sys.upgrades where success"),
        "1"
    );
}
