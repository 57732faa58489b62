//! What a person should know of a statement before it runs, and would not see in its text.

use super::command::words;
use super::token::{self, Kind, Step};

/// A character that cannot be seen, or looks like a space and is none, in a name or between words: the byte where it
/// stands, and what it is.
pub(super) fn unseen(sql: &str) -> Option<(usize, String)> {
    if !sql.contains(|c| name_of(c).is_some()) {
        return None;
    }
    let mut position = 0;
    while let Step::Token(kind, end) = token::step(sql.as_bytes(), position, true) {
        if !matches!(
            kind,
            Kind::LineComment | Kind::BlockComment | Kind::Text | Kind::DollarText
        ) {
            let token = sql.get(position..end).unwrap_or_default();
            let found = token.char_indices().find_map(|(at, c)| Some((at, c, name_of(c)?)));
            if let Some((at, c, name)) = found {
                return Some((position + at, format!("U+{:04X} ({name})", u32::from(c))));
            }
        }
        position = end;
    }
    None
}

fn name_of(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{a0}' => "no-break space",
        '\u{ad}' => "soft hyphen",
        '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => "a space that is none to PostgreSQL",
        '\u{200b}' => "zero width space",
        '\u{200c}' | '\u{200d}' => "zero width joiner",
        '\u{2060}' | '\u{feff}' => "zero width no-break space",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "mark of the direction of writing"
        }
        _ => return None,
    })
}

/// What the statement does outside of the database, on the machine of the server.
pub(super) fn outside_the_database(sql: &str) -> Option<&'static str> {
    let mut words = words(sql);
    let first = words.next()?;
    if first == "COPY" {
        let mut before = String::new();
        for word in words {
            let moves = before == "FROM" || before == "TO";
            if moves && word == "PROGRAM" {
                return Some("COPY runs a program on the server's machine");
            }
            if moves && (word == "STDIN" || word == "STDOUT") {
                return None;
            }
            before = word;
        }
        return copies_a_file(sql).then_some("COPY reads or writes a file of the server's machine");
    }
    let reads = [
        "PG_READ_FILE",
        "PG_READ_BINARY_FILE",
        "PG_LS_DIR",
        "LO_IMPORT",
        "LO_EXPORT",
    ];
    std::iter::once(first)
        .chain(words)
        .any(|word| reads.contains(&word.as_str()))
        .then_some("it reads or writes files of the server's machine")
}

/// Whether a text follows FROM or TO.
fn copies_a_file(sql: &str) -> bool {
    let (mut position, mut moves) = (0, false);
    while let Step::Token(kind, end) = token::step(sql.as_bytes(), position, true) {
        let token = sql.get(position..end).unwrap_or_default();
        match kind {
            Kind::Space | Kind::LineComment | Kind::BlockComment => {}
            Kind::Text if moves => return true,
            _ => moves = kind == Kind::Word && (token.eq_ignore_ascii_case("from") || token.eq_ignore_ascii_case("to")),
        }
        position = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_found_outside_of_texts_and_comments() {
        assert_eq!(unseen("select\u{a0}1"), Some((6, "U+00A0 (no-break space)".to_owned())));
        assert_eq!(unseen("drop table \"a\u{202e}b\"").map(|(at, _)| at), Some(13));
        for sql in [
            "select 'a\u{200b}' -- \u{a0}",
            "/* \u{200b} */ select $$\u{a0}$$",
            "select 'é' as ü",
        ] {
            assert_eq!(unseen(sql), None, "{sql}");
        }
    }

    #[test]
    fn what_reaches_the_servers_machine_is_found() {
        for sql in [
            "copy t to program 'x'",
            "COPY (select 1) TO /* x */ PROGRAM 'x'",
            "copy t from '/tmp/x'",
            "copy t (a, b) to E'/tmp/x' csv",
            "select pg_catalog.pg_read_file('x')",
            "insert into t select lo_import('x')",
        ] {
            assert!(outside_the_database(sql).is_some(), "{sql}");
        }
        for sql in [
            "copy t from stdin with delimiter 'x'",
            "copy t to stdout",
            "select 'copy t to program'",
            "select 1",
        ] {
            assert_eq!(outside_the_database(sql), None, "{sql}");
        }
    }
}
