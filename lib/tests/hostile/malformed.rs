//! Deltas that are wrong in one place, behind everything that makes places hard to count.

use pum::ErrorKind;

use crate::Case;

/// What stands before the fault: sound, and whatever may lead a count of lines and columns astray.
const BEFORE: [&str; 12] = [
    "",
    "select 1;\n",
    "select 'é €😀'; ",
    "-- a comment;\n\n\t",
    "/* one /* two */ three\nfour */ ",
    "select 1;\r\nselect 2;\r\n",
    "\u{feff}",
    "\u{feff}-- é\n ",
    "create table public.c (a text);\ncopy public.c from stdin;\nit's a \"line\\t;\n\\.\n",
    "do $x$ begin perform ';'; end\n$x$; ",
    "select U&'\\0061', E'\\'', $$;'$$, \"b;\"\nfrom (select 1 as \"b;\") as \"é\"; ",
    "LONG",
];

/// What is wrong: what begins it, and where it is wrong. `true`: known before the first statement runs.
const FAULTS: [(&str, &[u8], bool); 32] = [
    ("select ", b"'never closed;\n", true),
    ("select ", b"\"never closed;\n", true),
    ("select ", b"E'never \\' closed;\n", true),
    ("select ", b"$$ never closed;\n", true),
    ("select ", b"$tag$ never $$ closed;\n", true),
    ("", b"/* never closed;\n", true),
    ("select 1 ", b"/* never /* closed */;\n", true),
    ("select ", b"(1, (2), 3;\n", true),
    ("create table public.a ", b"(i int;\n", true),
    ("select '", b"\0';\n", true),
    ("select '", b"\xe9t\xe9';\n", true),
    ("-- ", b"\xff\nselect 1;\n", true),
    ("", b"\\d\nselect 1;\n", true),
    ("", b"\\i other.sql\n", true),
    ("", b"\\set x 1\n", true),
    ("select 1 ", b"\\gexec\n", true),
    ("", b"commit;\nselect 1;\n", true),
    ("", b"Rollback Work;\n", true),
    ("", b"commit and chain;\n", true),
    ("", b"end;\n", true),
    ("", b"begin;\ncreate table public.a ();\n", true),
    ("", b"prepare transaction 'x';\n", true),
    ("", b"vacuum;\n", true),
    ("", b"create index concurrently i on public.nowhere (a);\n", true),
    ("", b"create database other;\n", true),
    ("", b"alter system set work_mem = '1MB';\n", true),
    ("select 0;\n", b"-- pum: no-transaction\nselect 1;\n", true),
    ("", b"copy public.nowhere from stdin;\n1\n2\n", true),
    ("create table public.a (); ", b"selec 1;\n", false),
    ("create table public.a (); select ", b"nothing;\n", false),
    ("create table public.a (); select 1 from ", b"public.nowhere;\n", false),
    ("create table public.a (); ", b"select 1 / (1 - 1);\n", false),
];

#[test]
fn each_delta_that_is_wrong_is_refused_at_its_place() {
    let case = Case::new("malformed");
    let mut refused = 0;
    for before in BEFORE {
        let before = if before == "LONG" {
            format!("select '{}'; ", "long é ".repeat(20_000))
        } else {
            before.to_owned()
        };
        for (begins, wrong, known) in FAULTS {
            let sound = format!("{before}{begins}");
            case.delta([sound.as_bytes(), wrong].concat());
            let what = format!(
                "{begins}{} behind {:?}",
                wrong.escape_ascii(),
                before.get(..40).unwrap_or(&before)
            );
            let error = case.upgrade().expect_err(&what);
            let place = error.location().unwrap_or_else(|| panic!("{what}: no place: {error}"));
            let counted = sound.trim_start_matches('\u{feff}');
            let line = counted.rsplit('\n').next().unwrap();
            assert_eq!(
                (place.line, place.column),
                (counted.matches('\n').count() + 1, line.chars().count() + 1),
                "{what}: {error}"
            );
            if known {
                assert!(
                    matches!(error.kind(), ErrorKind::Usage | ErrorKind::Refused),
                    "{what}: {error}"
                );
                assert_eq!(error.state(), Some("nothing was changed"), "{what}");
            } else {
                assert_eq!(error.kind(), ErrorKind::Server, "{what}");
            }
            case.is_as_it_was(&what);
            refused += 1;
        }
    }
    println!("{refused} malformed deltas refused");
    assert!(refused >= 300);
}
