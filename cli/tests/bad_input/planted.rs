//! Somebody who may create objects in a database has put functions, operators, types and views in the way of every name
//! that pum could call without its schema, and pum runs as a superuser.

use pum::{Connection, Run};

use crate::support::{Place, TABLE, empty_database, server, sql};

/// What is written to the server's log when something planted is called; a transaction that is rolled back keeps it.
const CALLED: &str = "planted and called";

/// In the schema of the user's name every function of pg_catalog again, with a trap for a body. In `public` every operator,
/// which calls those; domains over the common types, whose CHECK is a trap; and views in the place of the catalogs.
const PLANT: &str = r#"
create schema postgres;
set search_path = pg_catalog;
create function public.trap(what text) returns boolean language plpgsql as
  $f$ begin raise log 'planted and called: %', what; return true; end $f$;
do $plant$
declare
  r record;
  type text;
begin
  for r in select proname, prorettype::regtype as result, proretset, pg_get_function_identity_arguments(oid) as arguments
      from pg_proc where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' loop
    begin
      execute format('create function postgres.%I(%s) returns %s %s language plpgsql as
        $f$ begin raise exception ''planted and called''; end $f$',
        r.proname, r.arguments, case when r.proretset then 'setof' else '' end, r.result);
    exception when others then null;
    end;
  end loop;
  for r in select oprname, oprleft::regtype as l, oprright::regtype as r, p.proname
      from pg_operator o join pg_proc p on p.oid = o.oprcode
      where oprnamespace = 'pg_catalog'::regnamespace and oprleft <> 0 and oprright <> 0 loop
    begin
      execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = postgres.%I)',
        r.oprname, r.l, r.r, r.proname);
    exception when others then null;
    end;
  end loop;
  for r in select relname from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v') loop
    begin
      execute format('create view public.%I as select * from pg_catalog.%I where public.trap(%L)',
        r.relname, r.relname, r.relname);
    exception when others then null;
    end;
  end loop;
  foreach type in array array['text', 'name', 'oid', 'int4', 'int8', 'bool', 'uuid', 'varchar', 'regclass', 'regproc'] loop
    execute format('create domain public.%I as pg_catalog.%I check (public.trap(%L))', type, type, type);
  end loop;
end $plant$;
-- A better match than what there is, for a literal without a type that is compared with a varchar.
create function public.eq(varchar, text) returns boolean language plpgsql as
  $f$ begin raise exception 'planted and called'; end $f$;
create operator public.= (leftarg = varchar, rightarg = text, function = public.eq);
do $$ begin
  execute format('alter database %I set search_path = "$user", public, pg_catalog', current_database());
end $$"#;

/// A database full of traps, and in it a table with rows.
fn planted(name: &str) -> pum::Target {
    let target = empty_database(name);
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    connection
        .execute("create schema water; create table water.pipe (id pg_catalog.int4 primary key, v pg_catalog.text); insert into water.pipe values (1, 'a')")
        .unwrap();
    connection.execute(PLANT).unwrap();
    target
}

#[test]
fn nothing_planted_is_called_by_any_command() {
    let production = planted("planted");
    let template = sql(&production, "select pg_catalog.current_database()");
    let other = server().create_database_from("planted_too", &template).unwrap();
    // Settings of a database do not come along.
    let mut connection = Connection::open(&other, &Run::new()).unwrap();
    connection
        .execute("alter database planted_too set search_path = \"$user\", public, pg_catalog")
        .unwrap();
    let count = sql(
        &production,
        "select pg_catalog.count(*)::pg_catalog.text from pg_catalog.pg_proc where pronamespace operator(pg_catalog.=) 'postgres'::pg_catalog.regnamespace",
    );
    assert!(count.parse::<u32>().unwrap() > 2000, "{count}");
    let log = server().socket_directory().join("log");
    let traps = || std::fs::read_to_string(&log).unwrap().matches(CALLED).count();
    // The traps are sharp: what is careless falls into one.
    let mut careless = Connection::open_for_scripts(&production, &Run::new()).unwrap();
    for sql in [
        "select lower('A')",
        "select 1 = 1",
        "select relname from pg_class",
        "select 'a'::text",
    ] {
        let untouched = traps();
        let _ = careless.execute(sql);
        assert!(traps() > untouched, "{sql}");
    }
    let before = traps();
    let place = Place::with_deltas(&[
        (
            "delta_1.1.0_a.sql",
            "create table water.a (id pg_catalog.int4);\ninsert into water.a values (1);\n",
        ),
        (
            "delta_1.2.0_b.sql",
            "-- pum: no-transaction\ncreate table water.b (id pg_catalog.int4);\nvacuum water.a;\n",
        ),
        (
            "delta_1.2.0_b.post.py",
            "from pum.core.deltapy import DeltaPy\nclass B(DeltaPy):\n    def run(self):\n        pass\n",
        ),
    ]);
    let (name, other_name) = (production.name(), other.name());
    let deltas = ["-t", TABLE, "-d", "deltas"];
    let on = |words: &[&str]| -> Vec<String> { words.iter().chain(&deltas).map(|word| (*word).to_owned()).collect() };
    let commands: Vec<(Vec<String>, i32)> = vec![
        (
            ["baseline", "-p", &name, "-t", TABLE, "-b", "1.0.0"]
                .map(str::to_owned)
                .to_vec(),
            0,
        ),
        (on(&["info", "-p", &name]), 0),
        (on(&["upgrade", "-p", &name, "--dry-run"]), 0),
        (
            ["snapshot", "-p", &name, "-o", "planted.json"]
                .map(str::to_owned)
                .to_vec(),
            0,
        ),
        (["dump", "-p", &name, "planted.backup"].map(str::to_owned).to_vec(), 0),
        (on(&["test", "-pp", &name, "-pc", &other_name]), 1),
        (on(&["upgrade", "-p", &name]), 0),
        (on(&["info", "-p", &name]), 0),
        (
            ["check", "-p1", &name, "-p2", &other_name, "--data", "water.pipe"]
                .map(str::to_owned)
                .to_vec(),
            1,
        ),
        (
            ["check", "-p1", &name, "-p2", "planted.json"]
                .map(str::to_owned)
                .to_vec(),
            1,
        ),
    ];
    for (words, code) in commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = place.pum(&words);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains(CALLED), "{ended:#?}");
        assert_eq!(ended.code, code, "{ended:#?}");
        assert_eq!(traps(), before, "{ended:#?}");
    }
}
