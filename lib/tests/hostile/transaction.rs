//! Scripts that leave, or try to leave, the transaction that pum began for them.

use pum::ErrorKind;

use crate::{Case, holds, told};

/// Ways to end or begin a transaction.
const WAYS: [&str; 44] = [
    "commit",
    "COMMIT",
    "commit work",
    "commit transaction",
    "commit and chain",
    "commit work and chain",
    "commit transaction and no chain",
    "end",
    "end work",
    "end transaction",
    "end and chain",
    "rollback",
    "rollback work",
    "rollback transaction",
    "rollback and chain",
    "rollback work and no chain",
    "abort",
    "abort work",
    "abort transaction",
    "abort and chain",
    "begin",
    "begin work",
    "begin transaction",
    "begin isolation level serializable",
    "begin read only",
    "begin transaction deferrable",
    "start transaction",
    "start transaction read write",
    "start transaction isolation level repeatable read, read only",
    "prepare transaction 'pum'",
    "commit prepared 'pum'",
    "rollback prepared 'pum'",
    "commit; begin",
    "commit; start transaction",
    "end; begin isolation level read committed",
    "rollback; begin",
    "rollback; start transaction read write",
    "abort; begin",
    "commit and chain; rollback and chain",
    "begin; commit",
    "savepoint s; commit; begin; savepoint s",
    "savepoint s; rollback to s; rollback; begin",
    "prepare transaction 'pum'; begin",
    "commit; begin; commit; begin",
];

/// What may stand around it without changing what it is.
const AROUND: [(&str, &str); 16] = [
    ("/* not yet */ ", ""),
    ("/* /* nested; */ ' */", " /* ; */"),
    ("-- '\n", " -- ;\n"),
    (";;", ";;"),
    ("\t\r\n\u{c}", "\t"),
    ("select ';';", ""),
    ("select E'\\';';", ""),
    ("select U&'\\003b';", ""),
    ("select $$;commit;$$;", ""),
    ("select $x$ $$ ' $x$;", ""),
    ("select 1 as \";'\";", ""),
    ("select 5 operator(pg_catalog.-) -- it's\n 2;", ""),
    ("create temp table c (t text); copy c from stdin;\n';\n\\.\n", ""),
    ("do 'begin null; end';", ""),
    (
        "create function pg_temp.f() returns int language sql as 'select 1;';",
        "",
    ),
    ("\u{feff}", ""),
];

#[test]
fn every_way_out_is_refused_before_anything_runs() {
    let case = Case::new("ways_out");
    let mut scripts: Vec<String> = WAYS
        .iter()
        .map(|way| format!("create table public.a ();\n{way};\ncreate table public.b ();\n"))
        .collect();
    for (before, after) in &AROUND[..AROUND.len() - 1] {
        for way in ["commit", "rollback; begin"] {
            scripts.push(format!(
                "create table public.a ();\n{before}{way}{after};\ncreate table public.b ();\n"
            ));
        }
    }
    scripts.push("\u{feff}commit; create table public.a ();".to_owned());
    assert!(scripts.len() > 60);
    for script in &scripts {
        case.delta(script);
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{script}: {error}");
        assert_eq!(error.state(), Some("nothing was changed"), "{script}");
        assert!(error.location().is_some_and(|location| location.line > 0), "{script}");
        holds(error.hint().unwrap(), &["COMMIT"]);
    }
    case.is_as_it_was("after all of them");
}

