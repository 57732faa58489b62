//! Commands on one or two databases.

use serde_json::Value;

use crate::{Ended, Place, ask, execute};

/// A place with deltas 1.1.0 and 1.2.0 and a database at 1.0.0.
fn begun(name: &str) -> (Place, String) {
    let place = Place::new();
    let service = place.database(name);
    place.write(
        "deltas/delta_1.1.0_pipe.sql",
        "create schema water;\ncreate table water.pipe (id int primary key);\n",
    );
    place.write(
        "deltas/delta_1.2.0_size.sql",
        "alter table water.pipe add column size %(KIND)s;\n"
            .replace("%(KIND)s", "int")
            .as_str(),
    );
    place.write("pum.yaml", "upgrades_table: water_sys.info\ndelta_dir: deltas\n");
    place.run(&format!("baseline -p {service} -b 1.0.0")).with(0);
    (place, service)
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}\n{}", ended.out))
}

#[test]
fn a_dry_run_tells_hazards_and_what_the_deltas_allow() {
    let (place, db) = begun("hazards");
    place.write(
        "deltas/delta_1.3.0_away.sql",
        "-- pum: allow ban-drop-table the archive has it\ndrop table archive.old;\n\ntruncate archive.\"pi\u{1b}pe\";\n",
    );
    let text = place.run(&format!("upgrade -p {db} --dry-run")).with(0).out;
    let expected = "\
Hazards that stand in the text of the deltas:
  deltas/delta_1.3.0_away.sql:4:10: truncate (blocks readers, blocks writers, loses data)
    all rows of archive.pi\\x1bpe are lost, and nobody reads or writes it until the transaction ends

Allowed by the deltas:
  deltas/delta_1.3.0_away.sql:2:12: ban-drop-table (loses data)
    all rows of archive.old are lost
    allowed: the archive has it

";
    assert!(text.contains(expected), "{text}");
    let answer = json(&place.run(&format!("upgrade -p {db} --dry-run --format json")).with(0));
    let hazards = answer["hazards"].as_array().unwrap();
    assert_eq!(hazards.len(), 2);
    assert_eq!(hazards[0]["allowed"], "the archive has it");
    assert_eq!(hazards[0]["effects"], serde_json::json!(["loses_data"]));
    assert_eq!(hazards[1]["path"], "deltas/delta_1.3.0_away.sql");
    assert_eq!(
        (hazards[1]["line"].as_u64(), hazards[1]["column"].as_u64()),
        (Some(4), Some(10))
    );
    assert_eq!(answer["more_hazards"], 0);
}

