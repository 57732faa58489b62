//! Untrusted text made safe to be shown.

use std::borrow::Cow;
use std::fmt::Write;

/// A text from a database on one line, that cannot disturb a terminal or a page: control characters, and those that turn or
/// hide what follows, are written as escapes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => escaped.push_str("    "),
            _ => push(&mut escaped, character),
        }
    }
    escaped
}

/// The same for a text that is told because it differs from another: white space that could look like none, or like other
/// white space, is marked too.
pub(super) fn marked(text: &str) -> String {
    marked_from(text, visible(text))
}

/// How many bytes of a line come before the blanks at its end.
pub(super) fn visible(line: &str) -> usize {
    line.trim_end_matches([' ', '\t']).len()
}

/// A piece of a line whose blanks at the end begin at `end`.
pub(super) fn marked_from(text: &str, end: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (place, character) in text.char_indices() {
        match character {
            '\t' => escaped.push_str("\\t"),
            ' ' if place >= end => escaped.push('·'),
            ' ' | '\n' => push(&mut escaped, character),
            _ if character.is_whitespace() => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
            }
            _ => push(&mut escaped, character),
        }
    }
    escaped
}

fn push(escaped: &mut String, character: char) {
    match character {
        '\n' => escaped.push_str("\\n"),
        _ if character.is_control() || hides(character) => {
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
        }
        _ => escaped.push(character),
    }
}

/// Two texts whose last lines end alike, so that a line is compared by what it holds. Where one had an end more, an empty
/// line tells it.
pub(super) fn ended(texts: [Option<&str>; 2]) -> [Cow<'_, str>; 2] {
    let all = texts.iter().flatten().all(|text| text.ends_with('\n'));
    texts.map(|text| match text {
        None => Cow::Borrowed(""),
        Some(text) if all => Cow::Borrowed(text),
        Some(text) => Cow::Owned(format!("{text}\n")),
    })
}

/// Characters without a shape of their own (Unicode's general categories Cf, Zl and Zp, as far as they are in use; letters
/// that are blank; and what is no character at all).
fn hides(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{115f}'
        | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{3164}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{ended, escape, marked};

    #[test]
    fn what_differs_does_not_look_the_same() {
        let alike = [
            "a b",
            "a\tb",
            "a    b",
            "a\u{a0}b",
            "a b ",
            "a b\t",
            "a b  ",
            "a b\r",
            "a\u{2003}b",
        ];
        for (place, one) in alike.iter().enumerate() {
            for other in &alike[place + 1..] {
                assert_ne!(marked(one).trim_end(), marked(other).trim_end(), "{one:?} {other:?}");
            }
        }
        assert_eq!(marked(" a \t "), " a·\\t·");
        assert_eq!(escape("a\tb\u{1b}"), "a    b\\u{1b}");
    }

    #[test]
    fn the_end_of_the_last_line_does_not_make_it_another() {
        assert_eq!(ended([Some("a"), Some("a\nb")]), ["a\n", "a\nb\n"]);
        assert_eq!(ended([Some("a\n"), Some("a\nb\n")]), ["a\n", "a\nb\n"]);
        assert_eq!(ended([Some("a\n"), Some("a")]), ["a\n\n", "a\n"]);
        assert_eq!(ended([None, Some("a")]), ["", "a\n"]);
    }
}