#[test]
fn what_no_reading_can_tell_the_server_refuses() {
    let case = Case::new("called");
    case.execute(
        "create procedure public.ends() language plpgsql as 'begin commit; end'; \
         create procedure public.gives_up() language plpgsql as 'begin rollback; end'; \
         create procedure public.hides() language plpgsql as $$ begin execute 'commit'; end $$; \
         create function public.within() returns int language plpgsql as 'begin call public.ends(); return 1; end'",
    );
    for way in [
        "do $$ begin commit; end $$",
        "do 'begin rollback; end'",
        "do $$ begin execute 'commit'; end $$",
        "do $$ begin execute 'rollback; begin'; end $$",
        "do $$ begin execute 'com' || 'mit and chain'; end $$",
        "do $$ begin begin commit; exception when division_by_zero then null; end; end $$",
        "do $$ begin execute 'prepare transaction ''x'''; end $$",
        "call public.ends()",
        "call public.gives_up()",
        "call public.hides()",
        "select public.within()",
        "do $$ begin call public.ends(); end $$",
    ] {
        case.delta(format!(
            "create table public.a ();\n{way};\ncreate table public.b ();\n"
        ));
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{way}: {error}");
        holds(error.state().unwrap(), &["1.1.0 a (delta sql) was rolled back"]);
        case.is_as_it_was(way);
    }
}

/// With `standard_conforming_strings = off` the server ends texts elsewhere than pum, and sees a COMMIT where pum sees a
/// text. The proof at the end is what is left, and it must not say that all was rolled back.
#[test]
fn a_way_out_that_only_the_server_sees_is_found_and_not_recorded_as_applied() {
    for (way, stays) in [
        ("commit; begin", true),
        ("rollback; begin", false),
        ("commit and chain", true),
    ] {
        let case = Case::new("unseen");
        case.delta(format!(
            "create table public.a ();\nset standard_conforming_strings = off;\nselect '\\''; {way}; --';\n\
             create table public.b ();\n"
        ));
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stopped, "{way}: {error}");
        holds(error.message(), &["left the transaction that pum began for it"]);
        holds(error.hint().unwrap(), &["may be committed already"]);
        assert!(
            !error.state().unwrap().contains("rolled back"),
            "{way}: {:?}",
            error.state()
        );
        assert_eq!((case.has("public.a"), case.has("public.b")), (stays, false), "{way}");
        assert_eq!(
            case.ask("select count(*) from pum_sys.upgrades where success and type <> 0"),
            "0"
        );
    }
    // Whatever the way is, it is not recorded as applied when a part of it is gone or was committed before.
    let mut tried = 0;
    for way in WAYS.iter().filter(|way| !way.contains('\'')) {
        let case = Case::new("unseen");
        case.delta(format!(
            "create table public.a ();\nset standard_conforming_strings = off;\nselect '\\''; {way}; --';\n\
             create table public.b ();\n"
        ));
        match case.upgrade() {
            // BEGIN in a transaction is a warning of the server, and ends nothing.
            Ok(steps) => {
                let one = way.starts_with("begin") || way.starts_with("start");
                assert!(one && steps.len() == 1 && !way.contains("commit"), "{way}");
                assert!(case.has("public.a") && case.has("public.b"), "{way}");
            }
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::Stopped | ErrorKind::Server),
                    "{way}: {error}"
                );
                let applied = "select count(*) from pum_sys.upgrades where success and type <> 0";
                assert_eq!(case.ask(applied), "0", "{way}");
            }
        }
        tried += 1;
    }
    assert!(tried > 35);
}

#[test]
fn savepoints_of_any_name_are_the_scripts_own() {
    let case = Case::new("savepoints");
    case.delta(
        "create table public.a (i int); savepoint pum; insert into public.a values (1); rollback to pum; \
         savepoint a; insert into public.a values (2); release pum; savepoint \"pum guard\"; insert into public.a values (3);",
    );
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(case.ask("select string_agg(i::text, ',') from public.a"), "2,3");
}