#[test]
fn baseline_info_upgrade() {
    let (place, db) = begun("upgrade");
    let info = place.run(&format!("info -p {db}")).with(0).out;
    assert!(info.starts_with(&format!("{db} is at version 1.0.0.\n")), "{info}");
    assert!(info.ends_with("1 applied, 2 pending.\n"), "{info}");

    let before = ask(&db, "select pg_catalog.pg_current_wal_lsn()::text");
    let plan = place.run(&format!("upgrade -p {db} --dry-run")).with(0);
    assert!(plan.out.contains("2 deltas due, to version 1.2.0"), "{}", plan.out);
    assert!(plan.out.contains("deltas/delta_1.1.0_pipe.sql"), "{}", plan.out);
    assert_eq!(ask(&db, "select pg_catalog.to_regclass('water.pipe')::text"), "");
    let plan = json(&place.run(&format!("upgrade -p {db} --dry-run --format json")).with(0));
    assert_eq!(
        (plan["dry_run"].as_bool(), plan["to"].as_str()),
        (Some(true), Some("1.2.0"))
    );
    assert!(!before.is_empty());

    let ended = place.run(&format!("upgrade -p {db} -u 1.1.0 --format json")).with(0);
    assert!(ended.err.contains("1.1.0 pipe (delta sql)"), "{}", ended.err);
    let done = json(&ended);
    assert_eq!(done["schema"], "pum/upgrade/1");
    assert_eq!(done["steps"][0]["name"], "pipe");
    assert_eq!(done["steps"].as_array().unwrap().len(), 1);
    assert!(done["steps"][0]["execution_time_ms"].is_u64());

    let ended = place.run(&format!("upgrade -p {db}")).with(0);
    assert_eq!(
        ended.out,
        format!("{db} is at version 1.2.0; 1 delta applied, from version 1.1.0.\n")
    );
    let ended = place.run(&format!("upgrade -p {db}")).with(0);
    assert_eq!(ended.out, format!("{db} is at version 1.2.0; nothing was due.\n"));

    let info = json(&place.run(&format!("info -p {db} --format json")).with(0));
    assert_eq!(
        (&info["schema"], &info["current_version"]),
        (&"pum/info/1".into(), &"1.2.0".into())
    );
    assert_eq!(info["deltas"][2]["status"], "applied");
    // A file changed since is told, and one that nearly is a delta.
    place.write("deltas/delta_1.1.0_pipe.sql", "select 1;");
    place.write("deltas/delta_1.3.0_a.b.sql", "select 1;");
    let info = place.run(&format!("info -p {db}")).with(0).out;
    assert!(info.contains("changed since applied"), "{info}");
    assert!(info.contains("deltas/delta_1.3.0_a.b.sql"), "{info}");
    let refused = place.run(&format!("upgrade -p {db}")).with(3);
    assert!(refused.err.contains("delta_1.3.0_a.b.sql"), "{}", refused.err);
    let allowed = place.run(&format!("upgrade -p {db} --allow-near-misses")).with(0);
    assert!(allowed.err.contains("warning: "), "{}", allowed.err);
}

#[test]
fn variables_come_from_both_sides() {
    let (place, db) = begun("variables");
    place.write(
        "deltas/delta_1.3.0_v.sql",
        "create table water.v as select %(A)s as a, %(B)s as b, 'x%%y' as c;\n",
    );
    place.write(
        "pum.yaml",
        "upgrades_table: water_sys.info\ndelta_dir: deltas\nvariables: {A: 1, B: it's}\n",
    );
    place.run(&format!("upgrade -p {db} -v int A -5")).with(0);
    assert_eq!(
        ask(&db, "select pg_catalog.concat_ws(';', a, b, c) from water.v"),
        "-5;it's;x%y"
    );
}

#[test]
fn the_options_of_the_original_need_no_configuration() {
    let (place, db) = begun("original");
    std::fs::remove_file(place.path("pum.yaml")).unwrap();
    place
        .run(&format!(
            "upgrade --pg_service={db} --table water_sys.info --dir deltas --max_version 1.1.0 -vv"
        ))
        .with(0);
    let ended = place.run(&format!("upgrade -p {db} -d deltas")).with(2);
    assert!(ended.err.contains("-t is missing"), "{}", ended.err);
}

#[test]
fn a_failing_delta_is_shown_with_its_line() {
    let (place, db) = begun("failing");
    place.write(
        "deltas/delta_1.2.0_size.sql",
        "select 1;\n\nalter table water.pipe\n    add column größe int,\n    drop column hight;\n",
    );
    let ended = place.run(&format!("upgrade -p {db}")).with(1);
    // What went well before comes first, with its time.
    let (step, error) = ended.err.split_once('\n').unwrap();
    assert!(step.starts_with("  1.1.0 pipe (delta sql) "), "{step}");
    insta::assert_snapshot!(error.replace(&db, "DB"));
    assert_eq!(ended.out, "");
    let info = place.run(&format!("info -p {db}")).with(0).out;
    assert!(info.starts_with(&format!("{db} is at version 1.1.0.\n")), "{info}");

    place.write(
        "deltas/delta_1.2.0_size.sql",
        "do $$ begin\n  raise exception using message = 'no', hint = 'a hint', detail = 'a detail';\nend $$;\n",
    );
    let err = place.run(&format!("upgrade -p {db}")).with(1).err.replace(&db, "DB");
    insta::assert_snapshot!(err);
}

