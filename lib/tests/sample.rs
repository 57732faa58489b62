//! A copy with a sample of production's rows.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pum::{
    BaselineOptions, Connection, CopyMethod, ErrorKind, Event, Expected, Rehearsal, RehearsalOptions, Run, Server,
    ServerOptions, TableName, Target, Terms, UpgradeOptions, baseline, rehearse,
};

fn table() -> TableName {
    "pum_sys.upgrades".parse().unwrap()
}

/// A server in which nobody takes a transaction number unasked.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        support::server();
        let options = ServerOptions {
            settings: vec![("autovacuum".to_owned(), "off".to_owned())],
            ..support::options()
        };
        Server::start(&options, &Run::new()).unwrap()
    })
}

fn value(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
}

fn number(target: &Target, sql: &str) -> u64 {
    value(target, sql).parse().unwrap()
}

fn execute(target: &Target, sql: &str) {
    Connection::open(target, &Run::new()).unwrap().execute(sql).unwrap();
}

const STRUCTURE: &str = r#"
    create schema big;
    create table big.customer (id int generated always as identity primary key, code text collate "C" not null unique,
        half int generated always as (1) stored, note text);
    -- The key's type is another than the one that it refers to.
    create table big.sale (id bigserial primary key, customer int8 references big.customer, code text references
        big.customer (code), at date not null, note text);
    create table big.small (id int primary key, customer int not null references big.customer);
    create table big.node (id int primary key, parent int references big.node, note text);
    create table big.egg (id int primary key, hen int not null, note text);
    create table big.hen (id int primary key, egg int not null references big.egg, note text);
    alter table big.egg add foreign key (hen) references big.hen deferrable;
    create schema "odd ""one";
    create table "odd ""one"."Two, $1" ("a b" text, "c'd" numeric, note text, primary key ("c'd", "a b"));
    create table "odd ""one"."three\" ("e" numeric, "f""g" text, note text,
        foreign key ("e", "f""g") references "odd ""one"."Two, $1" ("c'd", "a b"));
    create table big.reading (at date not null, id int not null, sale int8 references big.sale, note text, primary key (at, id))
        partition by range (at);
    create table big.reading_1 partition of big.reading for values from ('2026-01-01') to ('2026-07-01');
    create table big.reading_2 partition of big.reading for values from ('2026-07-01') to ('2027-01-01');
    create table big.remark (at date, id int, note text, foreign key (at, id) references big.reading);
    create table big.lost (id int primary key, customer int, note text);
    create type big.mood as enum ('good', 'bad');
    create materialized view big.customers as select count(*) from big.customer;
    create table big.alike (id int primary key, note text);
    create table big.closed (id int primary key, note text) inherits (big.alike);
    create table big.exclusive (id int primary key, note text, exclude (id with =));
"#;

const KEY: &str = "alter table big.lost add foreign key (customer) references big.customer not valid";

const ROWS: &str = r#"
    insert into big.customer (code, note) select E'c\\"{' || n || E'}''\t,' , repeat('x', 60) from generate_series(1, 20000) n;
    insert into big.sale (customer, code, at, note)
        select nullif(1 + n * 7 % 20000, 5), case when n % 3 = 0 then E'c\\"{' || 1 + n % 100 || E'}''\t,' end,
            date '2026-01-01' + n % 300, repeat('x', 50) from generate_series(1, 40000) n;
    insert into big.small select n, n * 100 from generate_series(1, 100) n;
    insert into big.node select n, nullif(n / 2, 0), repeat('x', 60) from generate_series(1, 20000) n;
    begin; set constraints all deferred; alter table big.egg alter constraint egg_hen_fkey deferrable initially deferred;
    insert into big.egg select n, 20001 - n, repeat('x', 60) from generate_series(1, 20000) n;
    insert into big.hen select n, 1 + n * 3 % 20000, repeat('x', 60) from generate_series(1, 20000) n; commit;
    alter table big.egg alter constraint egg_hen_fkey deferrable initially immediate;
    insert into "odd ""one"."Two, $1" select E'\\N "' || n, n / 10.0, repeat('x', 60) from generate_series(1, 20000) n;
    insert into "odd ""one"."three\" select case when n % 5 > 0 then n / 10.00 end, E'\\N "' || n, repeat('x', 60)
        from generate_series(1, 20000) n;
    insert into big.reading select date '2026-01-01' + n % 300, n, n, repeat('x', 60) from generate_series(1, 40000) n;
    insert into big.remark select date '2026-01-01' + n % 300, nullif(n, 8), repeat('x', 60) from generate_series(1, 20000) n;
    insert into big.lost select n, n * 3, repeat('x', 60) from generate_series(1, 20000) n;
    insert into big.alike select n, repeat('x', 60) from generate_series(1, 20000) n;
    insert into big.closed select n, repeat('x', 60) from generate_series(20001, 40000) n;
    insert into big.exclusive select n, repeat('x', 60) from generate_series(1, 20000) n;
    refresh materialized view big.customers;
    select lo_create(4711);
