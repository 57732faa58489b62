//! Production is held to what was rehearsed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pum::{
    BaselineOptions, CarriedOut, Connection, Contract, ErrorKind, Expected, RehearsalOptions, Result, Run, TableName,
    Target, Terms, UpgradeOptions, baseline, rehearse, upgrade_rehearsed,
};

/// A town with a table, deltas for it, and a rehearsal in a file.
struct Town {
    production: Target,
    directory: tempfile::TempDir,
    file: PathBuf,
    options: UpgradeOptions,
}

const DELTA: &str = "alter table t add b int;\n";

fn town(name: &str, delta: &str) -> Town {
    let production = support::database(name);
    let run = Run::new();
    let table: TableName = "public.upgrades".parse().unwrap();
    execute(&production, "create table t (a int)");
    baseline(
        &production,
        &BaselineOptions::new(table.clone(), "1.0.0".parse().unwrap()),
        &run,
    )
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let deltas = directory.path().join("deltas");
    std::fs::create_dir(&deltas).unwrap();
    std::fs::write(deltas.join("delta_1.1.0_b.sql"), delta).unwrap();
    let expected = directory.path().join("create.sql");
    std::fs::write(&expected, "create table t (a int, b int);").unwrap();
    let mut options = UpgradeOptions::new(table, vec![deltas]);
    options.variables.insert("int", "SRID", "2056").unwrap();
    let rehearsal_options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![expected])),
        server: support::options(),
        ..RehearsalOptions::new(options.clone())
    };
    let rehearsal = rehearse(&production, &rehearsal_options, &run).unwrap();
    let file = directory.path().join("town.rehearsal.json");
    rehearsal.contract().save(&file).unwrap();
    Town {
        production,
        directory,
        file,
        options,
    }
}

fn execute(target: &Target, sql: &str) {
    let mut connection = Connection::open_for_scripts(target, &Run::new()).unwrap();
    connection.execute(sql).unwrap();
}

impl Town {
    fn upgrade(&self, terms: Terms) -> Result<CarriedOut> {
        let contract = Contract::load(&self.file)?;
        upgrade_rehearsed(&self.production, &self.options, &contract, &terms, &Run::new())
    }

    fn refused(&self, terms: Terms) -> String {
        let error = self.upgrade(terms).err().expect("it must be refused");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        assert_eq!(error.state(), Some("production was left as it was"));
        assert_eq!(self.version(), "1.0.0");
        error.message().to_owned()
    }

    fn version(&self) -> String {
        let history = pum::history(&self.production, &self.options.table, &Run::new()).unwrap();
        history.unwrap().current_version().unwrap().to_string()
    }

