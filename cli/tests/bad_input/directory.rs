//! The delta directories, and the names in them.

use crate::support::{Place, TABLE, contents, database};

#[test]
fn a_directory_that_is_missing_or_none() {
    let target = database("directory");
    let place = Place::new();
    let before = contents(&target);
    place.write("a_file", "");
    for (directory, why) in [("deltas", "does not exist"), ("a_file", "not a directory")] {
        for command in ["info", "upgrade"] {
            place
                .pum(&[command, "-p", &target.name(), "-t", TABLE, "-d", directory])
                .fails(2)
                .says(&[&format!("\"{directory}\""), why])
                .helps(&["name the directory that holds"]);
        }
    }
    assert_eq!(contents(&target), before);
}

#[test]
fn no_directory_at_all() {
    let place = Place::new();
    place
        .pum(&["upgrade", "-p", "water", "-t", TABLE])
        .fails(2)
        .says(&["-d"])
        .helps(&["-d", "delta_dirs"]);
    place
        .pum(&["upgrade", "-p", "water", "-d", "deltas"])
        .fails(2)
        .says(&["-t"])
        .helps(&["-t", "upgrades_table"]);
    place
        .pum(&["upgrade", "-t", TABLE, "-d", "deltas"])
        .fails(2)
        .says(&["-p"])
        .helps(&["-p", "pg_service"]);
}

#[test]
fn an_empty_directory() {
    let target = database("empty");
    let place = Place::with_deltas(&[]);
    let ended = place
        .refused_upgrade(&target, &[])
        .succeeds()
        .says(&["warning: there are no deltas in \"deltas\""]);
    assert!(ended.stdout.contains("nothing"), "{ended:#?}");
}

#[test]
fn names_that_nearly_are_deltas() {
    for name in [
        "delta_1.1.0_x.y.sql",
        "delta_1.1.0_name",
        "delta_1.1.0_name.sql.post",
        "delta_1.1_name.sql",
        "Delta_1.1.0_name.sql",
        "delta_1.1.0_name.SQL",
        "delta_1.1.0-name.sql",
        "delta_1.1.0_a b.sql",
    ] {
        let target = database("near");
        let place = Place::with_deltas(&[
            (name, "create table public.lost();"),
            ("delta_1.1.0_good.sql", "select 1;"),
        ]);
        place
            .refused_upgrade(&target, &[])
            .fails(3)
            .says(&[
                &format!("\"deltas/{name}\" looks like a delta and is none: it "),
                "state: nothing was changed",
            ])
            .helps(&["rename it", "--allow-near-misses"]);
        let info = place
            .pum(&["info", "-p", &target.name(), "-t", TABLE, "-d", "deltas"])
            .succeeds();
        assert!(
            info.stdout.contains("ignored") && info.stdout.contains(name),
            "{info:#?}"
        );
        // Told to go on, it does, and says what it left out.
        let ended = place.upgrade(&target, &["--allow-near-misses"]);
        assert_eq!(ended.code, 0);
        ended.says(&["warning", "left out", name]);
    }
}

#[test]
fn the_same_delta_in_two_directories() {
    let target = database("twice");
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create table public.a();")]);
    place.write("more/delta_1.1.0_a.sql", "create table public.b();");
    place
        .refused_upgrade(&target, &["more"])
        .fails(2)
        .says(&["deltas/delta_1.1.0_a.sql", "more/delta_1.1.0_a.sql"])
        .helps(&["give it another name"]);
}

#[test]
fn a_directory_and_a_dangling_link_with_the_name_of_a_delta() {
    let target = database("odd");
    let place = Place::with_deltas(&[("delta_1.1.0_good.sql", "select 1;")]);
    place.write("deltas/delta_1.2.0_dir.sql/x", "");
    place
        .refused_upgrade(&target, &[])
        .fails(3)
        .says(&["delta_1.2.0_dir.sql", "directory"])
        .helps(&[]);
    std::fs::remove_dir_all(place.path("deltas/delta_1.2.0_dir.sql")).unwrap();
    std::os::unix::fs::symlink("nowhere.sql", place.path("deltas/delta_1.2.0_link.sql")).unwrap();
    place
        .refused_upgrade(&target, &[])
        .fails(3)
        .says(&["delta_1.2.0_link.sql"])
        .helps(&[]);
}
