//! The rows of one table on one side, one after the other.

use std::cmp::Ordering;

use super::tables::Layout;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};

/// A row as COPY's text format writes it: fields between tabs, each escaped (PostgreSQL documentation, "COPY").
pub(super) type Line = [u8];

/// The rows of a table on one side in the order of the layout. One is held at a time.
pub(super) struct Stream<'a> {
    connection: &'a mut Connection,
    layout: &'a Layout,
    side: usize,
    line: Vec<u8>,
    last: Vec<u8>,
    at_end: bool,
}

impl<'a> Stream<'a> {
    /// Asks for the rows and does not wait for them, so that both servers sort at the same time.
    pub(super) fn open(connection: &'a mut Connection, layout: &'a Layout, side: usize) -> Result<Stream<'a>> {
        let statement = layout.statement(side, &connection.server_encoding());
        connection.begin_copy(&statement)?;
        Ok(Stream {
            connection,
            layout,
            side,
            line: Vec::new(),
            last: Vec::new(),
            at_end: false,
        })
    }

    /// The current row; none after the last.
    pub(super) fn row(&self) -> Option<&Line> {
        (!self.at_end).then_some(&*self.line)
    }

    /// Goes to the next row.
    pub(super) fn advance(&mut self) -> Result<()> {
        std::mem::swap(&mut self.line, &mut self.last);
        let first = self.last.is_empty();
        let came = self.connection.copied_row(&mut self.line);
        self.at_end = !came.map_err(|error| self.described(error))?;
        // Rows in another order than the one that is counted on would be told to be missing.
        if !first && !self.at_end && self.layout.compare(&self.last, &self.line).is_gt() {
            return Err(self.described(Error::new(
                ErrorKind::Server,
                "the rows came in another order than the one that was asked for",
            )));
        }
        Ok(())
    }

    /// Ends the reading, also in the middle of it. After the last row, makes sure that the rows were those of the snapshot.
    pub(super) fn end(self) -> Result<()> {
        if !self.at_end {
            self.connection.stop_copy();
            return Ok(());
        }
        let oid = &*self.layout.oids[self.side];
        let rewritten = self
            .connection
            .query(include_str!("rewritten.sql"), &[Some(oid)])
            .map_err(|error| self.described(error))?;
        if rewritten.is_empty() {
            return Ok(());
        }
        Err(self.described(
            Error::new(
                ErrorKind::Server,
                "it was truncated or rewritten after the comparison began",
            )
            .with_hint("try again"),
        ))
    }

    fn described(&self, error: Error) -> Error {
        let state = error.sqlstate().unwrap_or_default().to_owned();
        let (layout, target) = (self.layout, self.connection.target());
        let error = match error.kind() {
            ErrorKind::Server => {
                let code = if state.is_empty() {
                    String::new()
                } else {
                    format!(" (SQLSTATE {state})")
                };
                error.within(format_args!("cannot read the rows of {layout} of {target}{code}"))
            }
            _ => return error,
        };
        match &*state {
            "42501" if layout.row_security[self.side] => error.with_hint(
                "row security would hide rows from this role: compare as the table's owner or as a role with BYPASSRLS, \
                 or leave the table out (--exclude)",
            ),
            "42501" => error.with_hint(format!(
                "grant the role usage on the schema and select on the table (grant select on {layout} to ...), or leave \
                 the table out (--exclude)"
            )),
            "55P03" => {
                error.with_hint("another session keeps readers out of the table, as ALTER TABLE does: try again later")
            }
            "42P01" | "42703" | "XX000" => error.with_hint("it was changed after the comparison began: try again"),
            _ => error,
        }
    }
}

/// The fields of a row.
pub(super) fn fields(line: &Line) -> impl Iterator<Item = Field<'_>> {
    line.split(|byte| *byte == b'\t').map(Field)
}

/// One value, escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a>(&'a [u8]);

impl<'a> Field<'a> {
    /// The value; none for null.
    pub(super) fn text(self) -> Option<String> {
        let bytes = self.bytes()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn is_null(self) -> bool {
        self.0 == br"\N"
    }

    fn bytes(self) -> Option<std::borrow::Cow<'a, [u8]>> {
        if self.is_null() {
            return None;
        }
        if !self.0.contains(&b'\\') {
            return Some(self.0.into());
        }
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut escaped = self.0.iter();
        while let Some(byte) = escaped.next() {
            let byte = match byte {
                b'\\' => match escaped.next() {
                    Some(b'b') => 8,
                    Some(b't') => b'\t',
                    Some(b'n') => b'\n',
                    Some(b'v') => 11,
                    Some(b'f') => 12,
                    Some(b'r') => b'\r',
                    Some(other) => *other,
                    None => b'\\',
                },
                other => *other,
            };
            bytes.push(byte);
        }
        Some(bytes.into())
    }

    /// The order in which the server was asked for values: by their bytes, nulls last.
    pub(super) fn compare(self, other: Field<'_>) -> Ordering {
        match (self.bytes(), other.bytes()) {
            (Some(one), Some(other)) => one.cmp(&other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }

    /// The order of integers.
    pub(super) fn compare_numbers(self, other: Field<'_>) -> Ordering {
        let number = |field: Field<'_>| std::str::from_utf8(field.0).ok()?.parse::<i64>().ok();
        match (number(self), number(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => self.compare(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_copy_writes_them() {
        let line = b"a\\tb\\\\N\t\\N\t\t\\n\\r\\b\\f\\v\xc3\xa9";
        let found: Vec<Option<String>> = fields(line).map(Field::text).collect();
        assert_eq!(
            found,
            [
                Some("a\tb\\N".to_owned()),
                None,
                Some(String::new()),
                Some("\n\r\u{8}\u{c}\u{b}é".to_owned())
            ]
        );
    }

    #[test]
    fn values_are_in_the_order_of_their_bytes_and_nulls_last() {
        let sorted: [&[u8]; 7] = [b"", br"\t", br"\n", b"0", b"a", br"\\", br"\N"];
        for (place, one) in sorted.iter().enumerate() {
            for (other_place, other) in sorted.iter().enumerate() {
                // A backslash stands before the small letters.
                let wanted = [0, 1, 2, 3, 5, 4, 6];
                assert_eq!(
                    Field(one).compare(Field(other)),
                    wanted[place].cmp(&wanted[other_place]),
                    "{place} {other_place}"
                );
            }
        }
        assert_eq!(Field(b"-5").compare_numbers(Field(b"3")), Ordering::Less);
        assert_eq!(Field(b"10").compare_numbers(Field(b"9")), Ordering::Greater);
    }
}