    fn delta(&self) -> PathBuf {
        self.directory.path().join("deltas/delta_1.1.0_b.sql")
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_rehearsal_in_a_file_is_carried_out() {
    let town = town("contract_done", DELTA);
    let contract = Contract::load(&town.file).unwrap();
    assert_eq!(
        (contract.from.as_deref(), contract.to.as_deref()),
        (Some("1.0.0"), Some("1.1.0"))
    );
    assert_eq!(contract.steps.len(), 1);
    assert!(contract.clean);
    let text = std::fs::read_to_string(&town.file).unwrap();
    assert_eq!(contract.to_json(), text);
    let again = RehearsalOptions::new(town.options.clone());
    let still = |options: &RehearsalOptions| {
        contract
            .still_holds(&town.production, options, &Terms::default(), &Run::new())
            .map_err(|error| (error.kind(), error.to_string()))
    };
    let carried_out = || {
        contract
            .carried_out(&town.production, &town.options, &Run::new())
            .unwrap()
    };
    assert_eq!(still(&again), Ok(()));
    assert!(carried_out().is_none());
    let mut otherwise = vec![again.clone(); 5];
    otherwise[0].crash = true;
    otherwise[1].schema_only = true;
    otherwise[2].exclude_schemas = vec!["x".to_owned()];
    otherwise[4].sample = Some("5%".parse().unwrap());
    otherwise[3].upgrade.max_version = Some("1.1.0".parse().unwrap());
    for options in &otherwise {
        let refused = (
            ErrorKind::Refused,
            "the rehearsal was made with other options".to_owned(),
        );
        assert_eq!(still(options), Err(refused));
    }
    let done = town.upgrade(Terms::default()).unwrap();
    assert!(done.report.same(), "{}", done.report.to_json());
    assert_eq!(done.missing_rows, []);
    assert_eq!(town.version(), "1.1.0");
    let info = pum::info(
        &town.production,
        &town.options.table,
        &town.options.directories,
        &Run::new(),
    )
    .unwrap();
    assert_eq!(info.deltas.last().unwrap().rehearsal, Some(contract.id()));
    // Once only: the upgrades table is another now.
    let error = town.upgrade(Terms::default()).err().unwrap();
    assert!(error.message().contains("the upgrades table of"), "{error}");
    let (kind, message) = still(&again).unwrap_err();
    assert!(
        kind == ErrorKind::Refused && message.contains("the upgrades table of"),
        "{message}"
    );
    // What was carried out can be looked at again.
    assert!(carried_out().unwrap().same());
    // Scripts around all deltas are nothing that is due.
    let after_all = town.directory.path().join("deltas/post-all.sql");
    write(&after_all, "select 1;\n");
    assert!(carried_out().unwrap().same());
    std::fs::remove_file(&after_all).unwrap();
    execute(&town.production, "alter table t add by_hand int");
    assert!(!carried_out().unwrap().same());
    let later = town.directory.path().join("deltas/delta_1.2.0_more.sql");
    write(&later, "select 1;\n");
    assert!(carried_out().is_none());
}

#[test]
fn a_file_that_was_edited_is_refused() {
    let town = town("contract_edited", DELTA);
    let text = std::fs::read_to_string(&town.file).unwrap();
    for (old, new, said) in [
        (
            "\"clean\": true",
            "\"clean\": false",
            "was changed after it was written",
        ),
        ("\"copied\": 1", "\"copied\": 2", "was changed after it was written"),
        ("pum/rehearsal/1", "pum/rehearsal/2", "pum/rehearsal/2"),
        ("\"pum\"", "\"pumm\"", "was changed after it was written"),
    ] {
        let edited = text.replacen(old, new, 1);
        assert_ne!(edited, text, "{old}");
        write(&town.file, &edited);
        let error = Contract::load(&town.file).unwrap_err();
        assert!(error.message().contains(said), "{old}: {error}");
    }
    write(&town.file, &text[..text.len() / 2]);
    assert_eq!(Contract::load(&town.file).unwrap_err().kind(), ErrorKind::Usage);
    write(&town.file, "{\"schema\": \"pum/snapshot/1\"}");
    assert!(Contract::load(&town.file).unwrap_err().message().contains("snapshot"));
}

#[test]
fn what_has_changed_since_is_refused() {
    let town = town("contract_changed", DELTA);
    let unbounded = Terms::default();
    write(&town.delta(), "alter table t add b int; select 1;\n");
    assert!(town.refused(unbounded).contains("was changed since the rehearsal"));
    // Line ends do not count.
    write(&town.delta(), &DELTA.replace('\n', "\r\n"));
    let other = town.directory.path().join("deltas/delta_1.2.0_more.sql");
    write(&other, "select 1;\n");
    assert_eq!(
        town.refused(unbounded),
        "1.2.0 more (delta sql) is due and was not rehearsed"
    );
    std::fs::remove_file(&other).unwrap();

    execute(&town.production, "create index by_hand on t (a)");
    let refusal = town.refused(unbounded);
    assert!(refusal.starts_with("the structure of "), "{refusal}");
    assert!(
        refusal.ends_with(" was changed since the rehearsal (index public.t.by_hand is new)"),
        "{refusal}"
    );
    execute(&town.production, "drop index by_hand");
    execute(&town.production, "update upgrades set description = 'else'");
    assert!(town.refused(unbounded).starts_with("the upgrades table of "));
    execute(&town.production, "update upgrades set description = 'baseline'");
    execute(
        &town.production,
        "do $$ begin execute format('alter database %I set search_path = x', current_database()); end $$",
    );
    assert!(town.refused(unbounded).starts_with("search_path is now \"x\""));
    execute(
        &town.production,
        "do $$ begin execute format('alter database %I reset search_path', current_database()); end $$",
    );

    // A clone is the same in everything that is read.
    let mut connection = Connection::open(&town.production, &Run::new()).unwrap();
    let rows = connection.query("select current_database()", &[]).unwrap();
    let name = rows.value(0, 0).unwrap().to_owned();
    drop(connection);
    let clone = support::server()
        .create_database_from("contract_changed_clone", &name)
        .unwrap();
    let contract = Contract::load(&town.file).unwrap();
    let error = contract
        .plan(&clone, &town.options, &unbounded, &Run::new())
        .unwrap_err();
    assert!(error.message().contains("is of another database"), "{error}");
    assert_eq!(
        contract
            .plan(&town.production, &town.options, &unbounded, &Run::new())
            .unwrap()
            .steps
            .len(),
        1
    );

    let mut otherwise = Town {
        options: town.options.clone(),
        production: town.production.clone(),
        file: town.file.clone(),
        directory: tempfile::tempdir().unwrap(),
    };
    otherwise.options.variables.insert("int", "SRID", "21781").unwrap();
    assert_eq!(
        otherwise.refused(unbounded),
        "the variables were changed since the rehearsal"
    );
    otherwise.options = town.options.clone();
    otherwise.options.single_transaction = true;
    assert!(otherwise.refused(unbounded).contains("without --single-transaction"));

    std::thread::sleep(Duration::from_millis(2100));
    let soon = Terms {
        max_age: Duration::from_secs(1),
        ..unbounded
    };
    assert!(town.refused(soon).starts_with("the rehearsal is older than it may be"));
    assert!(town.upgrade(unbounded).unwrap().report.same());
}

#[test]
fn rows_that_are_gone_since_are_named() {
    let town = town("contract_rows", DELTA);
    // As many rows as there were: a hand took most of them since.
    execute(&town.production, "insert into t select generate_series(1, 1000)");
    let options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![town.directory.path().join("create.sql")])),
        server: support::options(),
        ..RehearsalOptions::new(town.options.clone())
    };
    let rehearsal = rehearse(&town.production, &options, &Run::new()).unwrap();
    rehearsal.contract().save(&town.file).unwrap();
    execute(&town.production, "delete from t where a > 850");
    let done = town.upgrade(Terms::default()).unwrap();
    assert!(done.report.same());
    let missing = &done.missing_rows[..];
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(
        (&*missing[0].table, missing[0].rehearsed, missing[0].rows),
        ("public.t", 1000, 850)
    );
}

