//! Each command as a role that has what SECURITY.md says and nothing more, and without each of it.

use pum::Target;

use crate::support::{Ended, Place, TABLE, contents, database, empty_database, sql};

/// A role that may connect, and nothing else.
pub(crate) fn role(name: &str) -> &str {
    role_on(&crate::support::server().target("postgres"), name)
}

/// The same on another server.
pub(crate) fn role_on<'a>(any: &Target, name: &'a str) -> &'a str {
    execute(any, &format!("drop role if exists {name}; create role {name} login"));
    name
}

pub(crate) fn execute(target: &Target, statements: &str) {
    sql(target, &format!("{statements};\nselect ''"));
}

/// A privilege as the statement that gives it, and what pum must say to who lacks it.
pub(crate) type Grant<'a> = (&'a str, &'a str);

/// Tries a command as a role without each of the grants, of which it must say that it is missing and leave everything as it
/// was, and then with all.
pub(crate) fn needs(target: &Target, role: &str, grants: &[Grant<'_>], run: &dyn Fn(&Target) -> Ended) {
    needs_in(target, role, grants, grants, run);
}

/// The same for some of the grants only, of a command that takes its time.
pub(crate) fn needs_in(
    target: &Target,
    role: &str,
    grants: &[Grant<'_>],
    tried: &[Grant<'_>],
    run: &dyn Fn(&Target) -> Ended,
) {
    let own = target.clone().with("user", role);
    let database = sql(target, "select quote_ident(current_database())");
    let give = |without: Option<&Grant<'_>>| {
        for grant in grants.iter().filter(|grant| Some(*grant) != without) {
            execute(
                target,
                &grant.0.replace("ROLE", role).replace("DATABASE_NAME", &database),
            );
        }
    };
    let take = || {
        execute(
            target,
            &format!(
                "reassign owned by {role} to current_user; drop owned by {role}; \
                 alter role {role} nocreatedb nocreaterole noreplication"
            ),
        )
    };
    // Others make databases meanwhile.
    let elsewhere = || {
        sql(
            target,
            &format!(
                "select concat_ws(' ', (select string_agg(datname, ' ') from pg_database where datdba = '{role}'::regrole), \
                 (select string_agg(rolname, ' ') from pg_roles where rolname like '{role}\\_%'))"
            ),
        )
    };
    for left_out in tried {
        give(Some(left_out));
        let before = (contents(target), elsewhere());
        let ended = run(&own);
        assert_ne!(ended.code, 0, "it did without {left_out:?}: {ended:#?}");
        assert_eq!(
            (contents(target), elsewhere()),
            before,
            "without {left_out:?}: {ended:#?}"
        );
        ended.says(&["error: ", left_out.1]).helps(&[]);
        take();
    }
    give(None);
    run(&own).succeeds();
    take();
}

#[test]
fn check_and_snapshot_need_to_connect_and_say_what_they_do_not_see() {
    let target = empty_database("least_check");
    let role = role("least_check");
    execute(
        &target,
        "create schema hidden; create table hidden.t (a int check (a > 0)); revoke all on schema hidden from public;
         create foreign data wrapper w; create server s foreign data wrapper w;
         create user mapping for postgres server s options (user 'gis', password 'x')",
    );
    let own = target.clone().with("user", role);
    let place = Place::new();
    let words = ["check", "-p1", &target.name(), "-p2", &own.name()];
    let ended = place.pum(&words);
    assert_eq!(ended.code, 1, "{ended:#?}");
    let said = "warning: not compared, because the role on the right side may not read it: options of user mapping s: postgres";
    assert!(ended.stdout.contains(said), "{ended:#?}");
    assert!(!ended.stdout.contains("on the left side"), "{ended:#?}");
    // What neither side may see would look the same.
    let ended = place.pum(&["check", "-p1", &own.name(), "-p2", &own.name()]).succeeds();
    for side in ["left", "right"] {
        let said = format!("the role on the {side} side may not read it: options of user mapping s: postgres");
        assert!(ended.stdout.contains(&said), "{ended:#?}");
    }
    place.pum(&["snapshot", "-p", &own.name(), "-o", "own.json"]).succeeds();
    let snapshot = std::fs::read_to_string(place.path("own.json")).unwrap();
    assert!(
        snapshot.contains("hidden") && snapshot.contains("(not readable)"),
        "{snapshot}"
    );
    // Rows are another matter.
    let data = ["check", "-p1", &own.name(), "-p2", &own.name(), "--data", "hidden.t"];
    place.pum(&data).fails(2).says(&["hidden.t"]);
}

/// What it takes to read the upgrades table.
pub(crate) const READS_TABLE: [Grant<'_>; 2] = [
    (
        "grant usage on schema water_sys to ROLE",
        "GRANT USAGE ON SCHEMA \"water_sys\" TO",
    ),
    (
        "grant select on water_sys.upgrades to ROLE",
        "GRANT SELECT ON \"water_sys\".\"upgrades\" TO",
    ),
];

/// What it takes to write it, too.
pub(crate) const WRITES_TABLE: [Grant<'_>; 3] = [
    (
        "grant insert on water_sys.upgrades to ROLE",
        "lacks INSERT ON \"water_sys\".\"upgrades\"",
    ),
    (
        "grant update on water_sys.upgrades to ROLE",
        "lacks UPDATE ON \"water_sys\".\"upgrades\"",
    ),
    (
        "grant usage on sequence water_sys.upgrades_id_seq to ROLE",
        "lacks USAGE ON SEQUENCE water_sys.upgrades_id_seq",
    ),
];

#[test]
fn rows_are_compared_by_who_may_read_them() {
    let role = role("least_rows");
    let target = database("least_rows");
    execute(
        &target,
        "create schema town; create table town.pipe (id int primary key); insert into town.pipe values (1)",
    );
    let place = Place::new();
    let grants = [
        (
            "grant usage on schema town to ROLE",
            "permission denied for schema town",
        ),
        ("grant select on town.pipe to ROLE", "permission denied for table pipe"),
    ];
    needs(&target, role, &grants, &|own| {
        place.pum(&[
            "check",
            "-p1",
            &target.name(),
            "-p2",
            &own.name(),
            "--data",
            "town.pipe",
        ])
    });
    // Rows that a policy hides would look as if they were not there.
    execute(
        &target,
        "alter table town.pipe enable row level security; create policy none on town.pipe using (false); \
         grant usage on schema town to least_rows; grant select on town.pipe to least_rows",
    );
    let own = target.clone().with("user", role).name();
    place
        .pum(&["check", "-p1", &target.name(), "-p2", &own, "--data", "town.pipe"])
        .fails(2)
        .says(&["town.pipe", "row-level security", "42501"]);
    execute(&target, "drop owned by least_rows");
}

#[test]
fn info_and_a_dry_run_need_to_read_the_table() {
    let target = database("least_info");
    let role = role("least_info");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    for words in [&["info"][..], &["upgrade", "--dry-run"]] {
        needs(&target, role, &READS_TABLE, &|own| {
            place.pum(&[words, &["-p", &own.name(), "-t", TABLE, "-d", "deltas"]].concat())
        });
    }
}

#[test]
fn a_baseline_needs_to_create_or_to_write() {
    let role = role("least_baseline");
    let place = Place::new();
    let baseline =
        |own: &Target, version: &str| place.pum(&["baseline", "-p", &own.name(), "-t", TABLE, "-b", version]);
    // Where there is nothing.
    let target = empty_database("least_baseline");
    needs(
        &target,
        role,
        &[(
            "grant create on database DATABASE_NAME to ROLE",
            "permission denied for database",
        )],
        &|own| baseline(own, "1.0.0"),
    );
    // Where the schema is there.
    let target = empty_database("least_baseline");
    execute(&target, "create schema water_sys");
    let grants = ["create", "usage"].map(|privilege| {
        (
            format!("grant {privilege} on schema water_sys to ROLE"),
            "permission denied for schema water_sys",
        )
    });
    let grants = [(grants[0].0.as_str(), grants[0].1), (grants[1].0.as_str(), grants[1].1)];
    needs(&target, role, &grants, &|own| baseline(own, "1.0.0"));
    // Where the table is.
    let target = database("least_baseline");
    let grants = [
        READS_TABLE[0],
        READS_TABLE[1],
        (WRITES_TABLE[0].0, "permission denied for table upgrades"),
        (WRITES_TABLE[2].0, "permission denied for sequence upgrades_id_seq"),
    ];
    needs(&target, role, &grants, &|own| baseline(own, "1.0.1"));
}

/// What the delta of [`town`] needs.
pub(crate) const ALTERS_PIPE: [Grant<'_>; 2] = [
    ("alter table town.pipe owner to ROLE", "must be owner of table pipe"),
    (
        "grant usage on schema town to ROLE",
        "permission denied for schema town",
    ),
];

/// A database with a table, deltas for it, and what comes of them.
pub(crate) fn town(target: &Target) -> Place {
    execute(
        target,
        "create schema town; create table town.pipe (id int primary key, n serial); insert into town.pipe values (1)",
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "alter table town.pipe add column size int;")]);
    place.write(
        "create.sql",
        "create schema town; create table town.pipe (id int primary key, n serial, size int);",
    );
    place.write("pum.yaml", "expected: {sql: [create.sql]}\n");
    place
}

