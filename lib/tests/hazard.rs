//! The static reading of deltas: every rule finds what it must and nothing else, and what it says is true on a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pum::{
    Connection, Deltas, Effect, HAZARD_RULES, Hazard, Hazards, Plan, Run, Script, Step, UpgradeOptions, Variables,
    hazards,
};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hazard")
}

fn options() -> UpgradeOptions {
    UpgradeOptions::new("s.upgrades".parse().unwrap(), Vec::new())
}

/// A plan of the deltas that a directory holds.
fn plan_of(directory: &Path) -> Plan {
    let deltas = Deltas::read(&[directory.to_owned()]).unwrap();
    Plan {
        current: None,
        reached: None,
        steps: deltas.deltas.into_iter().map(Step::Delta).collect(),
        near_misses: Vec::new(),
    }
}

/// What is found in deltas, each with a name and a text.
fn found_with(files: &[(&str, &str)], options: &UpgradeOptions) -> Hazards {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    hazards(&plan_of(directory.path()), options).unwrap()
}

fn found(text: &str) -> Vec<Hazard> {
    found_with(&[("delta_1.0.0_a.sql", text)], &options()).told
}

/// Rule, line and column of each, as short as can be read.
fn short(hazards: &[Hazard]) -> Vec<String> {
    hazards
        .iter()
        .map(|hazard| {
            let allowed = hazard
                .allowed
                .as_deref()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            format!(
                "{} {}:{}{allowed}",
                hazard.rule, hazard.location.line, hazard.location.column
            )
        })
        .collect()
}

#[test]
fn every_rule_has_a_case_and_every_case_a_rule() {
    let rules: BTreeSet<String> = HAZARD_RULES.iter().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(rules.len(), HAZARD_RULES.len(), "a rule is there twice");
    let folders: BTreeSet<String> = fs::read_dir(cases())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, rules);
}

#[test]
fn the_bad_is_found_by_its_rule_alone_and_the_good_is_not_found() {
    for rule in HAZARD_RULES {
        let read = |file: &str| fs::read_to_string(cases().join(rule.name).join(file)).unwrap();
        let bad = found(&read("bad.sql"));
        assert!(!bad.is_empty(), "{}: nothing was found", rule.name);
        if matches!(rule.name, "delete-without-where" | "update-without-where") {
            // One line each, WITH included.
            assert_eq!(bad.len(), read("bad.sql").lines().count(), "{bad:?}");
        }
        for hazard in &bad {
            assert_eq!(hazard.rule, rule.name, "{hazard:?}");
            assert!(
                !hazard.message.contains("{}") && !hazard.message.contains("{part}"),
                "{hazard:?}"
            );
            assert!(
                hazard.effects.iter().all(|effect| rule.effects.contains(effect)),
                "{hazard:?}"
            );
        }
        let good = found(&read("good.sql"));
        assert_eq!(short(&good), [""; 0], "{}", rule.name);
    }
}

/// What a server does with the relations of the schema `s` in a transaction that has run a statement.
const SEEN: &str = "
    select c.oid::regclass::text,
           pg_relation_filenode(c.oid),
           coalesce(pg_stat_get_xact_numscans(c.oid), 0),
           (select coalesce(string_agg(mode, ' '), '') from pg_locks l
             where l.relation = c.oid and l.pid = pg_backend_pid() and l.granted)
      from pg_class c
     where c.relnamespace = 's'::regnamespace and c.relkind in ('r', 'm', 'i', 'p')
     order by 1";

#[derive(Debug, PartialEq)]
struct Seen {
    relation: String,
    file: String,
    scans: i64,
    locks: Vec<String>,
}

fn seen(connection: &mut Connection) -> Vec<Seen> {
    let rows = connection.query(SEEN, &[]).unwrap();
    rows.iter()
        .map(|row| Seen {
            relation: row.text(0).to_owned(),
            file: row.value(1).unwrap_or_default().to_owned(),
            scans: row.text(2).parse().unwrap(),
            locks: row.text(3).split(' ').map(str::to_owned).collect(),
        })
        .collect()
}

#[test]
fn what_the_rules_say_of_locks_and_files_is_what_a_server_does() {
    let target = support::database("hazard");
    let run = Run::new();
    let mut connection = Connection::open_for_scripts(&target, &run).unwrap();
    connection
        .execute(&fs::read_to_string(cases().join("before.sql")).unwrap())
        .unwrap();
    for rule in HAZARD_RULES {
        let path = cases().join(rule.name).join("bad.sql");
        let script = Script::open(&path, &Variables::new()).unwrap();
        if script.no_transaction() {
            continue;
        }
        let of_file = found(&fs::read_to_string(&path).unwrap());
        connection.execute("begin").unwrap();
        let mut statements = script.statements().unwrap();
        while let Some(statement) = statements.next().unwrap() {
            let before = seen(&mut connection);
            if let Err(error) = connection.execute(statement.text()) {
                let missing = error.to_string().contains("is not available");
                assert!(missing, "{}: {error:?}", rule.name);
                break;
            }
            let after = seen(&mut connection);
            for hazard in of_file
                .iter()
                .filter(|hazard| hazard.statement == Some(statement.number()))
            {
                holds(hazard, &before, &after);
            }
        }
        connection.execute("rollback").unwrap();
    }
}