#[test]
fn notices_are_shown_when_asked_for_and_made_safe() {
    let (place, db) = begun("notices");
    place.write(
        "deltas/delta_1.1.1_n.sql",
        "do $$ begin raise notice 'a note \x1b[31m%', 1; raise warning 'be warned \x07'; end $$;\n",
    );
    let quiet = place.run(&format!("upgrade -p {db} -u 1.1.1")).with(0).err;
    assert!(
        !quiet.contains("a note") && quiet.contains("WARNING: be warned \\x07"),
        "{quiet}"
    );
    execute(&db, "delete from water_sys.info where description = 'n'");
    let verbose = place.run(&format!("upgrade -p {db} -u 1.1.1 -vv")).with(0).err;
    assert!(verbose.contains("NOTICE: a note \\x1b[31m1"), "{verbose}");
    assert!(!verbose.contains('\x1b') && !verbose.contains('\x07'), "{verbose:?}");
}

#[test]
fn python_deltas_tell_what_they_say() {
    let (place, db) = begun("python");
    place.write(
        "deltas/delta_1.1.1_p.py",
        "from pum.core.deltapy import DeltaPy\nclass Hello(DeltaPy):\n    def run(self):\n        self.write_message('at %s' % self.current_db_version)\n",
    );
    let err = place.run(&format!("upgrade -p {db} -u 1.1.1")).with(0).err;
    assert!(err.contains("Message from Hello: at 1."), "{err}");
}

#[test]
fn baseline_can_mark_deltas() {
    let place = Place::new();
    let db = place.database("marked");
    place.write("deltas/delta_1.1.0_a.sql", "select 1/0;");
    let told = place
        .run(&format!(
            "baseline -p {db} -t '\"My Sys\".info' -d deltas -b 1.1.0 --mark-applied"
        ))
        .with(0)
        .out;
    assert!(told.contains("Created the schema My Sys."), "{told}");
    assert!(told.contains("1 delta recorded as applied."), "{told}");
    place
        .run(&format!("upgrade -p {db} -t '\"My Sys\".info' -d deltas"))
        .with(0);
    let again = place
        .run(&format!("baseline -p {db} -t '\"My Sys\".info' -d deltas -b 1.1.0"))
        .with(3);
    assert!(again.err.contains("has the baseline 1.1.0 already"), "{}", again.err);
}

#[test]
fn check_tells_by_its_exit_code() {
    let place = Place::new();
    let (left, right) = (place.database("left"), place.database("right"));
    let same = place.run(&format!("check -p1 {left} -p2 {right}")).with(0);
    assert!(same.out.contains("No differences."), "{}", same.out);

    execute(&left, "create table public.pipe (id int, old_x int, y int)");
    execute(
        &right,
        "create table public.pipe (id bigint, y int); create view public.v as select 1 as one",
    );
    let different = place.run(&format!("check -p1 {left} -p2 {right}")).with(1);
    assert!(different.out.contains("id"), "{}", different.out);
    assert!(!different.out.contains('\x1b'));
    let summary = place.run(&format!("check -p1 {left} -p2 {right} -v 0")).with(1).out;
    assert!(summary.len() < different.out.len(), "{summary}");
    let coloured = place
        .run(&format!("check -p1 {left} -p2 {right} --color always"))
        .with(1)
        .out;
    assert!(coloured.contains("\x1b["));

    let report = json(
        &place
            .run(&format!("check -p1 {left} -p2 {right} --format json"))
            .with(1),
    );
    assert_eq!(
        (&report["schema"], &report["same"]),
        (&"pum/check/1".into(), &false.into())
    );

    // What is left out is left out, in every way to say it.
    place
        .run(&format!("check -p1 {left} -p2 {right} -i tables columns views"))
        .with(0);
    place
        .run(&format!("check -p1 {left} -p2 {right} -i views -P id -P 'old\\_%'"))
        .with(0);
    place.run(&format!("check -p1 {left} -p2 {right} -N public")).with(0);
    place.write(
        "pum.yaml",
        "ignore_elements: [views]\nexclude_field_patterns: [id, old_x]\n",
    );
    place.run(&format!("check -p1 {left} -p2 {right}")).with(0);
    place.run(&format!("check -p1 {left} -p2 {right} -i rules")).with(1);
    std::fs::remove_file(place.path("pum.yaml")).unwrap();

    // Into a file, or into nothing.
    let written = place
        .run(&format!("check -p1 {left} -p2 {right} -o report.txt --color always"))
        .with(1);
    assert_eq!(written.out, "The databases differ; the report is in report.txt.\n");
    assert_eq!(
        std::fs::read_to_string(place.path("report.txt")).unwrap(),
        different.out
    );
    let silent = place.run(&format!("check -s -p1 {left} -p2 {right}")).with(1);
    assert_eq!((silent.out.as_str(), silent.err.as_str()), ("", ""));
    place
        .run(&format!("check -p1 {left} -p2 {right} -o no/where.txt"))
        .with(2);

    // What cannot be told is neither.
    let error = place.run(&format!("check -p1 {left} -p2 nowhere")).with(2);
    assert!(error.err.contains("nowhere"), "{}", error.err);
    let error = place
        .run(&format!("check -p1 {left} -p2 'host=127.0.0.1 port=1 password=secret'"))
        .with(2);
    assert!(!error.err.contains("secret"), "{}", error.err);
}