/// What a server refuses in a transaction block, whatever its arguments are.
const OUTSIDE: [&str; 38] = [
    "create index concurrently on public.t (i)",
    "create unique index concurrently if not exists t_i on public.t (i)",
    "CREATE /* at night */ INDEX\nCONCURRENTLY ON public.t (i)",
    "drop index concurrently public.t_j",
    "drop index concurrently if exists public.t_j",
    "reindex table concurrently public.t",
    "reindex index concurrently public.t_j",
    "reindex schema public",
    "reindex schema concurrently public",
    "reindex (verbose) schema public",
    "create index concurrently t_k on only public.t using hash (i)",
    "drop index concurrently public.t_j restrict",
    "reindex (verbose) index concurrently public.t_j",
    "vacuum (full, analyze) public.t",
    "vacuum verbose public.t",
    "reindex database :db",
    "reindex database concurrently :db",
    "reindex system :db",
    "vacuum",
    "vacuum public.t",
    "vacuum full public.t",
    "vacuum (analyze) public.t",
    "vacuum freeze verbose analyze",
    "create database other",
    "create database other template template0",
    "drop database other",
    "drop database if exists other with (force)",
    "create tablespace other location '/nowhere'",
    "drop tablespace other",
    "drop tablespace if exists other",
    "alter system set work_mem = '5MB'",
    "alter system reset all",
    "alter database :db set tablespace pg_default",
    "cluster",
    "cluster verbose",
    "discard all",
    "create subscription s connection 'dbname=nowhere' publication p",
    "create subscription s connection 'dbname=nowhere' publication p with (copy_data = false)",
];

#[test]
fn every_command_that_needs_no_transaction_is_known_before_the_run() {
    let case = Case::new("outside");
    case.execute("create table public.t (i int); create index t_j on public.t (i)");
    let name = case.ask("select quote_ident(current_database())");
    let major: u32 = case
        .ask("select current_setting('server_version_num')")
        .parse::<u32>()
        .unwrap()
        / 10_000;
    let mut commands: Vec<String> = OUTSIDE.iter().map(|command| command.replace(":db", &name)).collect();
    if major >= 14 {
        case.execute(
            "create table public.p (i int) partition by range (i); \
             create table public.p1 partition of public.p for values from (1) to (2)",
        );
        commands.push("alter table public.p detach partition public.p1 concurrently".to_owned());
        commands.push("reindex (concurrently) table public.t".to_owned());
    }
    for command in &commands {
        // The server is the oracle: it refuses just these in a block.
        if !command.contains("with (force)") || major >= 13 {
            let mut connection = pum::Connection::open_for_scripts(&case.target, &pum::Run::new()).unwrap();
            connection.execute("begin").unwrap();
            let error = connection.execute(command).unwrap_err();
            assert_eq!(error.sqlstate(), Some("25001"), "{command}: {error}");
        }
        for around in ["", "/* nightly */ ", "-- it's\n", "select 1; "] {
            case.delta(format!("create table public.a ();\n{around}{command};\n"));
            let error = case.upgrade().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{command}: {error}");
            holds(
                &told(&error),
                &[
                    "cannot run inside a transaction",
                    "-- pum: no-transaction",
                    "nothing was changed",
                ],
            );
        }
    }
    case.is_as_it_was("after all of them");
    // Where it depends on what is there, only the server knows, and says it in time.
    case.execute("create table public.q (i int) partition by range (i); create index on public.q (i)");
    if major >= 14 {
        case.delta("create table public.a (); reindex table public.q;");
        let error = case.upgrade().unwrap_err();
        assert_eq!(error.sqlstate(), Some("25001"), "{error}");
        holds(&told(&error), &["was rolled back", "-- pum: no-transaction"]);
        case.is_as_it_was("reindex of a partitioned table");
    }
    // The same words in a text are no command.
    case.delta("select 'vacuum;', $$ create database x; $$; -- vacuum;\n/* reindex schema public; */");
    assert_eq!(case.upgrade().unwrap().len(), 1);
}

#[test]
fn a_value_of_an_enum_that_is_used_too_soon_is_told_with_the_way() {
    let case = Case::new("enum");
    case.execute("create type public.e as enum ('one'); create table public.t (e public.e)");
    case.delta("alter type public.e add value 'two';\ninsert into public.t values ('two');\n");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.sqlstate(), Some("55P04"), "{error}");
    holds(&told(&error), &["in a later delta", "was rolled back"]);
    assert_eq!(case.rows(), "");
    case.delta("alter type public.e add value 'two';\n");
    case.write("delta_1.2.0_b.sql", "insert into public.t values ('two');\n");
    assert_eq!(case.upgrade().unwrap().len(), 2);
}

