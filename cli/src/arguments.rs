//! The words of the command line before they are parsed: the spellings of pum 0.10 become ours.
//!
//! pum 0.10 has options of one dash and two letters (`-p1`, `-pp`, `-vv`), writes its long options with an
//! underscore or with a hyphen, and accepts abbreviations that were unambiguous among its own options.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a command of pum 0.10 accepts: short options of two letters with the long ones they stand for, and
/// every long option, of which abbreviations go on meaning the same beside our newer options.
struct Original {
    command: &'static str,
    short: &'static [(&'static str, &'static str)],
    long: &'static [&'static str],
}

const REHEARSAL_SHORT: &[(&str, &str)] = &[
    ("-pp", "--pg-service-prod"),
    ("-pt", "--pg-service-test"),
    ("-pc", "--pg-service-comp"),
    ("-vv", "--verbose"),
];

const REHEARSAL_LONG: &[&str] = &[
    "help",
    "pg-service-prod",
    "pg-service-test",
    "pg-service-comp",
    "table",
    "dir",
    "file",
    "ignore",
    "exclude-schema",
    "exclude-field-pattern",
    "max-version",
    "var",
    "verbose",
];

const ORIGINALS: &[Original] = &[
    Original {
        command: "check",
        short: &[("-p1", "--pg-service1"), ("-p2", "--pg-service2")],
        long: &[
            "help",
            "pg-service1",
            "pg-service2",
            "ignore",
            "exclude-schema",
            "exclude-field-pattern",
            "verbose-level",
            "output-file",
        ],
    },
    Original {
        command: "dump",
        short: &[],
        long: &["help", "pg-service", "exclude-schema"],
    },
    Original {
        command: "restore",
        short: &[],
        long: &["help", "pg-service", "exclude-schema"],
    },
    Original {
        command: "baseline",
        short: &[],
        long: &["help", "pg-service", "table", "dir", "baseline"],
    },
    Original {
        command: "info",
        short: &[],
        long: &["help", "pg-service", "table", "dir"],
    },
    Original {
        command: "upgrade",
        short: &[("-vv", "--verbose")],
        long: &["help", "pg-service", "table", "dir", "max-version", "var", "verbose"],
    },
    Original {
        command: "test-and-upgrade",
        short: REHEARSAL_SHORT,
        long: REHEARSAL_LONG,
    },
    Original {
        command: "test",
        short: REHEARSAL_SHORT,
        long: REHEARSAL_LONG,
    },
    Original {
        command: "config",
        short: &[
            ("-pp", "--pg-service-prod"),
            ("-pt", "--pg-service-test"),
            ("-pc", "--pg-service-comp"),
        ],
        long: &[],
    },
];

/// The options before the command.
const GLOBAL: Original = Original {
    command: "",
    short: &[],
    long: &["help", "version", "config-file"],
};

/// The same command line, its first word the program, in the spelling that our parser knows.
/// What comes after `--`, and every word that is not an option, stays as it is.
pub(crate) fn spelled_out(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut out: Vec<OsString> = words.next().into_iter().collect();
    let mut original = Some(&GLOBAL);
    let mut command_found = false;
    let mut value_follows = false;
    for word in words.by_ref() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            out.push(word);
            break;
        }
        if !bytes.starts_with(b"-") {
            if !command_found && !value_follows {
                command_found = true;
                original = ORIGINALS.iter().find(|known| word == known.command);
            }
            value_follows = false;
            out.push(word);
            continue;
        }
        let word = option(&word, original);
        value_follows = !command_found && (word == "-c" || word == "--config-file");
        out.push(word);
    }
    out.extend(words);
    out
}

/// One option, its name spelled out, its value (after the first `=`) untouched.
fn option(word: &OsStr, original: Option<&Original>) -> OsString {
    let bytes = word.as_bytes();
    let end = bytes.iter().position(|&byte| byte == b'=').unwrap_or(bytes.len());
    let (name, value) = bytes.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else {
        return word.to_owned();
    };
    let name = match name.strip_prefix("--") {
        Some(long) => {
            let long = long.replace('_', "-");
            let full = original.and_then(|original| unabbreviated(&long, original.long));
            format!("--{}", full.unwrap_or(&long))
        }
        None => original
            .and_then(|original| original.short.iter().find(|(short, _)| *short == name))
            .map_or(name, |(_, long)| long)
            .to_owned(),
    };
    let mut out = OsString::from(name);
    out.push(OsStr::from_bytes(value));
    out
}

