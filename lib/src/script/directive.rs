//! Comments of a SQL file that speak to pum: `-- pum: ...`.

use crate::error::Location;

pub(super) const NO_TRANSACTION: &str = "no-transaction";
pub(super) const ALLOW: &str = "allow";

/// A comment `-- pum: allow ...`, whatever stands after the word.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) location: Location,
    /// What stands after `allow`.
    pub(crate) text: String,
}

/// The text after `pum:` when the line comment is a directive.
pub(super) fn directive(comment: &[u8]) -> Option<&str> {
    let text = comment.trim_ascii_start();
    let text = text.strip_prefix(b"--")?.trim_ascii();
    if !text.get(..3)?.eq_ignore_ascii_case(b"pum") {
        return None;
    }
    let text = text[3..].trim_ascii_start().strip_prefix(b":")?;
    std::str::from_utf8(text.trim_ascii()).ok()
}

/// The text after `allow`, when that is the first word of a directive.
pub(super) fn allow(directive: &str) -> Option<&str> {
    let rest = directive.strip_prefix(ALLOW)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}
