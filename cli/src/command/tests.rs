//! Many ways to write a command line, and what each means.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use super::{Command, Pum};
use crate::arguments::spelled_out;

fn parse(line: &str) -> Result<Pum, clap::Error> {
    Pum::try_parse_from(spelled_out(words(line)))
}

/// Words as a shell would make them: spaces part them, single quotes hold them together.
fn words(line: &str) -> Vec<OsString> {
    line.split('\'')
        .enumerate()
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(OsString::from).collect(),
            _ => vec![OsString::from(part)],
        })
        .collect()
}

fn command(line: &str) -> Command {
    match parse(line) {
        Ok(pum) => pum.command.unwrap_or_else(|| panic!("no command in {line}")),
        Err(error) => panic!("{line}\n{error}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Pum::command().debug_assert();
}

#[test]
fn the_real_calls_parse_word_for_word() {
    let Command::TestAndUpgrade(args) = command(
        "pum test-and-upgrade -pp qwat_prod -pt qwat_test -pc qwat_comp -t qwat_sys.info -d datamodel/update/delta/ \
         /tmp/delta/ -f /tmp/qwat_dump -i views rules triggers",
    ) else {
        panic!("another command")
    };
    assert_eq!(args.pg_service_prod.as_deref(), Some("qwat_prod"));
    let args = args.rehearsal;
    assert_eq!(args.pg_service_test.as_deref(), Some("qwat_test"));
    assert_eq!(args.pg_service_comp.as_deref(), Some("qwat_comp"));
    assert_eq!(args.deltas.table.as_deref(), Some("qwat_sys.info"));
    assert_eq!(args.deltas.dir.len(), 2);
    assert_eq!(args.file.unwrap().to_str(), Some("/tmp/qwat_dump"));
    assert_eq!(args.comparison.ignore, ["views", "rules", "triggers"]);

    let Command::Restore(args) =
        command("pum restore -p qgep_prod -x --exclude-schema public --exclude-schema topology -- ./qgep_1.0.0.dump")
    else {
        panic!("another command")
    };
    insta::assert_debug_snapshot!(args);
}

/// Forms that mean the same.
#[test]
fn spellings_agree() {
    let same: &[&[&str]] = &[
        &[
            "pum check -p1 a -p2 b",
            "pum check -p1=a -p2=b",
            "pum check --pg_service1 a --pg_service2 b",
            "pum check --pg-service1=a --pg-service2=b",
            "pum check -p2 b -p1 a",
            "pum check -p1 a -p2 b -v 1",
            "pum check -p1 a -p2 b -v1",
            "pum check -p1 a -p2 b --verbose_level 1",
            "pum check -p1 a -p2 b --verbose 1",
        ],
        &[
            "pum check -p1 a -p2 b -i tables views -N x -N y -P p%",
            "pum check -p1 a -i tables -i views -p2 b --exclude-schema x --exclude_schema=y -Pp%",
            "pum check -i tables views -p1 a -p2 b -Nx -Ny --exclude_field_pattern p%",
            "pum check --ign tables views --pg_service1 a --pg_service2 b --exclude-s x --exclude-s y --exclude-f=p%",
        ],
        &[
            "pum dump -p a -N x -N y f",
            "pum dump f -p a -N x -N y",
            "pum dump --pg_service a --exclude-schema=x --exclude-schema=y -- f",
            "pum dump --pg-s a -Nx -Ny f",
            "pum dump --p a -Nx -Ny f",
            "pum dump -pa -Nx -Ny -F c f",
            "pum dump -pa -Nx -Ny --format custom -j 1 f",
        ],
        &[
            "pum upgrade -p a -t s.t -d x y -u 1.2.3 -v int SRID 2056 -v str N 'a b' -vv",
            "pum upgrade -vv -v int SRID 2056 -v str N 'a b' --max_version=1.2.3 --table=s.t --dir x y --pg_service=a",
            "pum upgrade --verbose --var int SRID 2056 --var str N 'a b' --max-v 1.2.3 --t s.t --d x --d y --pg-service a",
        ],
        &[
            "pum test -pp a -d x -f b",
            "pum test --pg_service_prod a --dir x --file b",
            "pum test -pp=a -d=x -f=b",
            "pum test --pg-service-p a -dx -fb",
            "pum test --f b --d x -pp a",
        ],
        &[
            "pum upgrade -p a --dry-run --single-transaction --lock-timeout 5s --wait 1min",
            "pum upgrade -p a --dry --si --lock_timeout=5s --w=1min",
        ],
        &[
            "pum upgrade -p a -p b --at-once 8",
            "pum upgrade -p a -p b --jobs 8",
            "pum upgrade -p a -p b -j8",
        ],
        &[
            "pum test -pp a -pp b --at-once 8 --jobs 2",
            "pum test --pg_service_prod a --pg-service-p b --at-once=8 -j 2",
        ],
        &[
            "pum baseline -p a -t s.t -d x -b 1.0.0",
            "pum baseline --b 1.0.0 --t s.t --d x --p a",
        ],
        &[
            "pum -c f info -p a -t s.t",
            "pum info -p a -t s.t",
            "pum --config_file=f info -p a -t s.t",
        ],
    ];
    for forms in same {
        let first = format!("{:?}", command(forms[0]));
        for form in *forms {
            assert_eq!(format!("{:?}", command(form)), first, "{form}\n{}", forms[0]);
        }
    }
}

#[test]
fn values_arrive_as_they_are() {
    let Command::Upgrade(args) = command("pum upgrade -v int A -5 -v float B -1.5e3 -v str C 'x=-pp'") else {
        panic!("another command")
    };
    assert_eq!(
        args.scripts.var,
        ["int", "A", "-5", "float", "B", "-1.5e3", "str", "C", "x=-pp"]
    );
}

#[test]
fn the_configuration_file_stands_before_or_after_the_command() {
    for line in [
        "pum -c f config",
        "pum config -c f",
        "pum --config_file f config",
        "pum --conf=f config",
    ] {
        let pum = parse(line).unwrap();
        assert_eq!(pum.config_file.unwrap().to_str(), Some("f"), "{line}");
    }
}

#[test]
fn versions_and_help() {
    for line in ["pum -v", "pum --version", "pum --vers"] {
        let pum = parse(line).unwrap();
        assert!(pum.version && pum.command.is_none(), "{line}");
    }
    assert!(parse("pum").unwrap().command.is_none());
    for name in [
        "",
        "check",
        "dump",
        "restore",
        "baseline",
        "info",
        "upgrade",
        "test",
        "test-and-upgrade",
        "config",
    ] {
        for option in ["-h", "--help", "--h"] {
            let error = parse(&format!("pum {name} {option}")).unwrap_err();
            assert_eq!(error.exit_code(), 0, "{name} {option}: {error}");
        }
    }
}

#[test]
fn wrong_usage_is_refused() {
    let wrong = [
        "pum nothing",
        "pum --nothing",
        "pum check",
        "pum check -p1 a",
        "pum check -p1 a -p2 b -v 3",
        "pum check -p1 a -p2 b -v",
        "pum check -p1 a -p2 b c",
        "pum check -p1 a -p2 b --format xml",
        "pum info -p a --format html",
        "pum upgrade -p a --format junit",
        "pum check --pg a --pg b",
        "pum dump -p a",
        "pum dump -p a f g",
        "pum dump -p a -F zip f",
        "pum dump -p a -j 0 f",
        "pum restore -p a --clean --into-existing f",
        "pum upgrade -v int SRID",
        "pum upgrade -v int SRID 1 2",
        "pum upgrade --v int SRID 1",
        "pum upgrade --lock-timeout 5",
        "pum upgrade --lock-timeout 5parsec",
        "pum baseline -p a -t s.t -d x",
        "pum upgrade -p1 a",
        "pum upgrade -p a --rehearsal x -u 1.0.0",
        "pum info -p a --fleet",
        "pum info --databases a --fleet",
        "pum test -pp a --resume",
        "pum test-and-upgrade -pp a -pp b",
        "pum test-and-upgrade --fleet",
        "pum completions tcsh",
    ];
    for line in wrong {
        match parse(line) {
            Ok(pum) => panic!("{line} was understood: {pum:?}"),
            Err(error) => assert_eq!(error.exit_code(), 2, "{line}"),
        }
    }
}

#[test]
fn the_help_names_every_kind_that_can_be_ignored() {
    let mut command = Pum::command();
    command.build();
    let help = command.find_subcommand_mut("check").unwrap().render_help().to_string();
    let words: Vec<&str> = help
        .split(|character: char| !character.is_alphabetic() && !matches!(character, '-' | '_'))
        .collect();
    for kind in pum::KINDS {
        assert!(words.contains(&kind.name()), "{kind} is not in\n{help}");
    }
}
