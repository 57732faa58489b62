//! Against libpq's own reading of the same files.

use std::process::Command;
use std::time::Duration;

use super::super::{Asked, Target};
use super::*;

#[path = "../../../tests/support/near.rs"]
mod near;

#[test]
fn a_section_ends_at_the_next() {
    let text = b"# comment\n[a]\nhost=one\n\n[b] # said\n host=two \n# no\nport=5433\nport=1\n[c]\nhost=three\n";
    let expected = vec![
        ("host".to_owned(), "two".to_owned()),
        ("port".to_owned(), "5433".to_owned()),
    ];
    assert_eq!(service_section(text, "b").unwrap(), Some(expected));
    assert_eq!(service_section(text, "d").unwrap(), None);
}

#[test]
fn services_are_the_heads_of_sections() {
    let text = b"[a]\r\nhost=[no]\n# [no]\n  [b c]  \n[\xff]\n[]\n[d\n\x0b[e]";
    assert_eq!(service_names(text), ["a", "b c", "e"]);
}

#[test]
fn what_libpq_does_not_take_is_told_with_its_line() {
    let long = format!("[a]\nhost={}\n", "x".repeat(LONGEST_LINE));
    for (text, words) in [
        ("[a]\nhost\n", "line 2 is not of the form"),
        ("\n[a]\nservice=b\n", "line 3 names another service"),
        (&long, "line 2 is too long"),
    ] {
        let error = service_section(text.as_bytes(), "a").unwrap_err();
        assert!(error.message().starts_with(words), "{error}");
    }
    // What stands behind the section is not looked at.
    assert!(service_section(b"[a]\nhost=x\n[b]\nhost\n", "a").unwrap().is_some());
}

/// What libpq finds of a service in the file of the environment, and what it says.
fn by_libpq(name: &str) -> Asked {
    Target::default().with("service", name).begin().unwrap()
}

fn is_read_as_libpq_reads_it(text: &[u8], path: &str) {
    // Its strings end there.
    if text.contains(&0) {
        return;
    }
    std::fs::write(path, text).unwrap();
    let mut names = service_names(text);
    names.push("a".to_owned());
    for name in names.into_iter().filter(|name| !name.contains('\u{fffd}')) {
        let libpq = by_libpq(&name);
        let said = &libpq.message;
        let complains = said.contains("service file \"") || said.contains("specifications not supported");
        match service_section(text, &name) {
            Ok(None) => assert!(said.contains("definition of service"), "{name}: {said}"),
            Ok(Some(section)) if complains => {
                let known = |keyword: &str| libpq.parameters.iter().any(|known| known.keyword == keyword);
                assert!(section.iter().any(|(keyword, _)| !known(keyword)), "{name}: {said}");
            }
            Ok(Some(section)) => {
                for (keyword, value) in section {
                    // An empty value is replaced by a default, and some are replaced by what they stand for.
                    let its_own = ["target_session_attrs", "client_encoding"].contains(&keyword.as_str());
                    if !value.is_empty() && !its_own {
                        assert_eq!(libpq.value(&keyword), Some(value.as_str()), "{name}: {keyword}: {said}");
                    }
                }
            }
            Err(error) if error.message().ends_with("is not UTF-8") => {}
            Err(error) => assert!(complains, "{name}: {error}, and libpq: {said}"),
        }
    }
}

/// libpq finds the file by the environment, which is set for a process of its own.
#[test]
fn files_near_the_corpus_are_read_as_libpq_reads_them() {
    const FILE: &str = "PUM_TEST_SERVICE_FILE";
    if let Ok(path) = std::env::var(FILE) {
        let time = Duration::from_secs_f64(near::seconds(1.0));
        near::try_near("services-libpq", &near::corpus("services", &[]), time, |text| {
            is_read_as_libpq_reads_it(text, &path);
        });
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pg_service.conf");
    let name = concat!(module_path!(), "::files_near_the_corpus_are_read_as_libpq_reads_them");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name.split_once("::").unwrap().1])
        .env(FILE, &path)
        .env("PGSERVICEFILE", &path)
        .env("PGSYSCONFDIR", directory.path().join("none"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"));
}