#[test]
fn an_upgrade_needs_the_table_and_what_its_deltas_need() {
    let role = role("least_upgrade");
    let target = database("least_upgrade");
    let place = town(&target);
    let grants = [&READS_TABLE[..], &WRITES_TABLE, &ALTERS_PIPE].concat();
    needs(&target, role, &grants, &|own| place.upgrade(own, &[]));
}

#[test]
fn what_is_in_no_transaction_does_not_begin_where_it_could_not_be_recorded() {
    let role = role("least_outside");
    let target = database("least_outside");
    let place = town(&target);
    place.write(
        "deltas/delta_1.1.0_a.sql",
        "-- pum: no-transaction\ncreate index concurrently pipe_n on town.pipe (n);\n",
    );
    let grants = [&READS_TABLE[..], &WRITES_TABLE, &ALTERS_PIPE, &[CREATES_IN_TOWN]].concat();
    needs_in(&target, role, &grants, &WRITES_TABLE, &|own| place.upgrade(own, &[]));
}

/// An index is made with the rights of the table's owner.
const CREATES_IN_TOWN: Grant<'_> = (
    "grant create on schema town to ROLE",
    "permission denied for schema town",
);

/// What it takes to read all of [`town`].
pub(crate) const READS_ALL: [Grant<'_>; 5] = [
    ("grant usage on schema town to ROLE", "what is in the schema town"),
    READS_TABLE[0],
    ("grant select on town.pipe to ROLE", "permission denied for table pipe"),
    READS_TABLE[1],
    (
        "grant select on town.pipe_n_seq, water_sys.upgrades_id_seq to ROLE",
        "may not read town.pipe_n_seq, water_sys.upgrades_id_seq",
    ),
];

