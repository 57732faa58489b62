//! Rows and columns of the upgrades table that pum did not write: whatever stands in them is read into a history or an error.

use std::fmt::Write as _;

use pum::{BaselineOptions, ErrorKind, Run, baseline, info, plan};

use crate::{Case, holds, support, table, told};

/// The columns of pum 0.10, without what keeps hostile rows away, and those of pum 2.
const OLD: [(&str, &str); 10] = [
    ("id", "bigint"),
    ("version", "text"),
    ("description", "text"),
    ("type", "bigint"),
    ("script", "text"),
    ("checksum", "text"),
    ("installed_by", "text"),
    ("installed_on", "timestamp"),
    ("execution_time", "bigint"),
    ("success", "boolean"),
];
const OWN: [(&str, &str); 5] = [
    ("run_id", "uuid"),
    ("digest", "text"),
    ("state", "text"),
    ("statements_done", "bigint"),
    ("rehearsal", "text"),
];

const NUMBERS: [&str; 6] = [
    "null",
    "-1",
    "0",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
];
const TEXTS: [&str; 3] = [
    "null",
    "''",
    "e'\\x01\\x1b[2J\\n\\u202e é水🜄 %(x)s {} \\\\ \\'; drop table public.counted; --' || repeat('x', 70000)",
];
const STATES: [&str; 3] = ["'started'", "'failed'", "'more'"];
const VERSIONS: [&str; 10] = [
    "'1.1.0'",
    "'01.001.0000'",
    "'18446744073709551615.0.0'",
    "'18446744073709551616.0.0'",
    "'1'",
    "'1.1.0.1'",
    "'-1.1.0'",
    "' 1.1.0'",
    "e'1.1.0\\n'",
    "'١.١.٠'",
];
const MOMENTS: [&str; 4] = ["null", "'infinity'", "'-infinity'", "'4714-11-24 00:00 BC'"];

fn hostile(kind: &str, column: &str) -> Vec<&'static str> {
    let mut values = match kind {
        "bigint" => NUMBERS.to_vec(),
        "timestamp" => MOMENTS.to_vec(),
        "boolean" => vec!["null", "true", "false"],
        "uuid" => vec!["null", "'00000000-0000-0000-0000-000000000000'"],
        _ => TEXTS.to_vec(),
    };
    match column {
        "version" => values.extend(VERSIONS),
        "state" => values.extend(STATES),
        _ => {}
    }
    values
}

fn create(columns: &[(&str, &str)], but: Option<(&str, &str)>) -> String {
    let mut sql = "drop schema if exists pum_sys cascade; create schema pum_sys; \
                   create sequence pum_sys.numbers start 100; create table pum_sys.upgrades ("
        .to_owned();
    for (number, (name, kind)) in columns.iter().enumerate() {
        let kind = but.filter(|but| but.0 == *name).map_or(*kind, |but| but.1);
        let default = match *name {
            "id" => " default nextval('pum_sys.numbers')",
            "installed_on" => " default now()",
            _ => "",
        };
        let comma = if number > 0 { ", " } else { "" };
        let _ = write!(sql, "{comma}{name} {kind}{default}");
    }
    sql + ")"
}

