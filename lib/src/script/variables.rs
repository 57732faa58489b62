//! Variables in SQL files, by the rules of psycopg2, which ran the files of pum 0.10.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// A value of a variable.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number of any size: digits without leading zeros, with `-` before a negative one.
    Int(String),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
}

impl Value {
    /// The SQL literal that stands for the value: `2056`, ` -5` (with a space before the sign, so that no
    /// operator before it grows), `1.5`, `'it''s'`, and ` E'a\\b'` for a text with a backslash.
    pub fn literal(&self) -> String {
        match self {
            Value::Int(digits) => spaced(digits.clone()),
            Value::Float(number) => spaced(float_literal(*number)),
            Value::Text(text) => {
                let quoted = text.replace('\'', "''");
                if quoted.contains('\\') {
                    format!(" E'{}'", quoted.replace('\\', "\\\\"))
                } else {
                    format!("'{quoted}'")
                }
            }
        }
    }
}

fn spaced(literal: String) -> String {
    if literal.starts_with('-') {
        format!(" {literal}")
    } else {
        literal
    }
}

/// The shortest digits that give the number back, written as Python does.
fn float_literal(number: f64) -> String {
    if number.is_nan() {
        return "'NaN'::float".into();
    }
    if number.is_infinite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("'{sign}Infinity'::float");
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        format!("{number:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    }
}

/// Variables by name, each given as `TYPE NAME VALUE`.
///
/// ```
/// let mut variables = pum::Variables::new();
/// variables.insert("int", "SRID", "2056")?;
/// assert!(variables.insert("int", "SRID", "many").is_err());
/// # Ok::<(), pum::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// No variables: SQL files are run as they are, and a `%` in them means nothing special.
    pub fn new() -> Variables {
        Variables::default()
    }

    /// Adds a variable; `kind` is `int`, `float` or `str`. A name that is there gets the new value.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for another kind, for a value that is not of the kind, and for a name that is
    /// empty or holds white space, `%` or parentheses.
    pub fn insert(&mut self, kind: &str, name: &str, value: &str) -> Result<()> {
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || "%()".contains(c);
        if name.is_empty() || name.contains(forbidden) {
            return Err(
                Error::new(ErrorKind::Usage, format!("{name:?} cannot be the name of a variable"))
                    .with_hint("a name is one word of letters, digits and _, such as SRID"),
            );
        }
        let wrong = |what: &str, example: &str| {
            Error::new(ErrorKind::Usage, format!("variable {name}: {value:?} is not {what}"))
                .with_hint(format!("an example of the type {kind}: {example}"))
        };
        let value = match kind {
            "int" => Value::Int(whole_number(value).ok_or_else(|| wrong("a whole number", "2056 or -5"))?),
            "float" => Value::Float(value.trim().parse().map_err(|_| wrong("a number", "0.5 or 1e-3"))?),
            "str" if value.contains('\0') => return Err(wrong("text without NUL", "Lausanne")),
            "str" => Value::Text(value.to_owned()),
            _ => {
                return Err(
                    Error::new(ErrorKind::Usage, format!("variable {name}: there is no type {kind:?}"))
                        .with_hint("the types are int, float and str"),
                );
            }
        };
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The text with `%(NAME)s` replaced by literals and `%%` by `%`, wherever they stand, inside quotes too;
    /// with the marks that lead back. An error comes with its byte offset in `text`.
    pub(super) fn replace(&self, text: &str) -> Result<(String, Vec<Mark>), (usize, Error)> {
        let mut sent = String::with_capacity(text.len());
        let mut marks = Vec::new();
        let mut rest = 0;
        while let Some(found) = text[rest..].find('%') {
            let at = rest + found;
            sent.push_str(&text[rest..at]);
            let after = &text[at + 1..];
            if after.starts_with('%') {
                sent.push('%');
                rest = at + 2;
            } else {
                let (name, end) = self.placeholder(after).map_err(|error| (at, error))?;
                marks.push(Mark {
                    sent: sent.len(),
                    original: at,
                    value: true,
                });
                sent.push_str(&name.literal());
                rest = at + 1 + end;
            }
            marks.push(Mark {
                sent: sent.len(),
                original: rest,
                value: false,
            });
        }
        sent.push_str(&text[rest..]);
        Ok((sent, marks))
    }

    /// The value that `(NAME)s` at the beginning of `text` stands for, and where that ends.
    fn placeholder(&self, text: &str) -> Result<(&Value, usize)> {
        let lone = || {
            Error::new(ErrorKind::Usage, "a % that is no variable, in a run with variables")
                .with_hint("write %% for a percent sign, %(NAME)s for a variable")
        };
        let (name, after) = text
            .strip_prefix('(')
            .and_then(|text| text.split_once(')'))
            .ok_or_else(lone)?;
        if name.contains(char::is_whitespace) || !after.starts_with('s') {
            return Err(lone());
        }
        let value = self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            Error::new(ErrorKind::Usage, format!("the variable {name:?} was not given"))
                .with_hint(format!("known: {}; give it with -v TYPE NAME VALUE", known.join(", ")))
        })?;
        Ok((value, name.len() + 3))
    }
}

