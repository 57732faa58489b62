//! Service files, read as libpq reads them: `[name]`, `keyword=value`, `#` comments.

use crate::error::{Error, ErrorKind, Result};

/// What libpq takes for a line, with its end, in bytes (`parseServiceFile` in `fe-connect.c`).
const LONGEST_LINE: usize = 1022;

/// The names of the services that a file defines, as they stand in it. One that is not UTF-8 cannot be named to pum.
pub fn service_names(text: &[u8]) -> Vec<String> {
    lines(text)
        .filter_map(|line| std::str::from_utf8(line.text).ok())
        .filter_map(|line| Some(line.strip_prefix('[')?.split_once(']')?.0))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The keywords and values of a service; `None` when the file does not define it. Of a keyword that stands twice the first
/// value counts.
///
/// # Errors
/// A line up to the end of the section is none that libpq takes. Whether there is such a keyword is left to libpq.
pub fn service_section(text: &[u8], name: &str) -> Result<Option<Vec<(String, String)>>> {
    let mut section: Option<Vec<(String, String)>> = None;
    for line in lines(text) {
        let wrong = |why: &str| Error::new(ErrorKind::Connection, format!("line {} {why}", line.number));
        if line.length > LONGEST_LINE {
            return Err(wrong("is too long").with_hint(format!("libpq takes lines of up to {LONGEST_LINE} bytes")));
        }
        match (line.text.strip_prefix(b"["), &mut section) {
            (Some(_), Some(_)) => break,
            (Some(head), None) => {
                let rest = head.strip_prefix(name.as_bytes()).unwrap_or_default();
                section = rest.starts_with(b"]").then(Vec::new);
            }
            (None, None) => {}
            (None, Some(_)) if line.text.is_empty() || line.text.starts_with(b"#") => {}
            (None, Some(section)) => {
                let text = std::str::from_utf8(line.text).map_err(|_| wrong("is not UTF-8"))?;
                let (keyword, value) = text
                    .split_once('=')
                    .ok_or_else(|| wrong("is not of the form keyword=value"))?;
                if matches!(keyword, "service" | "servicefile") {
                    return Err(wrong("names another service, which libpq does not take here"));
                }
                if !section.iter().any(|(known, _)| known == keyword) {
                    section.push((keyword.to_owned(), value.to_owned()));
                }
            }
        }
    }
    Ok(section)
}

struct Line<'a> {
    number: usize,
    /// In bytes, with its end.
    length: usize,
    /// Without white space around it.
    text: &'a [u8],
}

fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split_inclusive(|byte| *byte == b'\n')
        .zip(1..)
        .map(|(line, number)| Line {
            number,
            length: line.len(),
            text: trimmed(line),
        })
}

/// Without what C takes for white space, and the vertical tab is that too.
fn trimmed(mut line: &[u8]) -> &[u8] {
    let white = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    while let [first, rest @ ..] = line
        && white(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && white(last)
    {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests;
