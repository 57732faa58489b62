//! Files right and wrong, and what wins over what.

use super::*;

fn read(text: &str) -> Result<Config> {
    Config::from_text("conf/pum.yaml".into(), text.to_owned())
}

/// The error of a file: line, sentence and hint.
fn refused(text: &str) -> String {
    let error = match read(text) {
        Ok(config) => panic!("{text:?} was understood: {config:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Usage);
    let line = error.location().map_or(0, |place| place.line);
    format!("{line}: {} ({})", error.message(), error.hint().unwrap_or("-"))
}

const WHOLE: &str = r#"# all keys
upgrades_table: water_sys.info
delta_dirs: [deltas, /srv/own]
backup_file: out/water.backup
ignore_elements: [views, rules]
exclude_schemas:
  - topology
exclude_field_patterns: ["%_import"]
pg_dump_exe: bin/pg_dump
pg_restore_exe: pg_restore
variables:
  SRID: 2056
  ratio: 0.5
  town: Riva
  code: "007"
  small: {type: float, value: 1.10}
  big: {type: int, value: 123456789012345678901234567890}
version_query: select version from water.about
expected:
  sql: [create.sql, /srv/more.sql]
lock_timeout: 2min
max_age: 14d
budget_factor: 3
pg_service: water
pg_service_prod: water_prod
pg_service_test: water_test
pg_service_comp: host=x dbname=water_comp
include: [owners]
exclude: ["usr_*"]
data: [water.material]
expect: known.json
copy: physical
fleet: ["town_*", dbname=other]
sample: 2.5%
"#;

#[test]
fn every_key_has_its_value_and_its_place() {
    let config = read(WHOLE).unwrap();
    let at = |line: usize| {
        let place = Location {
            path: "conf/pum.yaml".into(),
            line,
            column: 0,
            text: String::new(),
        };
        Origin::File(place).to_string()
    };
    let table = config.upgrades_table(None).unwrap();
    assert_eq!(
        (table.value.as_str(), table.origin.to_string()),
        ("water_sys.info", at(2))
    );
    let dirs = config.delta_dirs(Vec::new()).unwrap();
    assert_eq!(dirs.value, [Path::new("conf/deltas"), Path::new("/srv/own")]);
    assert_eq!(dirs.origin.to_string(), at(3));
    let backup = config.backup_file(None).unwrap();
    assert_eq!(backup.value, Path::new("conf/out/water.backup"));
    assert_eq!(config.ignore_elements(Vec::new()).value, ["views", "rules"]);
    assert_eq!(config.exclude_schemas(Vec::new()).value, ["topology"]);
    assert_eq!(config.include(Vec::new()).value, ["owners"]);
    assert_eq!(config.exclude(Vec::new()).value, ["usr_*"]);
    assert_eq!(config.data(Vec::new()).value, ["water.material"]);
    assert_eq!(config.fleet(Vec::new()).value, ["town_*", "dbname=other"]);
    assert_eq!(config.expect(None).unwrap().value, Path::new("conf/known.json"));
    assert_eq!(config.exclude_field_patterns(Vec::new()).value, ["%_import"]);
    let variables: Vec<(String, String, String)> = config
        .variables(&[])
        .into_iter()
        .map(|(name, setting)| (name, setting.value.kind, setting.value.value))
        .collect();
    let expected = [
        ("SRID", "int", "2056"),
        ("big", "int", "123456789012345678901234567890"),
        ("code", "str", "007"),
        ("ratio", "float", "0.5"),
        ("small", "float", "1.10"),
        ("town", "str", "Riva"),
    ];
    assert_eq!(
        variables,
        expected.map(|(name, kind, value)| (name.into(), kind.into(), value.into()))
    );
    assert!(!config.script_variables(&[]).unwrap().is_empty());
    assert_eq!(config.version_query().unwrap().value, "select version from water.about");
    assert_eq!(
        config.expected().unwrap().value,
        Expected::Sql(vec!["conf/create.sql".into(), "/srv/more.sql".into()])
    );
    assert_eq!(config.max_age(None).unwrap().unwrap().value, "14d".parse().unwrap());
    assert_eq!(config.budget_factor(None).unwrap().unwrap().value.to_string(), "3");
    assert_eq!(config.budget_factor(Some(2.0)).unwrap().unwrap().value.to_string(), "2");
    let timeout = config.lock_timeout(None).unwrap().unwrap();
    assert_eq!((timeout.value.0.as_secs(), timeout.origin.to_string()), (120, at(21)));
    let copy = config.copy(None).unwrap();
    assert_eq!((copy.value, copy.origin.to_string()), (CopyMethod::Physical, at(32)));
    let sample = config.sample(None).unwrap().unwrap();
    assert_eq!(
        (sample.value.to_string().as_str(), sample.origin.to_string()),
        ("2.5%", at(34))
    );
    let databases = [Role::Only, Role::Production, Role::Test, Role::Comparison]
        .map(|role| config.database(role, None).unwrap().value);
    assert_eq!(
        databases,
        ["water", "water_prod", "water_test", "host=x dbname=water_comp"]
    );
}

#[test]
fn the_command_line_wins() {
    let config = read(WHOLE).unwrap();
    let table = config.upgrades_table(Some("a.b".into())).unwrap();
    assert_eq!((table.value.as_str(), table.origin), ("a.b", Origin::CommandLine));
    // A list replaces the list.
    assert_eq!(config.delta_dirs(vec!["x".into()]).unwrap().value, [Path::new("x")]);
    assert_eq!(config.ignore_elements(vec!["tables".into()]).value, ["tables"]);
    // Variables join by name.
    let words = ["int", "SRID", "21781", "str", "more", "x"].map(str::to_owned);
    let variables = config.variables(&words);
    assert_eq!(variables["SRID"].value.value, "21781");
    assert_eq!(variables["SRID"].origin, Origin::CommandLine);
    assert_eq!(variables["town"].value.value, "Riva");
    assert_eq!(variables["more"].value.kind, "str");
    let time = Time(Duration::from_millis(500));
    assert_eq!(config.lock_timeout(Some(time)).unwrap().unwrap().value, time);
    assert_eq!(
        config.copy(Some("template".into())).unwrap().value,
        CopyMethod::Template
    );
    assert_eq!(config.database(Role::Only, Some("x".into())).unwrap().value, "x");
}

#[test]
fn a_program_without_a_slash_is_looked_for_in_path() {
    let config = read(WHOLE).unwrap();
    let program = |program| config.program_in(program, |_| None).unwrap().value;
    assert_eq!(program(Program::PgDump), Path::new("conf/bin/pg_dump"));
    assert_eq!(program(Program::PgRestore), Path::new("pg_restore"));
    let other = config
        .program_in(Program::PgDump, |name| Some(format!("/opt/{name}").into()))
        .unwrap();
    assert_eq!(other.value, Path::new("/opt/PG_DUMP_EXE"));
    assert_eq!(other.origin, Origin::Environment("PG_DUMP_EXE"));
}

#[test]
fn a_file_may_say_little() {
    for text in [
        "",
        "# nothing\n\n",
        "{}",
        "---\n",
        "delta_dir: deltas\n",
        "delta_dir:\n",
    ] {
        read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
    assert_eq!(
        read("delta_dir: deltas").unwrap().delta_dirs(Vec::new()).unwrap().value,
        [Path::new("conf/deltas")]
    );
    // A text that looks like a number stays the text.
    assert_eq!(
        read("pg_service: 1.10")
            .unwrap()
            .database(Role::Only, None)
            .unwrap()
            .value,
        "1.10"
    );
}

#[test]
fn the_expected_database_is_built_in_one_of_three_ways() {
    let expected = |text: &str| read(text).unwrap().expected().unwrap().value;
    assert_eq!(
        expected("expected: {command: ./setup.sh -r}"),
        Expected::Command(Command::Shell("./setup.sh -r".into()))
    );
    assert_eq!(
        expected("expected: {command: [./setup.sh, -r]}"),
        Expected::Command(Command::Words(vec!["./setup.sh".into(), "-r".into()]))
    );
    assert_eq!(expected("expected: {deltas: true}"), Expected::Deltas(true));
}

#[test]
fn bad_files_get_a_sentence_and_a_line() {
    let files = [
        "upgrades_tables: a.b\n",
        "delta_dir: a\nupgrade-table: a.b\n",
        "delta_dir: a\nsomething_else: 1\n",
        "delta_dir: [a, b]\n",
        "delta_dirs: a\n",
        "delta_dir: {a: b}\n",
        "delta_dir: a\ndelta_dir: b\n",
        "delta_dir: a\ndelta_dirs: [b]\n",
        "variables:\n\tSRID: 2056\n",
        "\tdelta_dir: a\n",
        "delta_dir: a\n  upgrades_table: b\n",
        "delta_dir: 'a\n",
        "delta_dirs: [a, b\n",
        "- delta_dir\n",
        "deltas\n",
        "variables: [a]\n",
        "variables:\n  version: 1.10\n",
        "variables:\n  code: 007\n",
        "variables:\n  on: yes\n",
        "variables:\n  nothing: ~\n",
        "variables:\n  list: [1]\n",
        "variables:\n  a: {type: int}\n",
        "variables:\n  a: {type: int, value: 1, vlaue: 2}\n",
        "variables:\n  a: 1\n  a: 2\n",
        "expected: {deltas: false}\n",
        "expected: {commands: x}\n",
        "expected: {command: x, sql: [y]}\n",
        "expected: x\n",
        "lock_timeout: 5\n",
        "lock_timeout: soon\n",
        "lock_timeout: 30d\n",
        "max_age: 7\n",
        "budget_factor: 0.5\n",
        "budget_factor: much\n",
        "copy: fast\n",
        "sample: 500%\n",
        "ignore_elements: views\n",
        "pg_dump_exe: true: x\n",
        "a: &a [*a]\n",
        "delta_dir: a\n---\ndelta_dir: b\n",
        "delta_dir: \"a\u{0}\"\n",
    ];
    let all: Vec<String> = files
        .iter()
        .map(|text| format!("{text:?}\n    {}\n", refused(text)))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn wrong_variables_are_found_when_they_are_read() {
    let error = read("variables:\n  a: {type: int, value: x}\n")
        .unwrap()
        .script_variables(&[])
        .unwrap_err();
    assert_eq!(error.location().map(|place| place.line), Some(2), "{error}");
    let error = read("variables:\n  a: {type: text, value: x}\n")
        .unwrap()
        .script_variables(&[])
        .unwrap_err();
    assert!(error.message().contains("text"), "{error}");
}

#[test]
fn yaml_bombs_are_refused_quickly() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let started = std::time::Instant::now();
    assert!(read(&text).is_err());
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&"a: {".repeat(100_000)).is_err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn times_have_a_unit() {
    let read = |text: &str| text.parse::<Time>();
    for (text, milliseconds) in [
        ("500ms", 500),
        ("5s", 5_000),
        ("2 min", 120_000),
        ("1h", 3_600_000),
        ("0", 0),
    ] {
        assert_eq!(read(text), Ok(Time(Duration::from_millis(milliseconds))), "{text}");
    }
    for text in [
        "",
        "5",
        "s",
        "-5s",
        "5 parsecs",
        "1.5s",
        "99999999999999999999s",
        "25d",
        "5S",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in ["500ms", "5s", "90s", "2min", "1h", "3d", "0ms"] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
}

/// The schema in the repository is the one of the types. `PUM_WRITE_SCHEMA=1 cargo test` writes it.
#[test]
fn the_schema_is_in_step() {
    let schema = format!(
        "{:#}\n",
        serde_json::to_value(schemars::schema_for!(file::File)).unwrap()
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.schema.json");
    if std::env::var_os("PUM_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema,
        "write it anew: PUM_WRITE_SCHEMA=1 cargo test -p pum-cli schema"
    );
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(
            WHOLE.contains(&format!("\n{key}:")) || key == "delta_dir",
            "{key} is in no test"
        );
    }
}

#[test]
fn a_carriage_return_alone_ends_a_line_too() {
    let config = read("# of an old Macintosh\rdelta_dir: deltas\r").unwrap();
    assert_eq!(config.delta_dirs(Vec::new()).unwrap().value, [Path::new("conf/deltas")]);
    let said = refused("# of an old Macintosh\rdelta_dir: deltas\rno_such: 1\r");
    assert!(
        said.starts_with("3: in the configuration: unknown key \"no_such\""),
        "{said}"
    );
}

#[test]
fn no_password_is_shown_with_the_line_that_holds_it() {
    for line in [
        "pg_service: \"postgresql://ann:s3cr3t@db1:x:y/%zz\" x",
        "pg_service: [POSTGRES://ann:s3cr3t@s3cr3t@db1]",
        "pg_service: postgresql:// ann:s3cr3t@db1: x",
        "pg_service: host=é password=s3cr3t dbname= : x",
        "pg_service: host=x sslpassword = 's3cr3t s3cr3t' dbname= : x",
        "pg_service: postgresql://db1/water?password=s3cr3t&x: y",
        "password: s3cr3t",
        "\"Password\": s3cr3t",
        "\tpassword: s3cr3t",
    ] {
        let error = read(&format!("delta_dir: x\n{line}\n")).err();
        let shown = error
            .as_ref()
            .and_then(pum::Error::location)
            .map(|place| place.text.clone());
        let shown = shown.unwrap_or_else(|| file::without_passwords(line));
        assert!(!shown.contains("s3cr3t") && shown.contains("***"), "{shown}");
        assert_eq!(shown.chars().count(), line.chars().count());
        assert!(error.is_none_or(|error| !error.message().contains("s3cr3t")), "{line}");
    }
    let plain = "version_query: select password from t";
    assert_eq!(file::without_passwords(plain), plain);
}
