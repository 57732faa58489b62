//! The database cannot be reached.

use std::os::unix::fs::PermissionsExt;

use crate::support::{LOCKED_ROLE, PASSWORD, Place, TABLE, contents, database, server, sql, text};

/// Every command that names a database, with the words that it needs besides.
const COMMANDS: [&[&str]; 5] = [
    &["info", "-t", TABLE, "-d", "deltas", "-p"],
    &["upgrade", "-t", TABLE, "-d", "deltas", "-p"],
    &["baseline", "-t", TABLE, "-b", "1.0.0", "-p"],
    &["dump", "water.backup", "-p"],
    &["test", "-t", TABLE, "-d", "deltas", "-pc", "water_new", "-pp"],
];

#[test]
fn an_unknown_service() {
    let place = Place::with_deltas(&[]);
    for words in COMMANDS {
        let words = [words, &["water_prodd"]].concat();
        place
            .pum(&words)
            .fails(6)
            .says(&["the service \"water_prodd\" is not defined"])
            .helps(&["[water_prodd]", ".pg_service.conf"]);
    }
    // A check that cannot tell is neither "same" nor "different".
    place
        .pum(&["check", "-p1", "water_prodd", "-p2", "water_new"])
        .fails(2)
        .says(&["\"water_prodd\" is not defined"]);
    assert_eq!(place.files(), ["deltas"]);
}

#[test]
fn a_broken_service_file() {
    let place = Place::with_deltas(&[]);
    place.write(".pg_service.conf", "[water_prod]\nhost=a\nhots=b\n");
    place
        .pum(&["info", "-t", TABLE, "-d", "deltas", "-p", "water_prod"])
        .fails(6)
        .says(&["water_prod", ".pg_service.conf", "line 3"])
        .helps(&["correct"]);
}

#[test]
fn a_wrong_password() {
    let target = database("wrong_password").with("user", LOCKED_ROLE);
    let wrong = format!("{} password=not-this-Tr0ub4dor", target.name());
    let before = contents(&target.clone().with("user", "postgres"));
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "select 1;")]);
    for words in COMMANDS.iter().take(4) {
        let ended = place
            .pum(&[words, &[wrong.as_str()][..]].concat())
            .fails(6)
            .says(&[&format!("password authentication failed for user \"{LOCKED_ROLE}\"")])
            .helps(&["password"]);
        assert!(!ended.stderr.contains("not-this"), "{ended:#?}");
    }
    assert_eq!(contents(&target.with("user", "postgres")), before);
}

#[test]
fn a_password_that_nobody_can_be_asked_for() {
    let target = database("asked").with("user", LOCKED_ROLE);
    let place = Place::with_deltas(&[]);
    for words in COMMANDS.iter().take(4) {
        place
            .pum(&[words, &[target.name().as_str()][..]].concat())
            .fails(6)
            .says(&["needs a password"])
            .helps(&[".pgpass", "PGPASSWORD"]);
    }
    place
        .pum(&["info", "-t", TABLE, "-d", "deltas", "-W", "-p", &target.name()])
        .fails(6)
        .says(&["needs a password"])
        .helps(&["no terminal", ".pgpass"]);
}

#[test]
fn a_passfile_is_read_and_one_that_others_may_read_is_not() {
    let target = database("passfile").with("user", LOCKED_ROLE);
    let place = Place::with_deltas(&[]);
    let passfile = place.write("passes", format!("*:*:*:{LOCKED_ROLE}:{PASSWORD}\n"));
    std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o600)).unwrap();
    let place = place.set("PGPASSFILE", text(&passfile));
    let words = ["info", "-t", TABLE, "-d", "deltas", "-p", &target.name()];
    place.pum(&words).succeeds();

    std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o644)).unwrap();
    place
        .pum(&words)
        .fails(6)
        .says(&["needs a password"])
        .helps(&["chmod 0600"]);
}

#[test]
fn a_python_delta_that_tells_its_password_is_shown_with_asterisks() {
    let target = database("telling").with("user", LOCKED_ROLE);
    // It looks wherever a password can be, writes it, and fails with it.
    let delta = "\
import os

from pum.core.deltapy import DeltaPy


class Telling(DeltaPy):
    def run(self):
        said = os.environ.get('PGPASSWORD', '')
        for name in ('PGPASSFILE', 'PGSERVICEFILE'):
            if name in os.environ:
                with open(os.environ[name]) as file:
                    said += ' ' + file.read()
        print('it is', said)
        raise RuntimeError('with ' + said)
";
    let asterisks = "*".repeat(PASSWORD.len());
    let place = || Place::with_deltas(&[("delta_1.1.0_a.py", delta)]);
    let tells = |place: &Place, name: &str| {
        // That it is in neither stream is looked at for every run.
        let ended = place
            .pum(&["upgrade", "-p", name, "-t", TABLE, "-d", "deltas"])
            .fails(1)
            .says(&[&asterisks, "RuntimeError: with "]);
        assert!(ended.stderr.matches(&asterisks).count() > 2, "{ended:#?}");
    };
    tells(&place().set("PGPASSWORD", PASSWORD), &target.name());
    let of_conninfo = place();
    tells(&of_conninfo, &format!("{} password={PASSWORD}", target.name()));
    for (variable, text_of_file, name) in [
        ("PGPASSFILE", format!("*:*:*:{LOCKED_ROLE}:{PASSWORD}\n"), target.name()),
        (
            "PGSERVICEFILE",
            format!("[telling]\n{}\npassword={PASSWORD}\n", target.name().replace(' ', "\n")),
            "telling".to_owned(),
        ),
    ] {
        let place = place();
        let file = place.write("secret", text_of_file);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        tells(&place.set(variable, text(&file)), &name);
    }
}

#[test]
fn no_such_database() {
    let target = server().target("not_there");
    let place = Place::with_deltas(&[]);
    for words in COMMANDS {
        place
            .pum(&[words, &[target.name().as_str()][..]].concat())
            .fails(6)
            .says(&["database \"not_there\" does not exist"])
            .helps(&["psql -l", "createdb"]);
    }
    assert_eq!(
        sql(
            &server().target("postgres"),
            "select count(*) from pg_database where datname = 'not_there'"
        ),
        "0"
    );
    assert_eq!(place.files(), ["deltas"]);
}

#[test]
fn the_server_is_away() {
    let place = Place::with_deltas(&[]);
    let nowhere = format!("host={} dbname=water", place.path("").display());
    // Nobody listens on port 1 of this machine.
    for target in [nowhere.as_str(), "postgresql://water@127.0.0.1:1/water"] {
        for words in COMMANDS {
            place
                .pum(&[words, &[target][..]].concat())
                .fails(6)
                .says(&["cannot connect to"])
                .helps(&["check that the server runs"]);
        }
    }
}

#[test]
fn a_connection_string_that_is_none() {
    let place = Place::with_deltas(&[]);
    for (target, words) in [
        ("host=a dbnam=b", "invalid connection option \"dbnam\""),
        ("postgresql://a:b@[::1/e", "not valid"),
        ("", "empty"),
        ("password=Tr0ub4dor-no-echo dbnam=b", "not valid"),
    ] {
        place
            .pum(&["info", "-t", TABLE, "-d", "deltas", "-p", target])
            .fails(2)
            .says(&[words])
            .helps(&["URI", "conninfo"]);
    }
}