/// A baseline, and a row with one value replaced: that of the delta at hand, applied or begun and left after its first
/// statement.
fn insert(columns: &[(&str, &str)], applied: bool, column: &str, value: &str) -> String {
    let of_delta = |name: &str| match name {
        "id" => "2",
        "version" => "'1.1.0'",
        "description" => "'a'",
        "type" => "8",
        "success" => ["false", "true"][usize::from(applied)],
        "execution_time" | "statements_done" => "1",
        "installed_on" => "now()",
        "run_id" => "null",
        "state" => ["'started'", "'done'"][usize::from(applied)],
        _ => "''",
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = names
        .iter()
        .map(|name| if *name == column { value } else { of_delta(name) })
        .collect();
    format!(
        "insert into pum_sys.upgrades values (1, '1.0.0', 'baseline', 0, '', '', 'ann', now(), 1, true); \
         insert into pum_sys.upgrades ({}) values ({})",
        names.join(", "),
        values.join(", ")
    )
}

/// Every statement of it adds to what is there, so that one that is run twice is seen.
const DELTA: &str = "-- pum: no-transaction\n\
                     insert into public.counted values ('first');\ninsert into public.counted values ('second');\n";

#[test]
fn whatever_stands_in_a_row_is_read_into_a_history_or_an_error() {
    let case = Case::bare(support::database("rows"));
    case.delta(DELTA);
    case.execute("create table public.counted (statement text)");
    let both: Vec<(&str, &str)> = OLD.into_iter().chain(OWN).collect();
    let (mut read, mut refused) = (0, 0);
    for columns in [&OLD[..], &both] {
        for (column, kind) in columns {
            for value in hostile(kind, column) {
                // Before pum 2 a row was written when its delta was applied.
                let begun_too = columns.len() > OLD.len();
                for applied in [true, false].into_iter().filter(|applied| *applied || begun_too) {
                    let about = format!("{column} {value}, applied {applied}, {} columns", columns.len());
                    case.execute(&format!(
                        "{}; {}; truncate public.counted",
                        create(columns, None),
                        insert(columns, applied, column, value)
                    ));
                    let known = info(&case.target, &table(), &case.directories(), &Run::new());
                    let planned = plan(&case.target, &case.options(), &Run::new());
                    let at = BaselineOptions::new(table(), "1.0.0".parse().unwrap());
                    let based = baseline(&case.target, &at, &Run::new()).map(drop);
                    let first = case.upgrade().map(drop);
                    // The second run finds what the first one left.
                    let second = if first.is_ok() {
                        case.upgrade().map(drop)
                    } else {
                        Ok(())
                    };
                    for outcome in [first, second, based] {
                        if let Err(error) = outcome {
                            assert!(
                                !error.message().is_empty() && error.state().is_some(),
                                "{about}: {error}"
                            );
                        }
                    }
                    match (known, planned) {
                        (Ok(known), _) => {
                            read += 1;
                            let of_file = known
                                .deltas
                                .iter()
                                .filter(|line| line.path.ends_with("delta_1.1.0_a.sql"));
                            assert_eq!(of_file.count(), 1, "{about}");
                        }
                        (Err(error), Ok(_)) => panic!("{about}: info says {error}, and the plan is made"),
                        (Err(error), Err(_)) => {
                            refused += 1;
                            assert_eq!(error.kind(), ErrorKind::Refused, "{about}: {error}");
                            holds(error.message(), &["pum_sys.upgrades"]);
                            assert_eq!(case.ask("select count(*) from public.counted"), "0", "{about}");
                        }
                    }
                    let twice = "select count(*) - count(distinct statement) from public.counted";
                    assert_eq!(case.ask(twice), "0", "{about}");
                }
            }
        }
    }
    assert!(read > 100 && refused > 20, "{read} read, {refused} refused");
}

#[test]
fn a_row_that_could_be_mistaken_for_another_is_refused() {
    let case = Case::bare(support::database("ids"));
    case.delta(DELTA);
    case.execute(&create(&OLD, None));
    case.execute(&(insert(&OLD, false, "id", "1") + "; create table public.counted (statement text)"));
    for outcome in [
        info(&case.target, &table(), &case.directories(), &Run::new()).map(drop),
        case.upgrade().map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        holds(
            &told(&error),
            &["the row with id 1 of pum_sys.upgrades is not the only one"],
        );
    }
    // A number that only the wider type holds is one like any other.
    case.execute(
        "update pum_sys.upgrades set id = 3000000000 where type <> 0; select setval('pum_sys.numbers', 4000000000)",
    );
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(case.upgrade().unwrap().len(), 0);
    assert_eq!(case.ask("select count(*) from public.counted"), "2");
}

#[test]
fn a_column_that_is_missing_or_of_another_type_is_named() {
    let case = Case::bare(support::database("columns"));
    case.delta(DELTA);
    case.execute(
        "create table public.counted (statement text); create type public.mood as enum ('1', '1.0.0'); \
         create type public.pair as (one int, two text); create domain public.version as text; \
         create sequence public.calls; \
         create function public.planted(public.pair) returns text language sql as $$ \
         select nextval('public.calls')::text $$; create cast (public.pair as text) with function public.planted(public.pair)",
    );
    let both: Vec<(&str, &str)> = OLD.into_iter().chain(OWN).collect();
    let refused = |columns: &[(&str, &str)], words: &[&str]| {
        let based = BaselineOptions::new(table(), "1.0.0".parse().unwrap());
        for outcome in [
            info(&case.target, &table(), &case.directories(), &Run::new()).map(drop),
            plan(&case.target, &case.options(), &Run::new()).map(drop),
            baseline(&case.target, &based, &Run::new()).map(drop),
            case.upgrade().map(drop),
        ] {
            let error = outcome.expect_err(&format!("{columns:?}"));
            assert_eq!(error.kind(), ErrorKind::Refused, "{columns:?}: {error}");
            holds(error.message(), words);
        }
    };
    for (column, kind) in &both {
        for other in [
            "jsonb",
            "point",
            "int[]",
            "double precision",
            "public.mood",
            "public.pair",
            "public.version",
        ] {
            let without_defaults = create(&both, Some((column, other)))
                .replace(" default nextval('pum_sys.numbers')", "")
                .replace(" default now()", "");
            case.execute(&without_defaults);
            let error = info(&case.target, &table(), &case.directories(), &Run::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{column} {other}: {error}");
            let shown = other.replace("int[]", "integer[]");
            holds(
                error.message(),
                &[&format!("its column {column} is of the type {shown}")],
            );
        }
        let left: Vec<(&str, &str)> = both.iter().filter(|(name, _)| name != column).copied().collect();
        case.execute(&create(&left, None));
        if OLD.iter().any(|(name, _)| name == column) {
            refused(&left, &[&format!("it has no column {column}")]);
        } else {
            // What pum 2 adds, it adds again.
            case.execute(
                "insert into pum_sys.upgrades values (1, '1.0.0', 'baseline', 0, '', '', 'ann', now(), 1, true)",
            );
            assert_eq!(case.upgrade().unwrap().len(), 1, "{column} {kind}");
        }
    }
    // A row of a type that somebody made, whose cast would be called.
    case.execute(&create(&both, Some(("description", "public.pair"))));
    case.execute("insert into pum_sys.upgrades values (1, '1.0.0', row(1, 'x'), 0, '', '', 'ann', now(), 1, true)");
    refused(&both, &["its column description is of the type public.pair"]);
    assert_eq!(case.ask("select is_called from public.calls"), "f");
}
