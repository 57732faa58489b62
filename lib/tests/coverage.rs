//! COVERAGE.md is made here, from the queries of the kinds, the classes, and the manifest of completeness.
//!
//! `PUM_BLESS=1` writes it; otherwise a page that is out of date fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "support/manifest.rs"]
mod manifest;
mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use manifest::{ANNOTATIONS, Line};
use pum::{Connection, KINDS, Kind, Run};

const TEMPLATE: &str = include_str!("coverage.md");

#[test]
fn the_coverage_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../COVERAGE.md");
    let wanted = page();
    if std::env::var_os("PUM_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    let differs = found
        .lines()
        .zip(wanted.lines())
        .position(|(found, wanted)| found != wanted);
    let line = differs.unwrap_or(found.lines().count().min(wanted.lines().count())) + 1;
    assert!(
        found == wanted,
        "COVERAGE.md is out of date from line {line}; PUM_BLESS=1 writes it"
    );
}

fn page() -> String {
    let manifest = manifest::read();
    TEMPLATE
        .replace("{number of kinds}", &KINDS.len().to_string())
        .replace("{list of kinds}", &kind_links())
        .replace("{classes}", classes().trim_end())
        .replace("{kinds}", kinds().trim_end())
        .replace("{every}", every().trim_end())
        .replace("{whole}", whole(&manifest).trim_end())
        .replace("{left out}", left_out(&manifest).trim_end())
        .replace("{versions}", versions(&manifest).trim_end())
}

fn kind_links() -> String {
    KINDS
        .iter()
        .map(|kind| format!("[{kind}](#{kind})"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn classes() -> String {
    let mut text = "| class | | what and why |\n|---|---|---|\n".to_owned();
    for class in pum::Class::ALL {
        let on = if class.on_by_default() { "on" } else { "off" };
        writeln!(text, "| `{class}` | {on} | {} |", class.meaning()).unwrap();
    }
    text
}

fn kinds() -> String {
    let mut connection = Connection::open(&support::server().target("postgres"), &Run::new()).unwrap();
    let mut text = String::new();
    for kind in KINDS {
        let rows = connection.query(kind.query(), &[]).unwrap();
        let columns = rows.columns();
        let annotated = columns.contains(&"address");
        let attributes: Vec<&str> = columns
            .into_iter()
            .filter(|column| !support::NO_ATTRIBUTES.contains(column))
            .collect();
        let (introduction, documents) = documentation(kind.name(), kind.query(), &attributes);
        write!(text, "### {kind}\n\n{introduction}\n\n").unwrap();
        if !attributes.is_empty() {
            text.push_str("| attribute | what it is |\n|---|---|\n");
        }
        for attribute in &attributes {
            let class = class_of(*kind, attribute);
            writeln!(text, "| `{attribute}` | {}{class} |", documents[*attribute]).unwrap();
        }
        if !annotated {
            text.push_str("\nIt has no comment, privileges or security labels.\n");
        }
        text.push('\n');
    }
    text
}

fn class_of(kind: Kind, attribute: &str) -> String {
    pum::Class::of_attribute(kind, attribute).map_or_else(String::new, |class| format!(" *({class})*"))
}

fn every() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/every");
    let mut text = String::new();
    for annotation in ANNOTATIONS {
        let query = fs::read_to_string(directory.join(format!("{annotation}.sql"))).unwrap();
        let (introduction, documents) = documentation(annotation, &query, &[annotation]);
        write!(text, "### {annotation}\n\n{introduction}\n\n").unwrap();
        write!(
            text,
            "| attribute | what it is |\n|---|---|\n| `{annotation}` | {} |\n\n",
            documents[annotation]
        )
        .unwrap();
    }
    text
}

/// The introduction, and what is said of each attribute: `-- attribute: text` and the comments right behind it.
fn documentation<'a>(name: &str, query: &str, attributes: &[&'a str]) -> (String, BTreeMap<&'a str, String>) {
    let mut introduction = String::new();
    let mut documents: BTreeMap<&str, String> = BTreeMap::new();
    let mut order = Vec::new();
    let mut current: Option<&str> = None;
    let mut head = true;
    for line in query.lines() {
        let Some(comment) = line.trim_start().strip_prefix("-- ") else {
            (head, current) = (false, None);
            continue;
        };
        let begins = comment
            .split_once(": ")
            .and_then(|(word, text)| Some((*attributes.iter().find(|attribute| **attribute == word)?, text)));
        if let Some((attribute, words)) = begins {
            let known = documents.insert(attribute, words.to_owned());
            assert!(known.is_none(), "{name}.sql tells {attribute} twice");
            order.push(attribute);
            (head, current) = (false, Some(attribute));
        } else if let Some(document) = current.and_then(|attribute| documents.get_mut(attribute)) {
            write!(document, " {comment}").unwrap();
        } else if head {
            introduction.push_str(if introduction.is_empty() { "" } else { "\n" });
            introduction.push_str(comment);
        }
    }
    assert_eq!(
        order, attributes,
        "what {name}.sql tells of its attributes, and its attributes"
    );
    assert!(!introduction.is_empty(), "{name}.sql does not begin with what it reads");
    (introduction, documents)
}

