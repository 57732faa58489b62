//! What needs no database: versions, help, the configuration, completions, the manual.

use std::process::Stdio;

use crate::Place;

const COMMANDS: [&str; 11] = [
    "check",
    "dump",
    "restore",
    "baseline",
    "info",
    "upgrade",
    "test",
    "test-and-upgrade",
    "config",
    "completions",
    "man",
];

#[test]
fn the_version_is_what_scripts_look_for() {
    let place = Place::new();
    for line in ["-v", "--version"] {
        let ended = place.run(line).with(0);
        assert_eq!(ended.out, format!("pum version {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!(ended.err, "");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let place = Place::new();
    let whole = place.run("").with(0);
    assert_eq!(place.run("--help").with(0).out, whole.out);
    assert!(whole.out.contains("Examples:"));
    for command in COMMANDS {
        assert!(
            whole.out.contains(&format!("  {command} ")),
            "{command} is not in\n{}",
            whole.out
        );
        let help = place.run(&format!("{command} --help")).with(0).out;
        assert!(help.contains("Examples:"), "{help}");
        assert!(
            help.contains(&format!("pum {command}")) || command == "config",
            "{help}"
        );
        assert!(!help.contains('\x1b'));
    }
}

#[test]
fn the_examples_in_the_help_are_understood() {
    let place = Place::new();
    for command in COMMANDS {
        let help = place
            .command(&format!("{command} --help"))
            .env("COLUMNS", "1000")
            .output()
            .unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let (_, examples) = help.split_once("Examples:").unwrap();
        for example in examples.lines().filter_map(|line| line.trim().strip_prefix("pum ")) {
            let example = example.split(['|', '>']).next().unwrap();
            // Wrong usage ends with 2 and a usage line; anything else gets further.
            let ended = place.run(example);
            assert!(!ended.err.contains("Usage:"), "pum {example}\n{}", ended.err);
        }
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::new();
    for line in [
        "nothing",
        "check",
        "check -p1 a",
        "upgrade -p x --lock-timeout 5",
        "info -p x",
        "dump f",
        "baseline -p x -t s.t -b 1.0",
        "upgrade -p x -t s.t -d . -u 1",
        "upgrade -p x -t t -d .",
        "upgrade -p x -t s.t -d . -v text NAME value",
        "check -p1 a -p2 b -i cats",
        "info -c missing.yaml",
    ] {
        let ended = place.run(line).with(2);
        assert!(ended.err.starts_with("error: "), "{line}\n{}", ended.err);
        assert_eq!(ended.out, "", "{line}");
    }
}

#[test]
fn the_configuration_shows_values_and_where_they_come_from() {
    let place = Place::new();
    place.write(
        "conf/db_manager_config.yaml",
        "upgrades_table: water_sys.info\ndelta_dir: deltas\npg_dump_exe: here/pg_dump\npg_service: host=x password=secret\n\
         variables:\n  SRID: 2056\n",
    );
    let ended = place
        .command("-c conf/db_manager_config.yaml config -d elsewhere -v int SRID 1 --lock-timeout 3s")
        .env("PG_RESTORE_EXE", "/opt/pg_restore")
        .output()
        .unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    let line = |key: &str| {
        let line = out
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_else(|| panic!("{out}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("upgrades_table"),
        "upgrades_table water_sys.info conf/db_manager_config.yaml:1"
    );
    assert_eq!(line("delta_dirs"), "delta_dirs elsewhere command line");
    assert_eq!(
        line("pg_dump_exe"),
        "pg_dump_exe conf/here/pg_dump conf/db_manager_config.yaml:3"
    );
    assert_eq!(
        line("pg_restore_exe"),
        "pg_restore_exe /opt/pg_restore environment, PG_RESTORE_EXE"
    );
    assert_eq!(
        line("variables.SRID"),
        "variables.SRID type: int, value: 1 command line"
    );
    assert_eq!(line("lock_timeout"), "lock_timeout 3s command line");
    assert_eq!(line("backup_file"), "backup_file - default");
    assert_eq!(line("copy"), "copy auto default");
    assert!(!out.contains("secret"), "{out}");

    // Every key of the schema is shown.
    let schema = std::fs::read_to_string(crate::repository().join("cli/config.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    for key in schema["properties"].as_object().unwrap().keys() {
        let shown = key == "delta_dir" || out.lines().any(|line| line.starts_with(key.as_str()));
        assert!(shown, "{key} is not in\n{out}");
    }
}

#[test]
fn the_configuration_is_found_in_the_current_directory() {
    let place = Place::new();
    assert!(place.run("config").with(0).out.starts_with("No configuration file."));
    place.write("pum.yaml", "upgrades_table: a.b\n");
    assert!(place.run("config").with(0).out.contains("pum.yaml:1"));
    let json = place.run("config --format json").with(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (json["schema"].as_str(), json["file"].as_str()),
        (Some("pum/config/1"), Some("pum.yaml"))
    );
    place.write("db_manager_config.yaml", "upgrades_table: a.b\n");
    let ended = place.run("config").with(2);
    assert!(
        ended.err.contains("both db_manager_config.yaml and pum.yaml"),
        "{}",
        ended.err
    );
    place.run("-c pum.yaml config").with(0);
}

#[test]
fn a_wrong_configuration_shows_its_line() {
    let place = Place::new();
    place.write("pum.yaml", "delta_dir: deltas\nupgrade_table: a.b\n");
    let ended = place.run("info").with(2);
    assert_eq!(
        ended.err,
        "error: in the configuration: unknown key \"upgrade_table\"\n \
         --> pum.yaml:2:1\n  \
         |\n\
         2 | upgrade_table: a.b\n  \
         | ^\n  \
         |\n  \
         = help: did you mean \"upgrades_table\"?\n"
    );
    // What needs no configuration does not read it.
    place.run("-v").with(0);
    place.run("completions bash").with(0);
}

#[test]
fn shells_get_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&format!("completions {shell}")).with(0).out;
        assert!(script.contains("test-and-upgrade"), "{shell}");
    }
    let bash = place.write("pum.bash", &place.run("completions bash").out);
    let checked = place.hermetic("bash").arg("-n").arg(bash).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_manual_is_written() {
    let place = Place::new();
    assert!(place.run("man").with(0).out.contains(".TH pum 1"));
    place.run("man some/where").with(0);
    for command in COMMANDS {
        let page = std::fs::read_to_string(place.path(&format!("some/where/pum-{command}.1"))).unwrap();
        assert!(page.contains("Examples:"), "{command}");
    }
    place.write("file", "");
    let ended = place.run("man file/x").with(1);
    assert!(ended.err.starts_with("error: cannot write the manual"), "{}", ended.err);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    for line in ["--help", "man", "completions zsh", "config", "nothing"] {
        let mut child = place
            .command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        drop(child.stderr.take());
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(if line == "nothing" { 2 } else { 0 }), "{line}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let place = Place::new();
    let ended = place.command("config").stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let err = String::from_utf8(ended.stderr).unwrap();
    assert!(err.starts_with("error: cannot write to standard output"), "{err}");
}