/// Whether the server did what the hazard says, to a relation that was there before.
fn holds(hazard: &Hazard, before: &[Seen], after: &[Seen]) {
    let pairs = || {
        before.iter().filter_map(|before| {
            let after = after.iter().find(|after| after.relation == before.relation)?;
            Some((before, after))
        })
    };
    let locked =
        |modes: &[&str]| pairs().any(|(_, after)| after.locks.iter().any(|lock| modes.contains(&lock.as_str())));
    let everybody = ["AccessExclusiveLock"];
    let writers = [
        "AccessExclusiveLock",
        "ExclusiveLock",
        "ShareRowExclusiveLock",
        "ShareLock",
    ];
    // These hold rows and not the table.
    let rows = ["delete-without-where", "update-without-where", "filling-column-at-once"].contains(&hazard.rule);
    let loses = hazard.effects.contains(&Effect::LosesData);
    let says = |effect| hazard.effects.contains(&effect);
    let dropped = loses && !says(Effect::BlocksWriters);
    if says(Effect::BlocksReaders) {
        assert!(locked(&everybody), "{hazard:?}\n{after:?}");
    } else if !dropped {
        let relation = hazard.relation.as_deref();
        let newly = pairs().any(|(before, after)| {
            let lock = "AccessExclusiveLock".to_owned();
            Some(after.relation.as_str()) == relation && after.locks.contains(&lock) && !before.locks.contains(&lock)
        });
        assert!(!newly, "{hazard:?}\n{after:?}");
    }
    if says(Effect::BlocksWriters) && !rows {
        assert!(locked(&writers), "{hazard:?}\n{after:?}");
    }
    let rewritten = pairs().any(|(before, after)| before.file != after.file);
    let truncated = hazard.rule.contains("truncate");
    if says(Effect::Rewrites) {
        assert!(rewritten, "{hazard:?}\n{before:?}\n{after:?}");
    } else if !truncated {
        assert!(!rewritten, "{hazard:?}\n{before:?}\n{after:?}");
    }
    if says(Effect::Scans) {
        let scanned = pairs().any(|(before, after)| before.scans < after.scans);
        assert!(scanned, "{hazard:?}\n{before:?}\n{after:?}");
    }
}

#[test]
fn what_is_called_good_runs_and_rewrites_nothing() {
    for rule in HAZARD_RULES {
        let target = support::database("good");
        let run = Run::new();
        let mut connection = Connection::open_for_scripts(&target, &run).unwrap();
        connection
            .execute(&fs::read_to_string(cases().join("before.sql")).unwrap())
            .unwrap();
        let script = Script::open(&cases().join(rule.name).join("good.sql"), &Variables::new()).unwrap();
        let before = seen(&mut connection);
        let mut statements = script.statements().unwrap();
        let mut missing = false;
        if !script.no_transaction() {
            connection.execute("begin").unwrap();
        }
        while let Some(statement) = statements.next().unwrap() {
            if let Err(error) = connection.execute(statement.text()) {
                missing = error.to_string().contains("is not available");
                let old = connection.server_version().major() < 14 && error.to_string().contains("concurrently");
                assert!(missing || old, "{}: {error:?}", rule.name);
                break;
            }
        }
        // REINDEX CONCURRENTLY makes new files too, and blocks nobody.
        if missing || rule.name == "require-concurrent-reindex" {
            continue;
        }
        for after in seen(&mut connection) {
            let same = before.iter().find(|before| before.relation == after.relation);
            assert!(
                same.is_none_or(|before| before.file == after.file),
                "{}: {after:?}",
                rule.name
            );
        }
    }
}

#[test]
fn a_comment_before_in_or_behind_a_statement_allows_a_rule_for_it() {
    let hazards = found(
        "select 1;\n\
         -- What was there is in the archive.\n\
         -- pum: allow ban-drop-table  in the archive since March \n\
         -- pum: allow truncate it is a cache\n\
         drop table a;\n\
         drop table b; -- pum: allow ban-drop-table nobody reads b\n\
         drop table -- pum: allow ban-drop-table c is empty\n\
         c; drop table d;\n\
         -- pum: allow truncate other\n\
         drop table e;\n",
    );
    assert_eq!(
        short(&hazards),
        [
            "ban-drop-table 5:12 (in the archive since March)",
            "ban-drop-table 6:12 (nobody reads b)",
            "ban-drop-table 8:1 (c is empty)",
            "ban-drop-table 8:15",
            "ban-drop-table 10:12",
        ]
    );
    let last = found("drop table a -- pum: allow ban-drop-table nobody reads it");
    assert_eq!(short(&last), ["ban-drop-table 1:12 (nobody reads it)"]);
}