/// Digits without leading zeros, with `-` before a negative number.
fn whole_number(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match digits.trim_start_matches('0') {
        "" => Some("0".into()),
        digits => Some(format!("{sign}{digits}")),
    }
}

/// From byte `sent` of the text that is sent on, the file goes on at byte `original`;
/// all of a value comes from the one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) sent: usize,
    pub(super) original: usize,
    pub(super) value: bool,
}

impl Mark {
    /// The byte of the file's text that byte `sent` of the replaced text comes from.
    pub(super) fn back(marks: &[Mark], sent: usize) -> usize {
        let before = marks.partition_point(|mark| mark.sent <= sent);
        match before.checked_sub(1).map(|last| marks[last]) {
            None => sent,
            Some(mark) if mark.value => mark.original,
            Some(mark) => mark.original + (sent - mark.sent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let mut variables = Variables::new();
        for (kind, name, value) in [
            ("int", "SRID", "+02056"),
            ("int", "NEG", "-5"),
            ("float", "F", "0.10"),
            ("str", "S", "it's"),
            ("str", "B", "a\\b'"),
        ] {
            variables.insert(kind, name, value).unwrap();
        }
        variables
    }

    #[test]
    fn values_become_the_literals_of_psycopg2() {
        let (sent, _) = variables()
            .replace("1 -%(NEG)s %(SRID)s %(F)s %(S)s %(B)s '%(SRID)s' 5 %% 2 like 'a%%'")
            .unwrap();
        assert_eq!(sent, "1 - -5 2056 0.1 'it''s'  E'a\\\\b''' '2056' 5 % 2 like 'a%'");
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (given, written) in [
            ("1", "1.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.5e-5", "1.5e-05"),
            ("0.0001", "0.0001"),
            ("-2.5", " -2.5"),
            ("nan", "'NaN'::float"),
            ("-inf", "'-Infinity'::float"),
            ("1e300", "1e+300"),
        ] {
            let mut variables = Variables::new();
            variables.insert("float", "x", given).unwrap();
            assert_eq!(variables.replace("%(x)s").unwrap().0, written);
        }
    }

    #[test]
    fn wrong_uses_say_where_and_what_instead() {
        let variables = variables();
        let (at, error) = variables.replace("é %(SRIT)s").unwrap_err();
        assert_eq!(at, 3);
        assert_eq!(error.message(), "the variable \"SRIT\" was not given");
        assert_eq!(
            error.hint(),
            Some("known: B, F, NEG, S, SRID; give it with -v TYPE NAME VALUE")
        );
        for text in ["5 % 2", "like 'a%'", "%", "%(", "%(SRID)d", "%(SRID)", "%s"] {
            let (at, error) = variables.replace(text).unwrap_err();
            assert_eq!(at, text.find('%').unwrap());
            assert!(error.hint().unwrap().starts_with("write %%"), "{text}");
        }
    }

    #[test]
    fn wrong_types_names_and_values_are_usage_errors() {
        let mut variables = Variables::new();
        for (kind, name, value) in [
            ("integer", "a", "1"),
            ("int", "a", "1.5"),
            ("int", "a", ""),
            ("int", "a", "1_000"),
            ("float", "a", "x"),
            ("str", "", "x"),
            ("str", "a b", "x"),
            ("str", "a)", "x"),
            ("str", "a", "\0"),
        ] {
            let error = variables.insert(kind, name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
        assert!(variables.is_empty());
    }

    #[test]
    fn marks_lead_back() {
        let text = "a %% b %(SRID)s c";
        let (sent, marks) = variables().replace(text).unwrap();
        assert_eq!(sent, "a % b 2056 c");
        for (in_sent, in_text) in [(0, 0), (4, 5), (6, 7), (9, 7), (10, 15), (11, 16), (12, 17)] {
            assert_eq!(Mark::back(&marks, in_sent), in_text, "{in_sent}");
        }
    }
}
