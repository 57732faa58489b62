//! Untrusted text made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text on one line: what could move the cursor, change colours or reorder what is read is written as an
/// escape, line ends and tabs too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, dangerous)
}

/// The text with its line ends and tabs, and nothing else that a terminal acts on. A carriage return before a line
/// feed is dropped.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        Cow::Owned(lines(&text.replace("\r\n", "\n")).into_owned())
    } else {
        escaped(text, |character| {
            !matches!(character, '\n' | '\t') && dangerous(character)
        })
    }
}

/// What stands before each line but the first of a text of several lines. No line of ours begins so.
const MARK: &str = "| ";

/// The text with its line ends, every line but the first indented and marked, so that none can pass for a line of ours.
pub(crate) fn indented(text: &str) -> String {
    lines(text).replace('\n', &format!("\n  {MARK}"))
}

/// The same for a text whose lines are indented by whoever shows it.
pub(crate) fn marked(text: &str) -> String {
    lines(text).replace('\n', &format!("\n{MARK}"))
}

/// A line of somebody else's that stands alone.
pub(crate) fn quoted(text: &str) -> String {
    format!("  {MARK}{}", line(text))
}

/// JSON in which nothing remains that a terminal acts on: only strings hold such characters, and there they can be
/// escaped. Those below the space are already.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character > '~' && dangerous(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

fn escaped(text: &str, refused: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&refused) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if refused(character) => out.push_str("\\n"),
            '\t' if refused(character) => out.push_str("\\t"),
            '\r' if refused(character) => out.push_str("\\r"),
            _ if refused(character) && character.is_ascii() => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            _ if refused(character) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.into()
}

/// C0, DEL and C1 controls, what reorders text (Unicode Technical Report 36, "Bidirectional Text Spoofing"), line
/// and paragraph separators, and characters that take no place.
fn dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_remains() {
        assert_eq!(line("a\x1b[31mb"), "a\\x1b[31mb");
        assert_eq!(line("a\nb\tc\rd"), "a\\nb\\tc\\rd");
        assert_eq!(line("\u{9b}2J\x7f\x07"), "\\u{9b}2J\\x7f\\x07");
        assert_eq!(line("user\u{202e}gpj.exe"), "user\\u{202e}gpj.exe");
        assert_eq!(lines("a\r\nb\tc\x1b"), "a\nb\tc\\x1b");
        assert_eq!(lines("a\rb"), "a\\rb");
    }

    #[test]
    fn no_line_passes_for_one_of_ours() {
        assert_eq!(indented("a\nerror: b"), "a\n  | error: b");
        assert_eq!(marked("a\n= state: b"), "a\n| = state: b");
        assert_eq!(quoted("1.0.0 n (delta sql) 9 ms"), "  | 1.0.0 n (delta sql) 9 ms");
        // Line ends of other kinds make no line either.
        for end in ["\r", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\u{c}"] {
            assert_eq!(indented(&format!("a{end}b")).lines().count(), 1);
            assert!(!indented(&format!("a{end}b")).contains(end));
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}\u{e0041}\x7f ü\n\x1b" });
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            !text.chars().any(|character| character != '\n' && dangerous(character)),
            "{text:?}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn ordinary_text_stays() {
        let text = "Zürich, 水道, naïve 😀 \"q\" \\ %";
        assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn every_control_character_is_escaped() {
        for character in (0..=0x9f).filter_map(char::from_u32).filter(|c| c.is_control()) {
            let text = character.to_string();
            assert!(!line(&text).chars().any(char::is_control), "{character:?}");
        }
    }
}
