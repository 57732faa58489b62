//! Settings, roles and leftovers of sessions.

use std::time::Duration;

use pum::{Catalog, Connection, ErrorKind, Filter, Run, Target, UpgradeOptions};

use crate::{Case, holds, support, told, until};

/// What roles and databases have set in the field, and a value that would spoil an upgrade.
const SETTINGS: [(&str, &str); 11] = [
    ("statement_timeout", "30"),
    ("lock_timeout", "1"),
    ("idle_in_transaction_session_timeout", "40"),
    ("idle_session_timeout", "40"),
    ("transaction_timeout", "30"),
    ("synchronous_commit", "off"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("standard_conforming_strings", "off"),
    ("timezone", "Pacific/Kiritimati"),
];

/// What a delta finds.
const FINDS: &str = "select string_agg(name || '=' || current_setting(name), ' ' order by name) from (values \
     ('statement_timeout'), ('idle_in_transaction_session_timeout'), ('idle_session_timeout'), ('transaction_timeout'), \
     ('synchronous_commit'), ('standard_conforming_strings'), ('transaction_isolation'), ('transaction_read_only')) \
     as s (name) where current_setting(name, true) is not null";

#[test]
fn settings_of_roles_and_databases_do_not_reach_an_upgrade() {
    // The newest server knows timeouts that the others do not.
    let newest = support::majors().pop().map(|(_, programs)| support::start(&programs));
    let server = newest.as_ref().unwrap_or_else(|| support::server());
    for (index, whose) in [
        "alter database settings_0 set",
        "alter role settings set",
        "alter role settings in database settings_2 set",
    ]
    .iter()
    .enumerate()
    {
        let case = Case::of(server.create_database(&format!("settings_{index}")).unwrap());
        case.execute(
            "do $$ begin create role settings superuser login; exception when duplicate_object then null; end $$",
        );
        for (name, value) in SETTINGS {
            if case.ask(&format!("select count(*) from pg_settings where name = '{name}'")) == "1" {
                Connection::open(&case.target, &Run::new())
                    .unwrap()
                    .execute(&format!("begin read write; {whose} {name} = '{value}'; commit"))
                    .unwrap();
            }
        }
        case.delta(format!(
            "create table public.inside as {FINDS}; select pg_sleep(0.1); insert into public.inside values ('\\');"
        ));
        case.write(
            "delta_1.2.0_b.sql",
            format!(
                "-- pum: no-transaction\ncreate table public.outside as {FINDS};\nselect pg_sleep(0.1);\nvacuum;\n"
            ),
        );
        // Nothing is said for longer than the idle sessions may live: the lock's own, between two statements.
        case.write("delta_1.2.0_b.post.py", "import time\nfrom pum.core.deltapy import DeltaPy\nclass B(DeltaPy):\n    def run(self):\n        time.sleep(0.3)\n");
        let target = case.target.clone().with("user", "settings");
        assert_eq!(case.upgrade_with(&case.options(), &target).unwrap().len(), 3, "{whose}");
        let expected = case.ask(
            "select string_agg(name || '=' || value, ' ' order by name) from (values ('statement_timeout', '0'), \
             ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'), ('transaction_timeout', '0'), \
             ('synchronous_commit', 'on'), ('standard_conforming_strings', 'on'), ('transaction_isolation', 'read committed'), \
             ('transaction_read_only', 'off')) as s (name, value) where current_setting(name, true) is not null",
        );
        Connection::open(&case.target, &Run::new())
            .unwrap()
            .execute("begin read write; alter role settings reset all; commit")
            .unwrap();
        let mut connection = Connection::open(&case.target, &Run::new()).unwrap();
        let mut found = |sql: &str| connection.query(sql, &[]).unwrap().value(0, 0).map(str::to_owned);
        assert_eq!(
            found("select min(string_agg) from public.inside where string_agg <> '\\'"),
            Some(expected.clone())
        );
        assert_eq!(
            found("select count(*) from public.inside where string_agg = '\\'").as_deref(),
            Some("1")
        );
        let outside = found("select string_agg from public.outside").unwrap();
        // A delta without a transaction has the isolation that its own BEGIN asks for.
        assert_eq!(
            outside.replace(
                "transaction_isolation=serializable",
                "transaction_isolation=read committed"
            ),
            expected
        );
    }
}

/// What somebody may have set for a database, one at a time.
const ALONE: [(&str, &str); 70] = [
    ("statement_timeout", "10"),
    ("lock_timeout", "1"),
    ("idle_in_transaction_session_timeout", "500"),
    ("idle_session_timeout", "500"),
    ("transaction_timeout", "300"),
    ("synchronous_commit", "off"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_isolation", "read uncommitted"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "on"),
    ("escape_string_warning", "off"),
    ("quote_all_identifiers", "on"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("search_path", ""),
    ("search_path", "nowhere"),
    ("search_path", "pg_temp, public"),
    ("search_path", "hostile, pg_catalog"),
    ("timezone", "Pacific/Kiritimati"),
    ("timezone", "UTC+13:37"),
    ("datestyle", "German"),
    ("datestyle", "SQL, DMY"),
    ("intervalstyle", "sql_standard"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("client_min_messages", "error"),
    ("client_min_messages", "debug5"),
    ("client_encoding", "LATIN1"),
    ("client_encoding", "SQL_ASCII"),
    ("row_security", "off"),
    ("session_replication_role", "replica"),
    ("check_function_bodies", "off"),
    ("default_tablespace", "nowhere"),
    ("temp_tablespaces", "nowhere"),
    ("default_table_access_method", "heap"),
    ("xmloption", "document"),
    ("xmlbinary", "hex"),
    ("work_mem", "64kB"),
    ("maintenance_work_mem", "1MB"),
    ("temp_buffers", "800kB"),
    ("temp_file_limit", "0"),
    ("enable_seqscan", "off"),
    ("enable_indexscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_nestloop", "off"),
    ("enable_sort", "off"),
    ("geqo_threshold", "2"),
    ("join_collapse_limit", "1"),
    ("jit", "on"),
    ("jit_above_cost", "0"),
    ("force_parallel_mode", "on"),
    ("debug_parallel_query", "on"),
    ("max_parallel_workers_per_gather", "0"),
    ("parallel_setup_cost", "0"),
    ("plan_cache_mode", "force_generic_plan"),
    ("constraint_exclusion", "on"),
    ("event_triggers", "off"),
    ("allow_system_table_mods", "on"),
    ("log_min_duration_statement", "0"),
    ("lo_compat_privileges", "on"),
    ("password_encryption", "md5"),
    ("log_statement", "all"),
    ("application_name", "pum'; drop table public.meter; --"),
    ("commit_delay", "1000"),
    ("role", "hostile_role"),
    ("session_preload_libraries", "nowhere"),
    ("local_preload_libraries", "nowhere"),
];

/// Those that close the door: what they let in cannot upgrade, and is told so.
const CLOSED: [&str; 3] = ["role", "session_preload_libraries", "local_preload_libraries"];

#[test]
fn each_hostile_setting_leads_to_the_same_end_or_to_a_refusal() {
    let script = "create table public.meter (id int primary key, read_on timestamp, value numeric, note text check (note <> ''));\n\
         create function public.stamp() returns trigger language plpgsql as $$ begin new.note := '\\' || new.note; return new; end $$;\n\
         create trigger stamp before insert on public.meter for each row execute function public.stamp();\n\
         insert into public.meter select n, timestamp '2026-01-02' + n * interval '1 day', n / 3.0, 'n' || n\n\
           from pg_catalog.generate_series(1, 100) n;\n\
         select pg_catalog.pg_sleep(0.02);\n\
         create view public.big as select id from public.meter where value > 10;\n";
    let after =
        "-- pum: no-transaction\ncreate index concurrently meter_note on public.meter (note);\nvacuum public.meter;\n";
    let end = |target: &Target| -> String {
        let mut connection = Connection::open(target, &Run::new()).unwrap();
        let structure = Catalog::read(&mut connection, &Filter::default())
            .unwrap()
            .fingerprint();
        let rows = "select md5(string_agg(concat_ws('|', id, to_char(read_on, 'YYYY-MM-DD'), round(value, 5), note), ',' order by id)) \
             from public.meter";
        let rows = connection.query(rows, &[]).unwrap();
        format!("{structure} {}", rows.value(0, 0).unwrap_or_default())
    };
    let upgraded = |case: &Case| {
        case.delta(script);
        case.write("delta_1.2.0_b.sql", after);
        case.upgrade()
    };
    let calm = Case::new("calm");
    upgraded(&calm).unwrap();
    let expected = end(&calm.target);
    let (mut same, mut refused, mut unknown, mut otherwise) = (0, Vec::new(), Vec::new(), Vec::new());
    for (name, value) in ALONE {
        let case = Case::new("alone");
        case.execute(
            "do $$ begin create role hostile_role; exception when duplicate_object then null; end $$; \
             create schema hostile; create function hostile.now() returns timestamptz language sql as 'select 1 / 0; select null::timestamptz'",
        );
        let database = case.ask("select current_database()");
        let set = format!("alter database {database} set {name} = {}", pum::quote_literal(value));
        let set = if name == "search_path" && !value.is_empty() {
            format!("alter database {database} set search_path = {value}")
        } else {
            set
        };
        let server = support::server().target("postgres");
        let outcome = Connection::open_for_scripts(&server, &Run::new())
            .unwrap()
            .execute(&set);
        if let Err(error) = outcome {
            // Another version of the server does not know it.
            assert_eq!(error.sqlstate(), Some("42704"), "{name} = {value}: {error}");
            unknown.push(name);
            continue;
        }
        let outcome = upgraded(&case);
        crate::execute(&server, &format!("alter database {database} reset all"));
        match outcome {
            Ok(steps) => {
                assert_eq!(steps.len(), 2);
                same += 1;
            }
            Err(error) => {
                if !CLOSED.contains(&name) || error.hint().is_none() {
                    otherwise.push(format!("{name} = {value}: {error:?}"));
                }
                case.is_as_it_was(name);
                refused.push(name);
                assert_eq!(upgraded(&case).unwrap().len(), 2);
            }
        }
        crate::execute(&case.target, "drop schema hostile cascade");
        let end = end(&case.target);
        // Triggers do not fire, as with psql, and the pre-flight says so: the rows are the delta's own affair.
        let as_expected = match name {
            "session_replication_role" => end.split(' ').next() == expected.split(' ').next(),
            _ => end == expected,
        };
        if !as_expected {
            otherwise.push(format!("{name} = {value}"));
        }
    }
    assert!(otherwise.is_empty(), "{otherwise:?}");
    println!("{same} settings with the same end, refused with {refused:?}, not known to this server {unknown:?}");
    assert!(same + refused.len() >= 60);
}

#[test]
fn nothing_of_a_delta_reaches_the_next() {
    let leaks = "set search_path = pg_catalog; select set_config('work_mem', '77MB', false); set datestyle = 'German'; \
         set standard_conforming_strings = off; set client_encoding = 'LATIN1'; set session_replication_role = replica; \
         set row_security = off; set default_tablespace = 'pg_default'; set constraints all deferred; \
         set default_table_access_method = 'heap'; set check_function_bodies = off; \
         create temp table leak (); prepare leak as select 1; declare leak cursor with hold for select 1; listen leak; \
         set role pg_monitor;";
    let sees = "create table lands_in_public (i int check (i > 0)); insert into lands_in_public values (1);\n\
         do $$ declare what text; begin\n\
         select string_agg(x, ', ') into what from (\n\
           select 'temp table' where to_regclass('pg_temp.leak') is not null\n\
           union all select 'prepared' from pg_prepared_statements\n\
           union all select 'cursor' from pg_cursors where name = 'leak'\n\
           union all select 'listens' from pg_listening_channels()\n\
           union all select 'role' where current_user <> session_user\n\
           union all select name from pg_settings where source = 'session' and setting <> reset_val and name in\n\
             ('search_path', 'work_mem', 'datestyle', 'client_encoding', 'session_replication_role', 'row_security',\n\
              'default_tablespace', 'check_function_bodies', 'standard_conforming_strings')) leaked (x);\n\
         if what is not null then raise 'leaked: %', what; end if; end $$;\n\
         insert into lands_in_public values (length('\\'));";
    for (index, header) in ["", "-- pum: no-transaction\n"].iter().enumerate() {
        for then in ["", "-- pum: no-transaction\n"] {
            let case = Case::new("leaks");
            let leaks = if index == 0 {
                leaks.to_owned()
            } else {
                leaks.replace("; ", ";\n")
            };
            case.delta(format!("{header}{leaks}"));
            case.write("delta_1.2.0_b.sql", format!("{then}{sees}"));
            assert_eq!(case.upgrade().unwrap().len(), 2, "{header}{then}");
            assert!(case.has("public.lands_in_public"));
            assert_eq!(
                case.ask("select count(distinct installed_by) from pum_sys.upgrades"),
                "1"
            );
        }
    }
    // In one transaction for all, what DISCARD ALL would take away is taken away as far as a transaction lets it.
    let case = Case::new("leaks_together");
    case.delta(
        "set search_path = pg_catalog; set session_replication_role = replica; set work_mem = '77MB'; listen leak; \
         set standard_conforming_strings = off; declare leak cursor for select 1; set role pg_monitor;",
    );
    case.write("delta_1.2.0_b.sql", sees);
    let together = UpgradeOptions {
        single_transaction: true,
        ..case.options()
    };
    assert_eq!(case.upgrade_with(&together, &case.target).unwrap().len(), 2);
}

#[test]
fn what_a_delta_leaves_in_its_session_is_told_where_another_follows() {
    for header in ["", "-- pum: no-transaction\n"] {
        let case = Case::new("left_behind");
        case.delta(format!(
            "{header}set search_path = pg_catalog;\nset work_mem = '77MB';\nset session_replication_role = replica;\nset role pg_monitor;\n"
        ));
        case.write(
            "delta_1.2.0_b.sql",
            "set local search_path = pg_catalog; set timezone = 'UTC'; reset timezone;",
        );
        case.write("delta_1.3.0_c.sql", format!("{header}set row_security = off;"));
        case.write("delta_1.4.0_d.sql", "set search_path = pg_catalog;");
        let applied = pum::upgrade(&case.target, &case.options(), None, &case.run(|_| {})).unwrap();
        let left: Vec<&[String]> = applied.steps.iter().map(|step| &step.left_behind[..]).collect();
        assert_eq!(
            left,
            [
                &[
                    "role = pg_monitor",
                    "search_path = pg_catalog",
                    "session_replication_role = replica"
                ][..],
                &[],
                &["row_security = off"],
                // Nothing comes behind it.
                &[]
            ]
        );
        let events = case.events.lock().unwrap();
        let told: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                pum::Event::Warning(text) => Some(format!("warning: {text}")),
                pum::Event::Message(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(
            told,
            [
                "warning: 1.1.0 a (delta sql) left role = pg_monitor, search_path = pg_catalog, session_replication_role = \
                 replica behind: it ends here, and the steps that follow are without it",
                "1.3.0 c (delta sql) left row_security = off behind, which the steps that follow do not have"
            ]
        );
        assert_eq!(
            case.ask("select count(distinct installed_by) from pum_sys.upgrades"),
            "1"
        );
    }
}

#[test]
fn a_delta_without_a_transaction_cannot_take_back_that_it_is_at_work() {
    let case = Case::new("at_work");
    case.execute("create table public.seen (locks bigint, settings text)");
    let look = "insert into public.seen select count(*), concat_ws(' ', current_setting('synchronous_commit'), \
         current_setting('lock_timeout'), current_setting('work_mem')) from pg_locks \
         where locktype = 'advisory' and pid = pg_backend_pid();\n";
    let script = format!(
        "-- pum: no-transaction\nset work_mem = '77MB';\n{look}discard all;\n{look}select pg_advisory_unlock_all();\n{look}\
         do $$ begin perform pg_advisory_unlock_all(); end $$;\nvacuum public.seen;\nset work_mem = '78MB';\n\
         begin;\nselect pg_advisory_unlock_all();\n{look}commit;\ndiscard all;\nselect 1 / (1 - count(*)) from public.stop;\n{look}\
         select pg_advisory_unlock_all();\n"
    );
    case.execute("create table public.stop (i int); insert into public.stop values (1)");
    let database = case.ask("select quote_ident(current_database())");
    case.execute(&format!("alter database {database} set synchronous_commit = off"));
    case.delta(&script);
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.sqlstate(), Some("22012"), "{error}");
    case.execute("truncate public.stop");
    assert_eq!(case.upgrade().unwrap().len(), 1);
    // One lock each time, but for the rest of a transaction of the script's own; and where everything was discarded what pum
    // pins is as it was.
    assert_eq!(
        case.ask("select string_agg(concat_ws(' ', locks, settings), ', ' order by ctid) from public.seen"),
        "1 on 5s 77MB, 1 on 5s 4MB, 1 on 5s 4MB, 0 on 5s 78MB, 1 on 5s 4MB"
    );
    let told = format!("{:?}", case.events.lock().unwrap());
    assert!(!told.contains("you don't own a lock"), "{told}");
}

#[test]
fn a_delta_that_lost_the_lock_and_took_back_that_it_is_at_work_stops() {
    let case = Case::new("at_work_lost");
    // Another run could have begun between the second and the third.
    case.delta(
        "-- pum: no-transaction\nselect pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' \
         and mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = current_database());\n\
         select pg_sleep(0.2), pg_advisory_unlock_all();\ncreate table public.third ();\n",
    );
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    holds(
        &told(&error),
        &[
            "the session with the lock on the upgrades table is lost",
            "2 of its 3 statements are done and stay; run the same command again, it goes on with statement 3",
        ],
    );
    assert!(!case.has("public.third"));
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert!(case.has("public.third"));
}

/// Who deploys has a role that owns things, by a setting of his own, and none of its rights otherwise.
#[test]
fn a_role_that_a_setting_gives_stays_the_role_of_an_upgrade() {
    for (name, by_role) in [("given_role", true), ("given_option", false)] {
        let case = Case::new(name);
        case.execute(&format!(
            "do $$ begin create role {name}_owner; exception when duplicate_object then null; end $$; \
             do $$ begin create role {name} login noinherit in role {name}_owner; exception when duplicate_object then null; end $$; \
             alter schema pum_sys owner to {name}_owner; alter table pum_sys.upgrades owner to {name}_owner; \
             create schema mine authorization {name}_owner"
        ));
        let mut target = case.target.clone().with("user", name);
        if by_role {
            case.execute(&format!("alter role {name} set role = {name}_owner"));
        } else {
            target = target.with("options", &format!("-c role={name}_owner"));
        }
        case.delta("create table mine.a ();");
        case.write(
            "delta_1.2.0_b.sql",
            "-- pum: no-transaction\ncreate table mine.b (i int);\ncreate index concurrently on mine.b (i);\nset role none;\n\
             select 1;\n",
        );
        case.write("delta_1.3.0_c.sql", "create table mine.c ();");
        let applied = pum::upgrade(&target, &case.options(), None, &case.run(|_| {})).unwrap();
        assert_eq!(applied.steps.len(), 3, "{name}");
        let left: Vec<String> = applied.steps.iter().map(|step| step.left_behind.join(", ")).collect();
        assert_eq!(left, ["", &format!("role = {name}"), ""]);
        let who = case.ask("select string_agg(distinct installed_by, ',') from pum_sys.upgrades where type <> 0");
        assert_eq!(who, format!("{name}_owner"));
    }
}

#[test]
fn in_a_transaction_of_a_script_nothing_is_asked_before_its_first_query() {
    let case = Case::new("own_snapshot");
    case.execute("create table public.t (i int); create table public.seen (rows bigint, level text)");
    let mut writer = Connection::open_for_scripts(&case.target, &Run::new()).unwrap();
    writer.execute("begin; insert into public.t values (1)").unwrap();
    case.delta(
        "-- pum: no-transaction\nbegin isolation level repeatable read;\nlock table public.t in exclusive mode;\n\
         insert into public.seen select count(*), 'locked' from public.t;\ncommit;\n\
         begin;\nset transaction isolation level serializable;\n\
         insert into public.seen select count(*), current_setting('transaction_isolation') from public.t;\ncommit;\n",
    );
    let waiting = std::sync::Mutex::new(Some(writer));
    let target = case.target.clone();
    // The other transaction ends when ours waits for it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = std::time::Instant::now();
            while super::ask(&target, "select count(*) from pg_locks where not granted") == "0" {
                assert!(begun.elapsed() < Duration::from_secs(30), "nobody waited");
                std::thread::sleep(Duration::from_millis(20));
            }
            let mut writer = waiting.lock().unwrap().take().unwrap();
            writer.execute("commit").unwrap();
        });
        assert_eq!(case.upgrade().unwrap().len(), 1);
    });
    assert_eq!(
        case.ask("select string_agg(concat_ws(' ', rows, level), ', ' order by ctid) from public.seen"),
        "1 locked, 1 serializable"
    );
}

