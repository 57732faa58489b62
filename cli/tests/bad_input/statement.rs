//! Statements that the server refuses, and the variables in them.

use crate::support::{Ended, Place, TABLE, contents, database, sql};

#[test]
fn a_syntax_error_at_the_end_of_a_long_file() {
    let target = database("long");
    let mut text = "create table public.p(id int, name text);\n".to_owned();
    for number in 2..10_000 {
        text.push_str(&format!("insert into public.p values ({number}, 'größe %');\n"));
    }
    text.push_str("  insert intoo public.p values (1, 'x');\n");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", &text)]);
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&[
            "syntax error at or near \"intoo\"",
            "SQLSTATE: 42601",
            "1.1.0 a (delta sql) was rolled back",
        ])
        .points_at(
            "deltas/delta_1.1.0_a.sql:10000:10",
            "  insert intoo public.p values (1, 'x');",
        );
}

#[test]
fn an_error_in_a_function_called_by_a_do_block() {
    let target = database("function");
    let text = "\
create function public.share(part int, whole int) returns int language plpgsql as $$
begin
  return part / whole;
end $$;

do $body$
declare
  n int;
begin
  n := 1;
  perform public.share(n, 0);
end
$body$;
";
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", text)]);
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&[
            "division by zero",
            "SQLSTATE: 22012",
            "PL/pgSQL function share(integer,integer) line 3 at RETURN",
            "PL/pgSQL function inline_code_block line 6 at PERFORM",
            "was rolled back",
        ])
        .points_at("deltas/delta_1.1.0_a.sql:11:3", "  perform public.share(n, 0);");
}

#[test]
fn the_servers_detail_and_hint_are_told() {
    let target = database("detail");
    sql(
        &target,
        "create table public.town(id int primary key, name text check (name <> ''));\ninsert into public.town values (1, 'Arvel') returning ''",
    );
    let place = Place::with_deltas(&[
        ("delta_1.1.0_a.sql", "create table public.a();"),
        ("delta_1.2.0_b.sql", "insert into public.town values (1, 'Brenn');"),
        ("delta_1.3.0_c.sql", "select 1;"),
    ]);
    place
        .upgrade(&target, &[])
        .fails(1)
        .says(&[
            "duplicate key value violates unique constraint \"town_pkey\"",
            "detail: Key (id)=(1) already exists.",
            "SQLSTATE: 23505",
            "applied by this run: 1.1.0 a (delta sql); 1.2.0 b (delta sql) was rolled back; not applied: 1.2.0 b (delta \
             sql), 1.3.0 c (delta sql)",
        ])
        .points_at("deltas/delta_1.2.0_b.sql:1:1", "insert into public.town values (1, 'Brenn');");
    assert_eq!(
        sql(&target, "select max(version) from water_sys.upgrades where success"),
        "1.1.0"
    );

    // All or nothing.
    let target = database("together");
    place
        .refused_upgrade(&target, &["--single-transaction"])
        .fails(1)
        .says(&["relation \"public.town\" does not exist", "everything was rolled back"]);
}

#[test]
fn no_line_of_a_script_passes_for_one_of_pums() {
    const FORGED: &str = "fine\\n1.0.0 n (delta sql) 9 ms\\n= state: everything is applied\\n= help: go home";
    let target = database("forged");
    let place = Place::with_deltas(&[
        (
            "delta_1.1.0_a.sql",
            &format!("do $$ begin raise warning E'{FORGED}'; end $$;"),
        ),
        (
            "delta_1.2.0_b.sql",
            &format!(
                "do $$ begin raise exception using message = E'{FORGED}', detail = E'{FORGED}', hint = E'{FORGED}'; end $$;"
            ),
        ),
    ]);
    // A warning tells names of files, too.
    place.write("deltas/delta_1.1\n= state: all.sql", "");
    let ended = place.upgrade(&target, &["--allow-near-misses"]).fails(1);
    let forged: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("go home")).collect();
    assert!(forged.len() >= 3, "{ended:#?}");
    for line in ended.stderr.lines() {
        let begins = |text: &str| line.trim_start().starts_with(text);
        assert!(
            !begins("1.0.0 n")
                && !begins("= state: everything")
                && !begins("= state: all")
                && !begins("= help: go home"),
            "{line:?} in {ended:#?}"
        );
    }
    ended.says(&[
        "left out \"deltas/delta_1.1\\n= state: all.sql\"",
        "\n  | = state: everything is applied\n",
    ]);
}

