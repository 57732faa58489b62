//! A file is split as psql splits it: run by psql and statement by statement by pum, on two servers, it leads to the same
//! errors in the same order and to the same databases.
//!
//! The files are those of the extensions that came with the server. `PUM_REGRESS=DIRECTORY` names others besides, such as
//! `src/test/regress/sql` of PostgreSQL's sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "support/psql.rs"]
mod psql;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pum::{Connection, Filter, Run, Script, Server, Target, Variables, check};

/// The errors that psql meets, by their SQLSTATE.
fn by_psql(target: &Target, file: &Path) -> Vec<String> {
    let output = Command::new("psql")
        .args(["-X", "-q", "-v", "VERBOSITY=sqlstate", "-o", "/dev/null", "-f"])
        .arg(file)
        .args(["-d", &target.name()])
        .env("PGOPTIONS", "-c client_min_messages=error")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = |line: &str| line.split_once("ERROR:  ").map(|(_, code)| code.trim().to_owned());
    stderr.lines().filter_map(code).collect()
}

/// The errors that the statements meet as pum splits them.
fn by_pum(target: &Target, script: &Script) -> Vec<String> {
    let mut connection = Connection::open_for_scripts(target, &Run::new()).unwrap();
    let mut errors = Vec::new();
    let mut statements = script.statements().unwrap();
    while let Some(statement) = statements.next().unwrap() {
        let outcome = if statement.copies_from_stdin() {
            let outcome = connection.run_statement(statement.text(), Some(&mut || statements.copy_data()));
            while statements.copy_data().unwrap().is_some() {}
            outcome
        } else {
            connection.run_statement(statement.text(), None)
        };
        if let Err(error) = outcome {
            errors.push(error.sqlstate().unwrap_or("none").to_owned());
        }
    }
    errors
}

fn files(servers: &Server) -> Vec<PathBuf> {
    let mut connection = Connection::open(&servers.target("postgres"), &Run::new()).unwrap();
    let rows = connection
        .query("select setting from pg_catalog.pg_config where name = 'SHAREDIR'", &[])
        .unwrap();
    let mut directories = vec![Path::new(rows.value(0, 0).unwrap()).join("extension")];
    directories.extend(std::env::var_os("PUM_REGRESS").map(PathBuf::from));
    let mut files = Vec::new();
    for directory in directories {
        let mut found: Vec<PathBuf> = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            // Scripts from one version of an extension to the next are many and alike.
            .filter(|path| path.to_string_lossy().matches("--").count() < 2)
            .filter(|path| fs::metadata(path).unwrap().len() < 100_000)
            .collect();
        // What the others build on comes first.
        found.sort_by_key(|path| (path.file_stem().is_none_or(|name| name != "test_setup"), path.clone()));
        files.append(&mut found);
    }
    files
}

#[test]
fn files_lead_where_psql_leads() {
    let start = || Server::start(&support::options(), &Run::new()).unwrap();
    let (one, other) = (start(), start());
    let directory = tempfile::tempdir().unwrap();
    let (mut statements, mut refused, mut errors) = (0, Vec::new(), 0);
    let files = files(&one);
    let targets = [&one, &other].map(|server| server.create_database("split").unwrap());
    for path in &files {
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        let file = directory.path().join(path.file_name().unwrap());
        fs::write(&file, psql::without_commands(&text)).unwrap();
        let script = match Script::open(&file, &Variables::new()) {
            Ok(script) => script,
            Err(error) => {
                refused.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let [psql, pum] = [by_psql(&targets[0], &file), by_pum(&targets[1], &script)];
        statements += script.statement_count();
        errors += pum.len();
        assert_eq!(pum, psql, "{}", path.display());
    }
    let report = check(&targets[0], &targets[1], &Filter::default(), &Run::new()).unwrap();
    assert!(report.same(), "{}", report.to_json());
    println!(
        "{} files, {statements} statements, {errors} errors; refused: {refused:#?}",
        files.len()
    );
    assert!(files.len() > 20 && statements > 1000, "too little was tried");
    // What psql commands leave behind when they are taken out may be no SQL.
    assert!(refused.len() * 20 <= files.len(), "{refused:#?}");
}
