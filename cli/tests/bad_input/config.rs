//! The configuration file.

use crate::support::{Place, TABLE, database};

#[test]
fn what_is_wrong_is_shown_where_it_stands() {
    for (text, place_in_file, line, words, next) in [
        (
            "delta_dir: a\nupgrade-table: a.b\n",
            "2:1",
            "upgrade-table: a.b",
            "unknown key \"upgrade-table\"",
            "did you mean \"upgrades_table\"",
        ),
        (
            "variables:\n\tSRID: 2056\n",
            "2:1",
            "    SRID: 2056",
            "a tab indents this line",
            "spaces",
        ),
        (
            "delta_dir: [a, b]\n",
            "1:12",
            "delta_dir: [a, b]",
            "a text is needed here",
            "delta_dirs",
        ),
        (
            "delta_dirs: a\n",
            "1:13",
            "delta_dirs: a",
            "a list is needed here",
            "[a, b]",
        ),
        (
            "delta_dir: a\n\ndelta_dir: b\n",
            "3:1",
            "delta_dir: b",
            "the key \"delta_dir\" stands twice",
            "leave one",
        ),
        (
            "delta_dir: 'a\n",
            "1:12",
            "delta_dir: 'a",
            "unclosed quote",
            "not closed",
        ),
        (
            "delta_dir: a: b\n",
            "1:13",
            "delta_dir: a: b",
            "mapping values",
            "quotes",
        ),
    ] {
        let place = Place::new();
        place.write("db_manager_config.yaml", text);
        for words_of in [&["config"][..], &["info", "-p", "a", "-t", "a.b", "-d", "c"]] {
            let ended = place
                .pum(words_of)
                .fails(2)
                .says(&["in the configuration", words])
                .helps(&[next]);
            let place_in_file = format!("db_manager_config.yaml:{place_in_file}");
            if text.contains('\t') {
                ended.says(&[&place_in_file]);
            } else {
                ended.points_at(&place_in_file, line);
            }
        }
    }
}

#[test]
fn a_file_that_is_not_there_or_no_text() {
    let place = Place::new();
    place
        .pum(&["-c", "pum.yml", "config"])
        .fails(2)
        .says(&["\"pum.yml\"", "No such file"]);
    place.write("pum.yaml", b"delta_dir: Z\xfcrich\n");
    place
        .pum(&["config"])
        .fails(2)
        .says(&["pum.yaml", "UTF-8"])
        .helps(&["UTF-8"]);
    place.write("db_manager_config.yaml", "");
    // Two of them: which one counts is not guessed.
    let ended = place.pum(&["config"]);
    assert!(
        ended.code == 2 || ended.stdout.contains("db_manager_config.yaml"),
        "{ended:#?}"
    );
}

#[test]
fn values_that_no_option_takes() {
    let target = database("config").name();
    let place = Place::with_deltas(&[]);
    for (text, words) in [
        ("ignore_elements: [tabels]\n", "tabels"),
        ("upgrades_table: upgrades\n", "the schema is missing"),
        ("lock_timeout: soon\n", "write a number and its unit: 500ms"),
    ] {
        let base = format!("delta_dir: deltas\npg_service_prod: {target}\npg_service_comp: {target}\n");
        place.write("pum.yaml", base + text);
        let table: &[&str] = if text.contains("upgrades_table") {
            &[]
        } else {
            &["-t", TABLE]
        };
        place
            .pum(&[&["test"][..], table].concat())
            .fails(2)
            .says(&[words, "pum.yaml:4"]);
    }
}

#[test]
fn a_bomb_of_anchors_is_refused() {
    let mut text = "variables:\n  a0: &a0 x\n".to_owned();
    for number in 1..40 {
        let before = number - 1;
        text.push_str(&format!(
            "  a{number}: &a{number} [*a{before}, *a{before}, *a{before}]\n"
        ));
    }
    let place = Place::new();
    place.write("pum.yaml", text);
    let begun = std::time::Instant::now();
    place.pum(&["config"]).fails(2).says(&["pum.yaml"]);
    assert!(begun.elapsed().as_secs() < 10);
}

#[test]
fn words_that_no_command_has() {
    let place = Place::new();
    for words in [
        &["upgrad"][..],
        &["upgrade", "--tabel", "x"],
        &["check", "-p1", "a"],
        &["dump", "-p", "a"],
        &["check", "-p1", "a", "-p2", "b", "-v", "3"],
        &["upgrade", "-p", "a", "-t", "a.b", "-d", "c", "--wait", "long"],
        &["dump", "-p", "a", "-j", "0", "f"],
    ] {
        let ended = place.pum(words).fails(2);
        assert!(ended.stdout.is_empty(), "{ended:#?}");
    }
    place
        .pum(&["check", "-p1", "a", "-p2", "b", "-i", "tabels"])
        .fails(2)
        .says(&["tabels"])
        .helps(&["tables"]);
}
