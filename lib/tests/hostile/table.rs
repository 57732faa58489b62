//! What stands in the place of the upgrades table, or has been done to it.

use pum::{BaselineOptions, ErrorKind, Run, baseline};

use crate::{Case, execute, holds, support, table, told};

const COLUMNS: &str = "id int, version varchar(50), description varchar(200), type int, script varchar(1000), \
     checksum varchar(32), installed_by varchar(100), installed_on timestamp default now(), execution_time int, success boolean";

#[test]
fn what_cannot_hold_a_history_is_refused_by_what_it_is() {
    for (sql, words) in [
        (
            format!("create unlogged table pum_sys.upgrades ({COLUMNS})"),
            "unlogged",
        ),
        (
            "create view pum_sys.upgrades as select 1 as id".to_owned(),
            "it is a view",
        ),
        (
            "create materialized view pum_sys.upgrades as select 1 as id".to_owned(),
            "it is a view",
        ),
        ("create sequence pum_sys.upgrades".to_owned(), "it is a sequence"),
        (
            "create type pum_sys.upgrades as (id int)".to_owned(),
            "it is not a table",
        ),
        (
            "create table pum_sys.t (id int); create index upgrades on pum_sys.t (id)".to_owned(),
            "it is an index",
        ),
        (
            format!(
                "create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing; \
                 create foreign table pum_sys.upgrades ({}) server nowhere",
                COLUMNS.replace(" default now()", "")
            ),
            "it is a foreign table",
        ),
        (
            format!(
                "create table pum_sys.upgrades ({COLUMNS}); alter table pum_sys.upgrades enable row level security, force row level security"
            ),
            "row security",
        ),
        (
            "create table pum_sys.upgrades (id int, version text, script text)".to_owned(),
            "it has no column description, type",
        ),
        // The table of another tool.
        (
            "create table pum_sys.upgrades (version varchar(128) primary key)".to_owned(),
            "is not an upgrades table of pum",
        ),
    ] {
        let case = Case::bare(support::database("unfit"));
        case.execute(&format!("create schema pum_sys; {sql}"));
        case.delta("create table public.a ();");
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{sql}: {error}");
        holds(error.message(), &["pum_sys.upgrades", words]);
        let options = BaselineOptions::new(table(), "1.0.0".parse().unwrap());
        let error = baseline(&case.target, &options, &Run::new()).unwrap_err();
        holds(&told(&error), &[words, "nothing was changed"]);
        assert!(!case.has("public.a"), "{sql}");
    }
    // A partitioned one keeps rows as any other.
    let case = Case::bare(support::database("partitioned"));
    case.execute(&format!(
        "create schema pum_sys; create sequence pum_sys.numbers start 2; create table pum_sys.upgrades ({}) partition by list (success); \
         create table pum_sys.yes partition of pum_sys.upgrades for values in (true); \
         create table pum_sys.no partition of pum_sys.upgrades for values in (false); \
         insert into pum_sys.upgrades values (1, '1.0.0', 'baseline', 0, '', '', 'postgres', now(), 1, true)",
        COLUMNS.replace("id int", "id int default nextval('pum_sys.numbers')")
    ));
    case.delta("create table public.a ();");
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(case.rows(), "1.1.0 a t done");
}