#[test]
fn a_full_disk_for_the_answer_does_not_pass_for_a_failed_upgrade() {
    let target = database("full");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    let name = target.name();
    for more in [&[][..], &["--format", "json"]] {
        let words = [&["upgrade", "-p", &name, "-t", TABLE, "-d", "deltas"][..], more].concat();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(&words).stdout(full).output().unwrap();
        let ended = Ended::new(&output, &words).fails(1);
        ended.says(&[
            "cannot write to standard output",
            "state: the upgrade itself is done and committed: ",
            "at version 1.1.0",
        ]);
    }
    let words = ["upgrade", "-p", &name, "-t", TABLE, "-d", "deltas", "--dry-run"];
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place.command(&words).stdout(full).output().unwrap();
    let ended = Ended::new(&output, &words).fails(1);
    assert!(!ended.stderr.contains("state:"), "{ended:#?}");
}

#[test]
fn variables() {
    let text = "select %(SRID)s;\nselect '%(SRIDD)s';\n";
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", text)]);
    let target = database("variables");
    // Given, and another one asked for: the likely one is named.
    place
        .refused_upgrade(&target, &["-v", "int", "SRID", "2056"])
        .fails(2)
        .says(&["SRIDD", "state: nothing was changed"])
        .points_at("deltas/delta_1.1.0_a.sql:2:9", "select '%(SRIDD)s';")
        .helps(&["SRID"]);
    // None given: what would be a syntax error for the server is told as what it is.
    place
        .refused_upgrade(&target, &[])
        .fails(1)
        .says(&["syntax error at or near \"%\"", "SQLSTATE: 42601"])
        .points_at("deltas/delta_1.1.0_a.sql:1:8", "select %(SRID)s;")
        .helps(&["-v TYPE SRID VALUE"]);
    // A lone percent sign, once variables are given.
    place.write("deltas/delta_1.1.0_a.sql", "select 1;\nselect 7 % 2;\n");
    place
        .refused_upgrade(&target, &["-v", "int", "SRID", "2056"])
        .fails(2)
        .says(&["%"])
        .points_at("deltas/delta_1.1.0_a.sql:2:10", "select 7 % 2;")
        .helps(&["%%"]);
    place.upgrade(&target, &[]).succeeds();
}

#[test]
fn variables_that_are_given_wrongly() {
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select %(SRID)s;")]);
    let target = database("variables");
    for (words, said) in [
        (&["int", "SRID", "2056.5"][..], "2056.5"),
        (&["int", "SRID", "many"], "many"),
        (&["integer", "SRID", "2056"], "integer"),
        (&["float", "SRID", "1,5"], "1,5"),
        (&["int", "A)B", "1"], "A)B"),
        (&["int", "", "1"], "name"),
    ] {
        let more = [&["-v"], words].concat();
        place
            .refused_upgrade(&target, &more)
            .fails(2)
            .says(&["variable", said])
            .helps(&[]);
    }
    // A word is missing.
    let ended = place.refused_upgrade(&target, &["-v", "int", "SRID"]).fails(2);
    assert!(ended.stderr.contains("3 values"), "{ended:#?}");
}

#[test]
fn a_lock_that_another_session_holds() {
    let target = database("lock");
    sql(&target, "create table public.pipe(id int);\nselect ''");
    let before = contents(&target);
    let mut other = pum::Connection::open(&target, &pum::Run::new()).unwrap();
    other
        .execute("begin; lock table public.pipe in access share mode")
        .unwrap();
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "alter table public.pipe add length int;")]);
    let mut child = place
        .command(&[
            "upgrade",
            "-p",
            &target.name(),
            "-t",
            "water_sys.upgrades",
            "-d",
            "deltas",
            "--lock-timeout",
            "50ms",
        ])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It tries again, and succeeds once the other one is gone.
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(child.try_wait().unwrap(), None);
    assert!(before.contains("pipe r"));
    drop(other);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("in the way") && said.contains("lock timeout"), "{said}");
    assert_eq!(
        sql(&target, "select max(version) from water_sys.upgrades where success"),
        "1.1.0"
    );
}