#[test]
fn a_copy_that_is_not_what_it_must_be_is_no_proof() {
    let town = town("contract_unclean", "alter table t add c int;\n");
    assert_eq!(town.refused(Terms::default()), "the rehearsal was not clean");
}

#[test]
fn a_step_that_takes_longer_than_rehearsed_is_rolled_back() {
    let terms = Terms {
        least: Duration::from_millis(600),
        factor: 1.0,
        ..Terms::default()
    };
    for (name, sleep) in [
        (
            "contract_long",
            "select pg_sleep(30) where current_database() <> 'pum_test';\n".to_owned(),
        ),
        // None of them is too long by itself.
        (
            "contract_many",
            "select pg_sleep(0.2) where current_database() <> 'pum_test';\n".repeat(20),
        ),
    ] {
        let town = town(name, &format!("{DELTA}{sleep}"));
        let begun = std::time::Instant::now();
        let error = town.upgrade(terms).err().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(15));
        let message = error.to_string();
        assert!(message.contains("takes longer than the rehearsal allows"), "{message}");
        assert!(error.hint().unwrap().contains("--budget-factor"), "{error:?}");
        assert!(error.state().unwrap().contains("was rolled back"), "{error:?}");
        assert_eq!(town.version(), "1.0.0");
        execute(&town.production, "alter table t add b int");
    }
}