#[test]
fn a_comment_in_the_head_allows_a_rule_for_the_file_alone() {
    let head = "-- pum: no-transaction\n-- pum: allow ban-drop-table nobody reads them\n-- Away with them.\r\n \r\n";
    let second = "-- pum: allow ban-drop-table only the first\ndrop table c;\ndrop table d;";
    let hazards = found_with(
        &[
            (
                "delta_1.0.0_a.sql",
                &format!("{head}drop table a;\ndrop table b;\ntruncate e;"),
            ),
            ("delta_1.0.1_b.sql", second),
        ],
        &options(),
    );
    assert_eq!(
        short(&hazards.told),
        [
            "ban-drop-table 5:12 (nobody reads them)",
            "ban-drop-table 6:12 (nobody reads them)",
            "truncate 7:10",
            "ban-drop-table 2:12 (only the first)",
            "ban-drop-table 3:12",
        ]
    );
    assert_eq!(hazards.told[0].step, "1.0.0 a (delta sql)");
}

#[test]
fn an_allow_that_allows_nothing_is_told_with_what_is_wrong() {
    let hazards = found(
        "-- pum: allow ban-drop-tables all of them\n\
         drop table a; -- pum: allow ban-drop-table\n\
         -- pum: allow\n\
         select 1;\n\
         -- pum: allow truncate nothing follows\n",
    );
    assert_eq!(
        short(&hazards),
        [
            "bad-allow 1:1",
            "bad-allow 2:15",
            "ban-drop-table 2:12",
            "bad-allow 3:1",
            "bad-allow 5:1"
        ]
    );
    assert!(
        hazards[0]
            .message
            .contains("there is no rule \"ban-drop-tables\"; the rules are require-")
    );
    assert!(hazards[1].message.contains("it gives no reason"));
    assert!(hazards[3].message.contains("there is no rule \"\""));
    assert!(hazards[4].message.contains("no statement follows it"));
}

#[test]
fn comments_of_squawk_allow_nothing() {
    let hazards = found("drop table /* squawk-ignore-file */ a; drop table b -- squawk-ignore\n;");
    assert_eq!(short(&hazards), ["ban-drop-table 1:37", "ban-drop-table 1:51"]);
}

#[test]
fn places_are_those_of_the_file_with_variables_put_in() {
    let mut options = options();
    options
        .variables
        .insert("str", "NAME", "a 'very' long value, ünlike its name")
        .unwrap();
    let text = "select '%(NAME)s'; -- é\n\n  /* ö */ alter table s.pipe add check (a <> %(NAME)s), drop column ü;\n";
    let hazards = found_with(&[("delta_1.0.0_a.sql", text)], &options);
    let places = short(&hazards.told);
    assert_eq!(places, ["constraint-missing-not-valid 3:30", "ban-drop-column 3:57"]);
    assert_eq!(hazards.told[1].message, "what the column ü of s.pipe holds is lost");
    assert_eq!(hazards.told[1].location.text, text.lines().nth(2).unwrap());
}

#[test]
fn data_of_copy_and_the_texts_of_functions_are_not_read_as_statements() {
    let hazards = found(
        "copy s.pipe from stdin; -- pum: allow truncate it goes with its line\n\
         drop table s.pipe;\n-- pum: allow nothing\n\\.\n\
         create function f() returns void language sql as $$ delete from s.pipe $$;\n\
         comment on table s.pipe is 'drop table a;';\n\
         insert into s.pipe values ('drop table a;');\n\
         truncate a;",
    );
    assert_eq!(short(&hazards), ["truncate 8:10"]);
}

#[test]
fn a_text_that_cannot_be_read_is_told_and_the_others_are_read() {
    let deep = format!(
        "alter table a add check ({}1{});",
        "(".repeat(30_000),
        ")".repeat(30_000)
    );
    let long = format!("alter table a add check (b in ({}1));", "1, ".repeat(30_000));
    let hazards = found(&format!(
        "alter table a frobnicate;\ndrop table b;\n{long}\n{deep}\ndo language sql 'x';"
    ));
    assert_eq!(
        short(&hazards)[..3],
        [
            "unread 1:1".to_owned(),
            "ban-drop-table 2:12".to_owned(),
            "unread 3:1".to_owned()
        ]
    );
    assert_eq!(hazards[3].location.line, 4);
    assert_eq!(short(&hazards)[4..], ["unread 5:1".to_owned()]);
    let python = found_with(&[("delta_1.0.0_a.py", "import os")], &options());
    assert_eq!(short(&python.told), ["unread 1:1"]);
    assert_eq!(python.told[0].message, "not read: it is written in Python");
}