#[test]
fn a_dump_needs_to_read_and_a_restore_to_create() {
    let role = role("least_dump");
    let target = database("least_dump");
    let place = town(&target);
    // Where the upgrades table is a table like any other.
    let grants = READS_ALL.map(|grant| match grant.0.contains("upgrades to") {
        true => (grant.0, "permission denied for table upgrades"),
        false => (
            grant.0,
            grant
                .1
                .trim_start_matches("GRANT USAGE ON SCHEMA \"")
                .trim_end_matches("\" TO"),
        ),
    });
    needs(&target, role, &grants, &|own| {
        place.pum(&["dump", "-p", &own.name(), "least.backup"])
    });
    let creates = [(
        "grant create on database DATABASE_NAME to ROLE",
        "GRANT CREATE ON DATABASE",
    )];
    let empty = empty_database("least_restore");
    needs(&empty, role, &creates, &|own| {
        place.pum(&["restore", "-p", &own.name(), "least.backup"])
    });

    // A new database, and roles that the server does not have.
    execute(
        &target,
        "create role least_dump_reader; grant select on town.pipe to least_dump_reader",
    );
    place.pum(&["dump", "-p", &target.name(), "granted.backup"]).succeeds();
    execute(&target, "drop owned by least_dump_reader; drop role least_dump_reader");
    let rights = [
        ("alter role ROLE createdb", "lacks the right CREATEDB"),
        ("alter role ROLE createrole", "lacks the right CREATEROLE"),
    ];
    needs(&empty, role, &rights, &|own| {
        let new = own.clone().with("dbname", "least_new").name();
        place.pum(&["restore", "-p", &new, "--create", "--create-roles", "granted.backup"])
    });
    needs(&empty, role, &rights[..1], &|own| {
        let new = own.clone().with("dbname", "least_newer").name();
        place.pum(&["restore", "-p", &new, "--create", "least.backup"])
    });
}