"#;

const READER: &str = r#"
    grant usage on schema big, "odd ""one", pum_sys to sampler;
    grant select on all tables in schema big, "odd ""one", pum_sys to sampler;
    grant select on all sequences in schema big, "odd ""one", pum_sys to sampler;
    alter role sampler set default_transaction_read_only = on; alter role sampler set intervalstyle = sql_standard;
"#;

/// Transaction numbers are those of the whole server.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Production {
    _alone: MutexGuard<'static, ()>,
    target: Target,
    reader: Target,
    files: tempfile::TempDir,
}

/// A program of the server to test with, where it has some.
fn beside_server(name: &str) -> Option<PathBuf> {
    let path = support::options().programs.map(|directory| directory.join(name));
    path.filter(|path| path.is_file())
}

fn production(name: &str) -> Production {
    let alone = alone();
    let target = server().create_database(name).unwrap();
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join("deltas")).unwrap();
    let delta = "alter table big.sale add column paid boolean not null default false";
    std::fs::write(files.path().join("deltas/delta_1.1.0_paid.sql"), delta).unwrap();
    std::fs::write(
        files.path().join("create.sql"),
        format!("{STRUCTURE};{KEY};{delta};select lo_create(4711)"),
    )
    .unwrap();
    execute(&target, &format!("{STRUCTURE};{ROWS};{KEY}"));
    let options = BaselineOptions {
        wait: Duration::ZERO,
        ..BaselineOptions::new(table(), "1.0.0".parse().unwrap())
    };
    baseline(&target, &options, &Run::new()).unwrap();
    execute(
        &target,
        "do $$ begin create role sampler login; exception when duplicate_object then end $$",
    );
    execute(&target, READER);
    Production {
        _alone: alone,
        reader: target.clone().with("user", "sampler"),
        target,
        files,
    }
}

impl Production {
    fn options(&self) -> RehearsalOptions {
        RehearsalOptions {
            expected: Some(Expected::Sql(vec![self.files.path().join("create.sql")])),
            server: support::options(),
            sample: Some("5%".parse().unwrap()),
            pg_dump: beside_server("pg_dump"),
            pg_restore: beside_server("pg_restore"),
            ..RehearsalOptions::new(UpgradeOptions::new(table(), vec![self.files.path().join("deltas")]))
        }
    }

    fn rehearse(&self, options: &RehearsalOptions) -> Rehearsal {
        rehearse(&self.reader, options, &Run::new()).unwrap()
    }

    fn refused(&self, options: RehearsalOptions) {
        match rehearse(&self.reader, &options, &Run::new()) {
            Ok(_) => panic!("it must be refused"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Usage, "{error}"),
        }
    }
}

const TABLES: [&str; 14] = [
    "big.customer",
    "big.sale",
    "big.node",
    "big.egg",
    "big.hen",
    "\"odd \"\"one\".\"Two, $1\"",
    "\"odd \"\"one\".\"three\\\"",
    "big.reading",
    "big.remark",
    "big.lost",
    "only big.alike",
    "big.closed",
    "big.exclusive",
    "big.small",
];