#[test]
fn statements_in_a_do_block_are_read() {
    let hazards = found(
        "do $body$\ndeclare n int;\nbegin\n  select 1 into n;\n  if n > 0 then\n    drop table a.b;\n  end if;\n\
         \x20 delete from c;\n  execute 'drop table ' || 'd';\nend $body$;",
    );
    assert_eq!(
        short(&hazards),
        ["ban-drop-table 6:5", "delete-without-where 8:3", "unread 9:3"]
    );
}

#[test]
fn what_a_do_block_makes_for_certain_blocks_nobody() {
    let hazards = found(
        "do $$\nbegin\ndrop table c;\ncreate table a (id int);\ncreate index on a (id);\nif true then\n\
         create table b (id int);\nend if;\ncreate index on b (id);\ncreate table c (id int);\nend $$;\n\
         create index on a (id);\ncreate index on c (id);",
    );
    assert_eq!(
        short(&hazards),
        ["ban-drop-table 3:1", "require-concurrent-index-creation 9:1"]
    );
}

#[test]
fn what_the_run_has_made_blocks_nobody() {
    let first = "create table s.a (id int);\n\
                 create temporary table t (id int);\n\
                 truncate t;\n\
                 create table if not exists s.b (id int);\n\
                 alter table s.old rename to older;\n\
                 create table s.old (id int);\n\
                 set search_path to s, public;\n\
                 create table c (id int);";
    let second = "create index on s.a (id);\n\
                  alter table s.a alter column id set not null, add column x int default random();\n\
                  alter table s.a rename to a2;\n\
                  delete from s.a2;\n\
                  drop table s.old;\n\
                  drop table s.c;\n\
                  drop table s.older;\n\
                  drop table s.a;\n\
                  create index on s.b (id);\n\
                  create index on a2 (id);\n\
                  truncate t;";
    let hazards = found_with(
        &[("delta_1.0.0_a.sql", first), ("delta_1.0.1_b.sql", second)],
        &options(),
    );
    assert_eq!(
        short(&hazards.told),
        [
            "ban-drop-table 7:12",
            "ban-drop-table 8:12",
            "require-concurrent-index-creation 9:1",
            // Whose a2 that is, the search_path of the role decides.
            "require-concurrent-index-creation 10:1",
            "truncate 11:10",
        ]
    );
}

#[test]
fn a_default_is_told_with_what_is_known_of_its_function() {
    let hazards = found("alter table a add b int default s.number_of(1), add c uuid default gen_random_uuid();");
    assert_eq!(
        short(&hazards),
        ["adding-field-with-default 1:15", "adding-field-with-default 1:49"]
    );
    assert!(
        hazards[0]
            .message
            .ends_with("if the function number_of is volatile, as functions are unless they say otherwise")
    );
    assert!(hazards[1].message.ends_with("for the new column c"));
}

#[test]
fn validating_in_a_later_delta_is_what_the_advice_says() {
    let add = "alter table a add constraint k check (b > 0) not valid, add constraint f foreign key (c) references d not valid;";
    let validate = "alter table a validate constraint k, validate constraint f;";
    let files = [("delta_1.0.0_a.sql", add), ("delta_1.0.1_b.sql", validate)];
    assert_eq!(short(&found_with(&files, &options()).told), [""; 0]);
    let mut options = options();
    options.single_transaction = true;
    let hazards = found_with(&files, &options).told;
    assert_eq!(
        short(&hazards),
        [
            "validating-in-same-transaction 1:15",
            "validating-in-same-transaction 1:38"
        ]
    );
    assert_eq!(hazards[1].effects, [Effect::BlocksWriters, Effect::Scans]);
}

#[test]
fn of_many_hazards_in_a_file_the_first_are_told_and_the_others_counted() {
    let hazards = found_with(&[("delta_1.0.0_a.sql", &"truncate a;\n".repeat(1234))], &options());
    assert_eq!((hazards.told.len(), hazards.more), (1000, 234));
}

#[test]
fn the_readme_has_the_table_of_rules() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let table: String = HAZARD_RULES
        .iter()
        .filter(|rule| !rule.effects.is_empty())
        .map(|rule| {
            let effects: Vec<String> = rule.effects.iter().map(Effect::to_string).collect();
            let instead = rule.instead.unwrap_or_default();
            format!(
                "| `{}` | {} | {} | {instead} |\n",
                rule.name,
                effects.join(", "),
                rule.sentence("R", "c")
            )
        })
        .collect();
    assert!(readme.contains(&table), "the README must have this table:\n{table}");
}