/// Triggers, rules and policies that keep a row from being written, or write another.
#[test]
fn what_is_planted_on_the_table_never_makes_a_delta_applied_and_unrecorded() {
    let function = |body: &str| {
        format!("create function pum_sys.f() returns trigger language plpgsql as $$ begin {body} end $$; ")
    };
    let trigger =
        |when: &str| format!("create trigger f {when} on pum_sys.upgrades for each row execute function pum_sys.f()");
    for (about, sql) in [
        (
            "insert that does nothing",
            function("return null;") + &trigger("before insert"),
        ),
        (
            "update that does nothing",
            function("return null;") + &trigger("before update"),
        ),
        (
            "update that fails",
            function("raise exception 'no'; return null;") + &trigger("after update"),
        ),
        (
            "insert that fails",
            function("raise exception 'no'; return null;") + &trigger("after insert"),
        ),
        (
            "another run's row",
            function("new.run_id = null; return new;") + &trigger("before insert"),
        ),
        (
            "row that is deleted",
            function("delete from pum_sys.upgrades where type <> 0; return null;") + &trigger("after insert"),
        ),
        (
            "rule for insert",
            "create rule r as on insert to pum_sys.upgrades do instead nothing".to_owned(),
        ),
        (
            "rule for update",
            "create rule r as on update to pum_sys.upgrades do instead nothing".to_owned(),
        ),
        (
            "check",
            "alter table pum_sys.upgrades add check (version <> '1.1.0')".to_owned(),
        ),
        ("commit", function("commit; return null;") + &trigger("after insert")),
    ] {
        let case = Case::new("planted_on");
        case.execute("alter table pum_sys.upgrades add column if not exists run_id uuid");
        case.execute(&sql);
        case.delta("create table public.a ();");
        let error = case.upgrade().unwrap_err();
        holds(error.state().unwrap(), &["1.1.0 a (delta sql) was rolled back"]);
        assert!(!case.has("public.a"), "{about}");
        assert_eq!(
            case.ask("select count(*) from pum_sys.upgrades where type <> 0"),
            "0",
            "{about}"
        );
    }
    // One that hides its rows from who is not the owner.
    let case = Case::new("policy");
    case.execute(
        "do $$ begin create role pum_policy login; exception when duplicate_object then null; end $$; \
         grant usage on schema pum_sys to pum_policy; grant select, insert, update on pum_sys.upgrades to pum_policy; \
         grant usage on all sequences in schema pum_sys to pum_policy; grant create on schema public to pum_policy; \
         alter table pum_sys.upgrades enable row level security",
    );
    case.delta("create table public.a ();");
    let error = case
        .upgrade_with(&case.options(), &case.target.clone().with("user", "pum_policy"))
        .unwrap_err();
    holds(&told(&error), &["row-level security", "pum_sys"]);
    case.is_as_it_was("policy");
}

#[test]
fn a_sequence_that_went_backwards_is_told_with_what_puts_it_right() {
    let case = Case::new("sequence");
    case.write("delta_1.0.1_one.sql", "select 1");
    case.write("delta_1.0.2_two.sql", "select 1");
    assert_eq!(case.upgrade().unwrap().len(), 2);
    case.execute("select setval('pum_sys.upgrades_id_seq', 1, true)");
    case.delta("create table public.a ();");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.sqlstate(), Some("23505"), "{error}");
    holds(error.state().unwrap(), &["1.1.0 a (delta sql) was rolled back"]);
    assert!(!case.has("public.a"));
    let remedy = error.hint().unwrap().split_once("SELECT").unwrap().1;
    case.execute(&format!("SELECT{remedy}"));
    assert_eq!(case.upgrade().unwrap().len(), 1);
}

#[test]
fn databases_of_other_encodings_are_upgraded_and_recorded() {
    for (encoding, text, bytes) in [
        ("LATIN1", "Zürich", "\\x5afc72696368"),
        ("EUC_JP", "水", "\\xbfe5"),
        ("SQL_ASCII", "Zürich", "\\x5ac3bc72696368"),
        ("UTF8", "Zürich", "\\x5ac3bc72696368"),
    ] {
        let name = format!("encoding_{}", encoding.to_lowercase());
        execute(
            &support::server().target("postgres"),
            &format!("create database {name} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"),
        );
        let case = Case::of(support::server().target(&name));
        case.delta(format!("create table public.a as select '{text}'::text as t;"));
        if encoding == "EUC_JP" {
            // What a database cannot hold is said, and nothing is half done.
            case.write("delta_1.0.1_अ.sql", "create table public.b ();");
            let error = case.upgrade().unwrap_err();
            assert_eq!(error.sqlstate(), Some("22P05"), "{error}");
            holds(error.state().unwrap(), &["was rolled back"]);
            case.is_as_it_was(encoding);
            std::fs::remove_file(case.directory.path().join("delta_1.0.1_अ.sql")).unwrap();
        }
        assert_eq!(case.upgrade().unwrap().len(), 1, "{encoding}");
        let stored = case.ask(
            "select convert_to(t, (select pg_encoding_to_char(encoding) from pg_database \
             where datname = current_database()))::text from public.a",
        );
        if encoding != "SQL_ASCII" {
            assert_eq!(stored, bytes, "{encoding}");
        }
        assert_eq!(case.ask("select t from public.a"), text, "{encoding}");
        assert_eq!(case.upgrade().unwrap().len(), 0, "{encoding}");
        assert_eq!(case.heard("SQL_ASCII"), encoding == "SQL_ASCII", "{encoding}");
    }
}