/// The only one of `names` that begins with `text`, or is it.
fn unabbreviated(text: &str, names: &'static [&'static str]) -> Option<&'static str> {
    if text.is_empty() || names.contains(&text) {
        return None;
    }
    let mut candidates = names.iter().filter(|name| name.starts_with(text));
    let first = candidates.next()?;
    candidates.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        let words = given.split(' ').map(OsString::from);
        let out: Vec<String> = spelled_out(words)
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        assert_eq!(out.join(" "), expected, "{given}");
    }

    #[test]
    fn two_letter_options_become_long_ones_where_the_command_has_them() {
        check("pum check -p1 a -p2=b", "pum check --pg-service1 a --pg-service2=b");
        check(
            "pum test-and-upgrade -pp a -pt=b -pc c -vv",
            "pum test-and-upgrade --pg-service-prod a --pg-service-test=b --pg-service-comp c --verbose",
        );
        check("pum upgrade -vv", "pum upgrade --verbose");
        // `-p` with the value `1` attached, as in pum 0.10.
        check("pum dump -p1 file", "pum dump -p1 file");
        // Only these exactly.
        check("pum check -p11 -p3 -p", "pum check -p11 -p3 -p");
        check("pum upgrade -vvv -v", "pum upgrade -vvv -v");
    }

    #[test]
    fn nothing_changes_after_two_dashes_or_outside_options() {
        check("pum check -- -p1 --pg_x", "pum check -- -p1 --pg_x");
        check("pum restore -p a_b -- ./-p1", "pum restore -p a_b -- ./-p1");
        check("pum", "pum");
        check("pum -v", "pum -v");
        check("pum -", "pum -");
    }

    #[test]
    fn both_spellings_of_long_options_are_one() {
        check(
            "pum check --pg_service1=a_b --output_file x_y",
            "pum check --pg-service1=a_b --output-file x_y",
        );
        check("pum --config_file a info", "pum --config-file a info");
    }

    #[test]
    fn abbreviations_mean_what_they_meant() {
        // `--c` is `--clean` or `--create` today; it never was `--config-file` after a command.
        check("pum restore --c", "pum restore --c");
        check("pum upgrade --d x --m 1.0.0", "pum upgrade --dir x --max-version 1.0.0");
        check("pum upgrade --v int A 1", "pum upgrade --v int A 1");
        check("pum upgrade --verb", "pum upgrade --verbose");
        check("pum check --pg_s", "pum check --pg-s");
        check("pum check --exclude-s=a", "pum check --exclude-schema=a");
        check(
            "pum --c f check --i tables",
            "pum --config-file f check --ignore tables",
        );
        check("pum dump --p a", "pum dump --pg-service a");
    }

    #[test]
    fn the_command_is_found_behind_the_config_file() {
        check("pum -c check upgrade -vv", "pum -c check upgrade --verbose");
        check("pum -ccheck upgrade -vv", "pum -ccheck upgrade --verbose");
        check(
            "pum --config_file=check upgrade -vv",
            "pum --config-file=check upgrade --verbose",
        );
        check("pum unknown -p1", "pum unknown -p1");
    }

    #[test]
    fn words_that_are_not_text_pass() {
        use std::os::unix::ffi::OsStringExt;
        let raw = OsString::from_vec(b"--output_file=\xff".to_vec());
        let out = spelled_out(["pum".into(), "check".into(), raw]);
        assert_eq!(out[2], OsString::from_vec(b"--output-file=\xff".to_vec()));
        let raw = OsString::from_vec(b"--\xff".to_vec());
        assert_eq!(spelled_out(["pum".into(), raw.clone()])[1], raw);
    }
}