fn whole(manifest: &[Line]) -> String {
    let mut text = "| catalog | why |\n|---|---|\n".to_owned();
    for line in manifest.iter().filter(|line| line.is_whole()) {
        writeln!(
            text,
            "| `{}`{} | {} |",
            line.catalog,
            remark(&line.versions()),
            line.note
        )
        .unwrap();
    }
    text
}

/// The columns that are left out, those of a catalog with one reason in a line. A reason that many catalogs share is told
/// once.
fn left_out(manifest: &[Line]) -> String {
    let left: Vec<&Line> = manifest
        .iter()
        .filter(|line| line.left_out && !line.is_whole())
        .collect();
    let mut catalogs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in &left {
        let of_the_reason = catalogs.entry(&line.note).or_default();
        if of_the_reason.last() != Some(&line.catalog.as_str()) {
            of_the_reason.push(&line.catalog);
        }
    }
    let mut rows: Vec<(String, String, &str)> = Vec::new();
    for line in left {
        let many = catalogs[line.note.as_str()].len() > 5;
        let catalog = if many {
            "most".to_owned()
        } else {
            format!("`{}`", line.catalog)
        };
        let column = format!(
            "`{}`{}",
            line.column,
            if many { String::new() } else { remark(&line.versions()) }
        );
        match rows.iter_mut().find(|(of, _, why)| *of == catalog && *why == line.note) {
            Some((_, columns, _)) if columns.split(", ").any(|known| known == column) => (),
            Some((_, columns, _)) => write!(columns, ", {column}").unwrap(),
            None => rows.push((catalog, column, &line.note)),
        }
    }
    let mut text = "| catalog | columns | why |\n|---|---|---|\n".to_owned();
    for (catalog, columns, why) in rows {
        writeln!(text, "| {catalog} | {columns} | {why} |").unwrap();
    }
    text
}

/// What becomes of the columns that come and go.
fn versions(manifest: &[Line]) -> String {
    let mut text = "| column | PostgreSQL | |\n|---|---|---|\n".to_owned();
    for line in manifest
        .iter()
        .filter(|line| !line.versions().is_empty() && !line.is_whole())
    {
        let attributes = line.compared.iter().map(|(kind, attribute)| {
            if kind == manifest::EVERY {
                attribute.clone()
            } else {
                format!("{kind}.{attribute}")
            }
        });
        let mut what = list(&attributes.collect::<Vec<_>>());
        if !line.identity.is_empty() {
            what = format!("names {}", list(&line.identity));
        } else if !line.reference.is_empty() {
            what = format!("leads to {}", list(&line.reference));
        } else if line.left_out {
            what = format!("left out: {}", line.note);
        }
        let versions = line.versions();
        let versions = versions.replace("PostgreSQL ", "");
        writeln!(text, "| `{}.{}` | {versions} | {what} |", line.catalog, line.column).unwrap();
    }
    text
}

fn list(words: &[String]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn remark(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" ({text})")
    }
}