/// The rows of all tables, as one number for each.
fn rows(target: &Target) -> Vec<String> {
    let sum = |table: &&str| {
        value(
            target,
            &format!(
                "select count(*) || ' ' || coalesce(sum(hashtextextended(to_jsonb(t)::text, 0)), 0) from {table} t"
            ),
        )
    };
    TABLES.iter().map(sum).collect()
}

#[test]
fn a_sample_is_whole_in_its_foreign_keys() {
    let production = production("sampled");
    let written = "select txid_snapshot_xmax(txid_current_snapshot())::text";
    let before = value(&production.target, written);
    let events = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&events);
    let run = Run::new().on_event(move |event| listener.lock().unwrap().push(event));
    let rehearsal = rehearse(&production.reader, &production.options(), &run).unwrap();
    assert_eq!(
        value(&production.target, written),
        before,
        "something was written to production"
    );
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    assert_eq!(rehearsal.applied().steps.len(), 1);

    let copy = rehearsal.copy();
    let count = |table: &str| number(copy, &format!("select count(*)::text from {table}"));
    let drawn = 900..1_100;
    // Those to which nothing refers have what was drawn.
    for table in [
        "\"odd \"\"one\".\"three\\\"",
        "big.remark",
        "big.lost",
        "only big.alike",
        "big.closed",
        "big.exclusive",
    ] {
        assert!(drawn.contains(&count(table)), "{table}: {}", count(table));
    }
    assert_eq!(count("big.small"), 100);
    assert!((2_000..20_000).contains(&count("big.customer")));
    assert!((2_000..19_000).contains(&count("big.node")), "{}", count("big.node"));
    assert!(
        (2_500..4_000).contains(&count("big.reading")),
        "{}",
        count("big.reading")
    );
    // Rows that were fetched for a key come once, and are what they are in production.
    assert_eq!(value(copy, "select last_value::text from big.sale_id_seq"), "40000");
    assert_eq!(
        value(copy, "select sum(half)::text = count(*)::text from big.customer"),
        "t"
    );
    assert_eq!(count("big.customers"), 1);
    // The server has proved them; that which is not valid is not.
    let keys = "select string_agg(conname || ' ' || convalidated, ' ' order by conname) from pg_constraint \
                where contype = 'f' and conparentid = 0 and conrelid <> 'pum_sys.upgrades'::regclass";
    assert_eq!(value(copy, keys), value(&production.target, keys));
    assert!(
        number(
            copy,
            "select count(*)::text from pg_constraint where contype = 'f' and convalidated"
        ) >= 9
    );
    let lost =
        "select count(*)::text from big.lost l where not exists (select from big.customer c where c.id = l.customer)";
    assert!(number(copy, lost) > 500);
    let kept = "select count(*)::text from big.lost l where customer <= 20000 \
                and not exists (select from big.customer c where c.id = l.customer)";
    assert_eq!(number(copy, kept), 0);

    let sampled = rehearsal.copied().sampled.clone().unwrap();
    assert_eq!((sampled.sample.to_string().as_str(), sampled.tables), ("5%", 14));
    let all: u64 = TABLES.iter().map(|table| count(table)).sum();
    assert_eq!(sampled.drawn + sampled.needed + count("big.small"), all);
    let told = "the copy has a sample of 5% of the rows of large tables";
    assert!(rehearsal.contract().to_text().contains(told));
    assert!(
        rehearsal
            .contract()
            .to_html(&pum::HtmlOptions::default())
            .contains(told)
    );
    let events = events.lock().unwrap();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Warning(text) if text.contains("large objects")))
    );
    let phases: Vec<(usize, usize)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Phase { number, of, .. } => Some((*number, *of)),
            _ => None,
        })
        .collect();
    let of = phases.len();
    assert_eq!(phases, (1..=of).map(|number| (number, of)).collect::<Vec<_>>());
    drop(events);

    // The same sample each time, by one job as by several.
    let one = RehearsalOptions {
        jobs: 1,
        ..production.options()
    };
    let again = production.rehearse(&one);
    assert_eq!(rows(copy), rows(again.copy()));
}