#[test]
fn a_reset_of_all_takes_away_nothing_that_pum_pins() {
    let case = Case::new("reset_all");
    case.execute("create table public.seen (settings text)");
    let look = "insert into public.seen select concat_ws(' ', current_setting('synchronous_commit'), \
                current_setting('lock_timeout'), current_setting('work_mem'));\n";
    let database = case.ask("select quote_ident(current_database())");
    case.execute(&format!("alter database {database} set synchronous_commit = off"));
    case.delta(format!(
        "-- pum: no-transaction\nset work_mem = '77MB';\n{look}reset /* x */ all;\n{look}begin;\nreset all;\ncommit;\n{look}"
    ));
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert_eq!(
        case.ask("select string_agg(settings, ', ' order by ctid) from public.seen"),
        "on 5s 77MB, on 5s 4MB, on 5s 4MB"
    );
}

#[test]
fn who_may_only_read_the_upgrades_table_may_run_what_is_not_recorded() {
    let case = Case::new("only_hooks");
    case.execute(
        "do $$ begin create role pum_reads login; exception when duplicate_object then null; end $$; \
         create schema mine authorization pum_reads; grant usage on schema pum_sys to pum_reads; \
         grant select on pum_sys.upgrades to pum_reads",
    );
    let target = case.target.clone().with("user", "pum_reads");
    case.write("post-all.sql", "create table if not exists mine.a ();");
    assert_eq!(case.upgrade_with(&case.options(), &target).unwrap(), ["post-all (sql)"]);
    case.delta("create table mine.b ();");
    // A right on some column is not enough: all are written.
    case.execute(
        "grant insert on pum_sys.upgrades to pum_reads; grant update (state) on pum_sys.upgrades to pum_reads",
    );
    let error = case.upgrade_with(&case.options(), &target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    holds(
        &told(&error),
        &["pum_reads lacks UPDATE ON", "USAGE ON SEQUENCE pum_sys.upgrades_id_seq"],
    );
    assert!(!case.has("mine.b"));
}

#[test]
fn a_role_without_the_rights_half_way_leaves_nothing() {
    let case = Case::new("half_way");
    case.execute(
        "do $$ begin create role pum_half login; exception when duplicate_object then null; end $$; \
         create schema mine authorization pum_half; create table public.theirs (i int); grant usage on schema pum_sys to pum_half; \
         grant select, insert, update on pum_sys.upgrades to pum_half; grant usage on all sequences in schema pum_sys to pum_half",
    );
    let target = case.target.clone().with("user", "pum_half");
    case.write("delta_1.0.1_good.sql", "create table mine.good ();");
    case.delta("create table mine.half ();\nalter table public.theirs add column b int;\n");
    let error = case.upgrade_with(&case.options(), &target).unwrap_err();
    assert_eq!((error.sqlstate(), error.location().unwrap().line), (Some("42501"), 2));
    holds(
        &told(&error),
        &[
            "applied by this run: 1.0.1 good (delta sql)",
            "1.1.0 a (delta sql) was rolled back",
        ],
    );
    assert_eq!(
        (case.rows(), case.has("mine.half")),
        ("1.0.1 good t done".to_owned(), false)
    );
}

#[test]
fn a_delta_before_which_the_lock_was_lost_was_not_begun() {
    let case = Case::new("lost_between");
    case.write(
        "delta_1.0.1_ends.sql",
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' \
         and database = (select oid from pg_database where datname = current_database());\n",
    );
    case.delta("create table public.a ();");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    holds(
        &told(&error),
        &[
            "the lock on the upgrades table is lost",
            "applied by this run: 1.0.1 ends (delta sql); 1.1.0 a (delta sql) was not begun; not applied: 1.1.0 a (delta sql)",
            "run the same command again: it goes on with 1.1.0 a (delta sql)",
        ],
    );
    assert_eq!(case.upgrade().unwrap().len(), 1);
}

#[test]
fn a_role_that_may_have_one_session_only_is_told_why_nothing_begins() {
    let case = Case::new("one_session");
    case.execute(
        "do $$ begin create role pum_one login connection limit 1; exception when duplicate_object then null; end $$; \
         grant usage on schema pum_sys to pum_one; grant select, insert, update on pum_sys.upgrades to pum_one; \
         grant usage on all sequences in schema pum_sys to pum_one",
    );
    case.delta("create table public.a ();");
    let error = case
        .upgrade_with(&case.options(), &case.target.clone().with("user", "pum_one"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    holds(
        &told(&error),
        &[
            "too many connections for role \"pum_one\"",
            "not applied: 1.1.0 a (delta sql)",
        ],
    );
    case.is_as_it_was("one session");
    // And the lock is free again.
    until(
        &case.target,
        "select (count(*) = 0)::text from pg_locks where locktype = 'advisory' \
         and database = (select oid from pg_database where datname = current_database())",
    );
    assert_eq!(case.upgrade().unwrap().len(), 1);
}

#[test]
fn a_login_that_is_refused_after_a_lost_commit_leaves_the_outcome_open_and_says_how_to_find_out() {
    let case = Case::new("login");
    // A COMMIT whose session ends in it.
    case.execute(
        "create table public.t (i int); create function public.ends() returns trigger language plpgsql as \
         $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$; \
         create constraint trigger ends after insert on public.t deferrable initially deferred for each row \
         execute function public.ends(); \
         do $$ begin create role pum_login superuser login; exception when duplicate_object then null; end $$; alter role pum_login login",
    );
    case.delta("create table public.a (); insert into public.t values (1);");
    let options = UpgradeOptions {
        patience: Duration::from_secs(1),
        ..case.options()
    };
    let target = case.target.clone();
    let error = case
        .upgrade_in(&options, &case.target.clone().with("user", "pum_login"), move |event| {
            if format!("{event:?}").contains("asking the server what happened") {
                crate::execute(&target, "alter role pum_login nologin");
            }
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    holds(
        &told(&error),
        &[
            "it is not known whether 1.1.0 a (delta sql) was committed",
            "either wholly applied and recorded, or not at all",
            "run pum again",
        ],
    );
    // The query that is told answers.
    let query = error.hint().unwrap().split_once("To look by hand: ").unwrap().1;
    assert_eq!(case.ask(query), "");
    case.is_as_it_was("a commit that was none");
    // With the login back, the same loss is told as what it was.
    case.execute("alter role pum_login login");
    let error = case.upgrade_with(&options, &case.target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    holds(error.message(), &["was rolled back: the link broke before its COMMIT"]);
    case.is_as_it_was("a commit that was none");
}

/// The largest amount of memory that this process has had, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024
}

#[test]
fn rows_notices_and_data_without_end_take_no_memory() {
    use std::io::Write;
    let case = Case::new("flood");
    let file = std::fs::File::create(case.directory.path().join("delta_1.2.0_much.sql")).unwrap();
    let mut file = std::io::BufWriter::new(file);
    let line = "x".repeat(999);
    file.write_all(b"create table public.a (t text);\ncopy public.a from stdin;\n")
        .unwrap();
    for _ in 0..100_000 {
        writeln!(file, "{line}").unwrap();
    }
    file.write_all(b"\\.\n").unwrap();
    for _ in 0..5_000 {
        writeln!(file, "-- {line}{line}\nselect '{line}';").unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    case.delta(
        "select i, repeat('x', 200) from generate_series(1, 500000) i;\n\
         do $$ begin for i in 1..100000 loop raise notice '% %', i, repeat('y', 1000); end loop; end $$;\n\
         do $$ begin for i in 1..100000 loop raise notice 'the same'; end loop; end $$;\n",
    );
    // Nobody keeps what is told here, as the command does not.
    let run = Run::new();
    pum::upgrade(&case.target, &case.options(), None, &run).unwrap();
    let peak = peak();
    assert_eq!(case.ask("select count(*) from public.a"), "100000");
    // What was read and sent is more than 300 MB.
    assert!(peak < 150, "{peak} MB");
}