#[test]
fn check_compares_rows_when_asked_to() {
    let place = Place::new();
    let (left, right) = (place.database("rows_left"), place.database("rows_right"));
    let table = "create table public.unit (id int primary key, code text, label text)";
    for (database, rows) in [
        (&left, "(1, 'm', 'metre'), (2, 'km', null)"),
        (&right, "(1, 'm', E'me\u{1b}[2Jter')"),
    ] {
        execute(database, &format!("{table}; insert into public.unit values {rows}"));
    }
    place.run(&format!("check -p1 {left} -p2 {right}")).with(0);
    let rows = place.run(&format!("check -p1 {left} -p2 {right} --data unit")).with(1);
    let told = "public.unit\n  ~ row id=1\n      label: metre → me\\u{1b}[2Jter\n  - row id=2  only left\n";
    assert!(rows.out.contains(told), "{}", rows.out);
    let report = json(
        &place
            .run(&format!("check -p1 {left} -p2 {right} --data unit --format json"))
            .with(1),
    );
    assert_eq!(
        report["differences"][1],
        serde_json::json!({"kind": "data", "schema": "public", "relation": "unit", "name": "id=2", "change": "only_left",
            "attributes": [{"name": "id", "left": "2", "right": null}, {"name": "code", "left": "km", "right": null},
                {"name": "label", "left": null, "right": null}]})
    );
    place
        .run(&format!("check -p1 {left} -p2 {right} --data unit -P label -i tables"))
        .with(1);
    place
        .run(&format!("check -p1 {left} -p2 {left} --data 'public.*'"))
        .with(0);
    place.write("pum.yaml", "data: [public.unit]\n");
    place.run(&format!("check -p1 {left} -p2 {right}")).with(1);
    place.run(&format!("check -p1 {left} -p2 {right} -i data")).with(0);
    place
        .run(&format!("check -p1 {left} -p2 {right} --write-expected known.json"))
        .with(0);
    place
        .run(&format!("check -p1 {left} -p2 {right} --expect known.json"))
        .with(0);
    execute(&right, "update public.unit set label = 'other'");
    place
        .run(&format!("check -p1 {left} -p2 {right} --expect known.json"))
        .with(1);

    // What cannot be told is not the same.
    let typo = place.run(&format!("check -p1 {left} -p2 {right} --data unti")).with(2);
    assert!(typo.err.contains("names no table"), "{}", typo.err);
    place.run(&format!("snapshot -p {left} -o left.json")).with(0);
    let snapshot = place.run(&format!("check -p1 left.json -p2 {left}")).with(2);
    assert!(snapshot.err.contains("snapshot file"), "{}", snapshot.err);
    place.run(&format!("check -p1 left.json -p2 {left} -i data")).with(0);
    execute(
        &right,
        "insert into public.unit select k, 'x' from generate_series(10, 2000) k",
    );
    let many = place
        .run(&format!("check -p1 {left} -p2 {right} --write-expected known.json"))
        .with(2);
    assert!(many.err.contains("nothing was written"), "{}", many.err);
    execute(
        &right,
        "alter table public.unit enable row level security; alter table public.unit force row level security; \
         do $$ begin create role pum_unit login; exception when duplicate_object or unique_violation then null; end $$",
    );
    let denied = place
        .run(&format!("check -p1 {left} -p2 'service={right} user=pum_unit'"))
        .with(2);
    assert!(
        denied.err.contains("public.unit") && denied.err.contains("42501"),
        "{}",
        denied.err
    );
}