#[test]
fn production_is_upgraded_on_a_sample_without_its_times() {
    let production = production("sampled_up");
    let rehearsal = rehearse(&production.target, &production.options(), &Run::new()).unwrap();
    let file = production.files.path().join("rehearsal.json");
    rehearsal.contract().save(&file).unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"sample\": \"5%\""));
    // Anything takes longer than no time at all.
    let none = Terms {
        factor: 0.0,
        least: Duration::from_micros(1),
        ..Terms::default()
    };
    let done = rehearsal.carry_out(&none, &Run::new()).unwrap();
    assert_eq!(done.applied.steps.len(), 1);
    assert!(done.report.same(), "{}", done.report.to_json());
}

#[test]
fn a_sample_goes_with_a_restore_that_compares_no_rows() {
    let production = production("sampled_refused");
    for copy in [CopyMethod::Template, CopyMethod::Physical] {
        production.refused(RehearsalOptions {
            copy,
            ..production.options()
        });
    }
    production.refused(RehearsalOptions {
        schema_only: true,
        ..production.options()
    });
    let mut with_rows = production.options();
    with_rows.filter.data = vec!["big.small".parse().unwrap()];
    production.refused(with_rows);
}

#[test]
fn a_sample_is_given_up_when_that_is_asked_for() {
    let production = production("sampled_cancelled");
    // While rows are drawn, and while those are fetched that they need.
    for unit in ["tables", "rows"] {
        let run = Run::new();
        let cancel = run.cancel().clone();
        let run = run.on_event(move |event| {
            if matches!(event, Event::Progress { unit: what, .. } if what == unit) {
                cancel.cancel();
            }
        });
        match rehearse(&production.reader, &production.options(), &run) {
            Ok(_) => panic!("it must be given up"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}"),
        }
        let left = "select count(*)::text from pg_stat_activity where usename = 'sampler'";
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while number(&production.target, left) > 0 {
            assert!(std::time::Instant::now() < until, "a session was left");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn keys_over_periods_get_all_rows_that_they_span() {
    let _alone = alone();
    let production = server().create_database("sampled_periods").unwrap();
    if number(&production, "select current_setting('server_version_num')") < 180_000 {
        eprintln!("this server has no keys over periods: not tested");
        return;
    }
    let structure = "create extension btree_gist schema public; create schema big;
        create table big.rate (id int, during int4range, note text, primary key (id, during without overlaps));
        create table big.use (id int, during int4range, note text,
            foreign key (id, period during) references big.rate (id, period during));";
    execute(
        &production,
        &format!(
            "{structure} insert into big.rate select n / 4, int4range(n % 4, n % 4 + 1), repeat('x', 60) from generate_series(0, 19999) n;
             insert into big.use select n / 4, int4range(n % 4, 4), repeat('x', 60) from generate_series(0, 19999) n;"
        ),
    );
    let options = BaselineOptions {
        wait: Duration::ZERO,
        ..BaselineOptions::new(table(), "1.0.0".parse().unwrap())
    };
    baseline(&production, &options, &Run::new()).unwrap();
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("create.sql"), structure).unwrap();
    let options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![files.path().join("create.sql")])),
        server: support::options(),
        sample: Some("5%".parse().unwrap()),
        pg_dump: beside_server("pg_dump"),
        pg_restore: beside_server("pg_restore"),
        ..RehearsalOptions::new(UpgradeOptions::new(table(), vec![files.path().to_owned()]))
    };
    let rehearsal = rehearse(&production, &options, &Run::new()).unwrap();
    assert!(rehearsal.is_clean(), "{}", rehearsal.report().to_json());
    assert!((900..1_100).contains(&number(rehearsal.copy(), "select count(*)::text from big.use")));
    assert!((2_000..9_000).contains(&number(rehearsal.copy(), "select count(*)::text from big.rate")));
}
