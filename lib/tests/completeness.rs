//! The proof of completeness: `catalogs.txt` says of every column of every catalog of PostgreSQL what becomes of it, and
//! is held against the servers of every version that is there.
//!
//! Besides the server under test these are the ones that support/servers.sh has brought.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#[path = "support/manifest.rs"]
mod manifest;
mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;

use manifest::{ANNOTATIONS, EVERY, Line};
use pum::{Connection, KINDS, Run, Target};

#[test]
fn every_column_of_every_catalog_is_classed() {
    let manifest = manifest::read();
    let tested = support::server().version().major();
    let mut problems = against(&support::server().target("postgres"), &manifest);
    let mut majors = BTreeSet::from([tested]);

    let others: VecDeque<(u32, PathBuf)> = support::majors()
        .into_iter()
        .filter(|(major, _)| *major != tested)
        .collect();
    majors.extend(others.iter().map(|(major, _)| *major));
    let queue = Mutex::new(others);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((_, programs)) = queue.lock().unwrap().pop_front() else {
                        break;
                    };
                    let server = support::start(&programs);
                    let problems = against(&server.target("postgres"), &manifest);
                    found.lock().unwrap().extend(problems);
                }
            });
        }
    });
    problems.extend(found.into_inner().unwrap());
    problems.sort();
    println!("catalogs of PostgreSQL {majors:?}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What the catalogs of a server have and the manifest lacks, and the other way round.
fn against(target: &Target, manifest: &[Line]) -> Vec<String> {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    let major = connection.server_version().major();
    let rows = connection
        .query(
            "select c.relname::text, a.attname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
             where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r' and a.attnum > 0
                 and not a.attisdropped",
            &[],
        )
        .unwrap();
    let columns: Vec<(&str, &str)> = rows.iter().map(|row| (row.text(0), row.text(1))).collect();
    let mut problems = Vec::new();
    for (catalog, column) in &columns {
        let lines: Vec<&Line> = manifest
            .iter()
            .filter(|line| line.covers(major, catalog, column))
            .collect();
        match lines[..] {
            [] => problems.push(format!("PostgreSQL {major}: no line for {catalog}.{column}")),
            [_] => (),
            _ => problems.push(format!(
                "PostgreSQL {major}: {catalog}.{column} is in several lines: {:?}",
                lines.iter().map(|line| line.number).collect::<Vec<_>>()
            )),
        }
    }
    for line in manifest.iter().filter(|line| line.is_for(major)) {
        if !columns
            .iter()
            .any(|(catalog, column)| line.covers(major, catalog, column))
        {
            problems.push(format!(
                "PostgreSQL {major}: there is no {}.{}, line {}",
                line.catalog, line.column, line.number
            ));
        }
    }
    problems
}

#[test]
fn the_manifest_names_every_kind_and_attribute_and_no_other() {
    let manifest = manifest::read();
    let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
    let mut attributes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for kind in KINDS {
        let rows = connection.query(kind.query(), &[]).unwrap();
        let columns = rows
            .columns()
            .into_iter()
            .filter(|column| !support::NO_ATTRIBUTES.contains(column));
        attributes.insert(kind.name(), columns.map(str::to_owned).collect());
    }
    let catalogs: BTreeSet<&str> = manifest.iter().map(|line| line.catalog.as_str()).collect();
    let mut named: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut identified: BTreeSet<&str> = BTreeSet::new();
    let mut problems = Vec::new();
    for line in &manifest {
        let mut problem = |what: String| problems.push(format!("catalogs.txt:{}: {what}", line.number));
        for kind in &line.identity {
            identified.insert(kind);
            if !attributes.contains_key(kind.as_str()) {
                problem(format!("{kind} is no kind"));
            }
        }
        for (kind, attribute) in &line.compared {
            named.insert((kind, attribute));
            let known = if kind == EVERY {
                ANNOTATIONS.contains(&attribute.as_str())
            } else {
                attributes
                    .get(kind.as_str())
                    .is_some_and(|known| known.contains(attribute))
            };
            if !known {
                problem(format!("{kind}.{attribute} is no attribute"));
            }
        }
        for catalog in &line.reference {
            if catalog != EVERY && !catalogs.contains(catalog.as_str()) {
                problem(format!("{catalog} is no catalog"));
            }
        }
    }
    for (kind, attributes) in &attributes {
        if !identified.contains(kind) {
            problems.push(format!("no line is the identity of {kind}"));
        }
        for attribute in attributes {
            if !named.contains(&(kind, attribute)) {
                problems.push(format!("no line is compared as {kind}.{attribute}"));
            }
        }
    }
    for annotation in ANNOTATIONS {
        if !named.contains(&(EVERY, annotation)) {
            problems.push(format!("no line is compared as {EVERY}.{annotation}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