#[test]
fn a_constraint_that_waits_for_commit_fails_its_own_delta() {
    let case = Case::new("deferred");
    case.execute(
        "create table public.r (i int primary key); \
         create table public.t (i int references public.r deferrable initially deferred)",
    );
    case.write("delta_1.0.1_good.sql", "insert into public.r values (1);");
    case.delta("create table public.a (); insert into public.t values (7);");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.sqlstate(), Some("23503"), "{error}");
    holds(
        &told(&error),
        &[
            "1.1.0 a (delta sql) failed at its COMMIT",
            "applied by this run: 1.0.1 good (delta sql); 1.1.0 a (delta sql) was rolled back",
        ],
    );
    assert_eq!(
        (case.rows(), case.has("public.a")),
        ("1.0.1 good t done".to_owned(), false)
    );
    // What is pending in the middle of a delta is refused where it stands.
    case.delta("insert into public.r values (7);\ninsert into public.t values (7);\nalter table public.t add c int;\n");
    let error = case.upgrade().unwrap_err();
    holds(error.message(), &["pending trigger events"]);
    assert_eq!(error.location().unwrap().line, 3);
}

#[test]
fn an_event_trigger_that_forbids_is_heard() {
    let case = Case::new("forbidden");
    case.execute(
        "create function public.no() returns event_trigger language plpgsql as \
         $$ begin raise exception 'no tables on fridays' using hint = 'wait for monday'; end $$; \
         create event trigger fridays on ddl_command_end when tag in ('CREATE TABLE') execute function public.no()",
    );
    case.delta("select 1;\ncreate table public.a ();\n");
    let error = case.upgrade().unwrap_err();
    holds(error.message(), &["no tables on fridays"]);
    assert_eq!(error.server().unwrap().hint.as_deref(), Some("wait for monday"));
    assert_eq!(error.location().unwrap().line, 2);
    holds(error.state().unwrap(), &["was rolled back"]);
    case.is_as_it_was("forbidden");
}

#[test]
fn a_delta_that_takes_the_ground_away_is_rolled_back() {
    for way in [
        "drop schema pum_sys cascade",
        "alter schema pum_sys rename to gone",
        "truncate pum_sys.upgrades",
        "update pum_sys.upgrades set run_id = null",
        "alter table pum_sys.upgrades drop column success",
        "alter table pum_sys.upgrades disable row level security, alter run_id type text",
        "create rule deaf as on update to pum_sys.upgrades do instead nothing",
        "set role pum_ground; drop owned by current_user cascade",
        "revoke all on pum_sys.upgrades from pum_ground; set session authorization pum_ground",
        "alter role pum_ground nosuperuser",
    ] {
        let case = Case::new("ground");
        case.execute(
            "do $$ begin create role pum_ground superuser login; exception when duplicate_object then \
             alter role pum_ground superuser; end $$; alter schema pum_sys owner to pum_ground; \
             alter table pum_sys.upgrades owner to pum_ground",
        );
        // The last one takes away its own rights, of a role that owns nothing.
        let loses_rights = way.contains("nosuperuser");
        if loses_rights {
            case.execute("alter schema pum_sys owner to postgres; alter table pum_sys.upgrades owner to postgres");
        }
        case.delta(format!("create table public.a ();\n{way};\n"));
        let outcome = case.upgrade_with(&case.options(), &case.target.clone().with("user", "pum_ground"));
        if way.starts_with("revoke") {
            // Rights that were taken from the owner are not needed by a superuser: the record is written.
            assert_eq!(outcome.unwrap().len(), 1, "{way}");
            continue;
        }
        let error = outcome.unwrap_err();
        holds(&told(&error), &["upgrades table", "was rolled back"]);
        case.is_as_it_was(way);
    }
}