#[test]
fn the_upgrades_table_is_no_difference() {
    let (place, db) = begun("with_table");
    let other = place.database("without_table");
    execute(&other, "create schema water_sys");
    place.run(&format!("check -p1 {db} -p2 {other}")).with(0);
    std::fs::remove_file(place.path("pum.yaml")).unwrap();
    place.run(&format!("check -p1 {db} -p2 {other}")).with(1);
    place
        .run(&format!("check -p1 {db} -p2 {other} -t water_sys.info"))
        .with(0);
}

#[test]
fn dump_and_restore() {
    let (place, db) = begun("dumped");
    place.run(&format!("upgrade -p {db}")).with(0);
    execute(
        &db,
        "insert into water.pipe select n, n from generate_series(1, 1000) n; create schema extra",
    );
    let told = place.run(&format!("dump -p {db} water.backup")).with(0).out;
    assert!(told.starts_with(&format!("Dumped {db} into water.backup: ")), "{told}");
    place
        .run(&format!("dump -p {db} -F d -j 2 -N extra -N nothing water.dir"))
        .with(0);
    place.run(&format!("dump -p {db} --format p water.sql")).with(0);
    place.run(&format!("dump -p {db} water.backup")).with(0);

    for (number, (file, options)) in [("water.backup", ""), ("water.dir", "-j 2"), ("water.sql", "")]
        .iter()
        .enumerate()
    {
        let copy = place.database("restored");
        place.run(&format!("restore -p {copy} {options} {file}")).with(0);
        let same = if number == 1 { "-N extra" } else { "" };
        place.run(&format!("check -p1 {db} -p2 {copy} {same}")).with(0);
        assert_eq!(ask(&copy, "select count(*)::text from water.pipe"), "1000");
        let refused = place.run(&format!("restore -p {copy} {file}")).with(3);
        assert!(refused.err.contains("--clean"), "{}", refused.err);
        if *file != "water.sql" {
            place.run(&format!("restore -p {copy} --clean {file}")).with(0);
        }
    }

    // Created, with errors passed over.
    let new = format!("{db}_new");
    let conninfo = format!("service={db} dbname={new}");
    place
        .run(&format!("restore -p '{conninfo}' --create water.backup"))
        .with(0);
    let told = place
        .run(&format!("restore -p '{conninfo}' -x --into-existing water.backup"))
        .with(0)
        .out;
    assert!(
        told.contains("passed over:") && told.contains("already exists"),
        "{told}"
    );

    place.run(&format!("restore -p {db} -x missing.backup")).with(1);
    place.write("broken.backup", "PGDMP and nothing more");
    place
        .run(&format!("restore -p {db} -x --into-existing broken.backup"))
        .with(3);
    place.run(&format!("dump -p {db} no/where/water.backup")).with(1);
}

#[test]
fn programs_can_be_named() {
    let (place, db) = begun("programs");
    place.write("pum.yaml", "pg_dump_exe: missing/pg_dump\n");
    let error = place.run(&format!("dump -p {db} x.backup")).with(1);
    assert!(error.err.contains("missing/pg_dump"), "{}", error.err);
    // The environment wins over the file.
    let found = pum::find_program("pg_dump", Some(15), None).unwrap();
    let ended: Ended = place
        .command(&format!("dump -p {db} x.backup"))
        .env("PG_DUMP_EXE", found)
        .output()
        .unwrap()
        .into();
    ended.with(0);
}
