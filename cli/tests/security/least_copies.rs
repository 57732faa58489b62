//! What each way to rehearse needs, and what carrying it out at once needs.

use std::io::Write;
use std::process::Stdio;

use crate::privileges::{
    ALTERS_PIPE, Grant, READS_ALL, READS_TABLE, WRITES_TABLE, execute, needs_in, role, role_on, town,
};
use crate::support::{Ended, Place, TABLE, database, sql, start};

fn test(place: &Place, more: &[&str], production: &pum::Target) -> Ended {
    let name = production.name();
    place.pum(&[&["test", "-pp", &name, "-t", TABLE, "-d", "deltas"], more].concat())
}

#[test]
fn a_rehearsal_needs_to_read_what_it_copies() {
    let role = role("least_test");
    let target = database("least_test");
    let place = town(&target);
    needs_in(&target, role, &READS_ALL, &READS_ALL[2..], &|own| {
        test(&place, &[], own)
    });

    // So large that it is sampled.
    execute(
        &target,
        "insert into town.pipe select n, n from generate_series(2, 40000) n",
    );
    needs_in(&target, role, &READS_ALL, &READS_ALL[2..3], &|own| {
        test(&place, &["--sample", "5%"], own)
    });

    // Where the sequences stand is not looked at, save that of the upgrades table.
    let structure = [
        READS_ALL[0],
        READS_ALL[1],
        READS_ALL[2],
        READS_ALL[3],
        (
            "grant select on water_sys.upgrades_id_seq to ROLE",
            "water_sys.upgrades_id_seq",
        ),
    ];
    needs_in(&target, role, &structure, &structure[4..], &|own| {
        test(&place, &["--schema-only"], own)
    });
}

#[test]
fn databases_of_ones_own_for_a_rehearsal_need_createdb() {
    let role = role("least_own");
    let target = database("least_own");
    let place = town(&target);
    let creates: Grant<'_> = ("alter role ROLE createdb", "the user needs the right CREATEDB");
    let grants = [&READS_ALL[..], &[creates]].concat();
    needs_in(&target, role, &grants, &[creates], &|own| {
        let [copy, new] = ["least_own_copy", "least_own_new"].map(|name| own.clone().with("dbname", name).name());
        test(&place, &["-pt", &copy, "-pc", &new], own)
    });
}

#[test]
fn a_copy_by_template_needs_ownership_and_is_upgraded_as_production_would_be() {
    let role = role("least_template");
    let target = database("least_template");
    let place = town(&target);
    let owns: [Grant<'_>; 2] = [
        ("alter role ROLE createdb", "lacks the right CREATEDB"),
        ("alter database DATABASE_NAME owner to ROLE", "does not own production"),
    ];
    let grants = [&owns[..], &READS_TABLE, &WRITES_TABLE, &ALTERS_PIPE].concat();
    let tried = [owns[0], owns[1], ALTERS_PIPE[0]];
    needs_in(&target, role, &grants, &tried, &|own| {
        let copy = own.clone().with("dbname", "least_template_copy").name();
        let ended = test(&place, &["--copy", "template", "-pt", &copy], own);
        if ended.code != 0 {
            // What was begun is no business of this test.
            execute(&target, "drop database if exists least_template_copy");
        }
        ended
    });
}

#[test]
fn a_physical_copy_needs_replication_and_is_upgraded_as_production_would_be() {
    let server = start(&[("wal_level", "replica"), ("max_wal_senders", "4")]);
    let target = server.create_database("production").unwrap();
    let role = role_on(&target, "least_physical");
    let place = town(&target);
    let name = target.name();
    place
        .pum(&["baseline", "-p", &name, "-t", TABLE, "-b", "1.0.0"])
        .succeeds();
    let replicates: Grant<'_> = ("alter role ROLE replication", "needs the right REPLICATION");
    let grants = [&[replicates][..], &READS_TABLE, &WRITES_TABLE, &ALTERS_PIPE].concat();
    needs_in(&target, role, &grants, &[replicates], &|own| {
        test(&place, &["--copy", "physical"], own)
    });
}

#[test]
fn to_rehearse_and_upgrade_at_once_needs_both() {
    let role = role("least_both");
    let target = database("least_both");
    let place = town(&target);
    let carried_out = |own: &pum::Target| {
        let name = own.name();
        let words = ["test-and-upgrade", "-pp", &name, "-t", TABLE, "-d", "deltas"];
        let mut child = place
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"y\n").unwrap();
        Ended::new(&child.wait_with_output().unwrap(), &words)
    };
    // The owner of the table reads it, and its sequence.
    let reads = (
        "grant select on water_sys.upgrades_id_seq to ROLE",
        "water_sys.upgrades_id_seq",
    );
    let grants = [&READS_TABLE[..], &WRITES_TABLE, &ALTERS_PIPE, &[reads]].concat();
    let tried = [WRITES_TABLE[1], reads];
    needs_in(&target, role, &grants, &tried, &carried_out);
    assert_eq!(sql(&target, "select max(version) from water_sys.upgrades"), "1.1.0");
}
