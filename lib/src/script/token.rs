//! Tokens of a SQL file by the rules of PostgreSQL's own scanner, as far as they decide where a statement ends
//! (PostgreSQL documentation, "Lexical Structure").
//!
//! Nothing is remembered between two tokens: a token that runs off the end of the bytes at hand is read again
//! from its beginning when there are more.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    LineComment,
    BlockComment,
    /// A key word or an identifier without quotes.
    Word,
    /// `"..."`.
    QuotedName,
    /// `'...'` in any of its forms.
    Text,
    /// `$tag$...$tag$`.
    DollarText,
    Number,
    Semicolon,
    Open,
    Close,
    Backslash,
    Symbol,
}

/// The outcome of looking for one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A token and the place after it.
    Token(Kind, usize),
    /// More bytes are needed to tell.
    Incomplete,
    /// The file ends inside of a token of this kind.
    Unterminated(Kind),
    /// No bytes are left.
    End,
}

/// The token at `position`; `at_end` says that no bytes follow `bytes`.
pub(super) fn step(bytes: &[u8], position: usize, at_end: bool) -> Step {
    let Some(&first) = bytes.get(position) else {
        return if at_end { Step::End } else { Step::Incomplete };
    };
    let input = Input { bytes, at_end };
    let next = position + 1;
    match first {
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Step::Token(Kind::Space, input.run(next, is_space)),
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => input.word(position),
        b'0'..=b'9' => {
            let end = input.run(next, |byte| byte != b'$' && is_word(byte));
            input.whole(Kind::Number, end)
        }
        b'\'' => input.text(next, false),
        b'"' => match input.find(next, b'"') {
            // `""` inside is two names side by side here, which splits alike.
            Some(end) => Step::Token(Kind::QuotedName, end + 1),
            None => input.missing(Kind::QuotedName),
        },
        b'$' => input.dollar(position),
        b';' => Step::Token(Kind::Semicolon, next),
        b'(' => Step::Token(Kind::Open, next),
        b')' => Step::Token(Kind::Close, next),
        b'\\' => Step::Token(Kind::Backslash, next),
        b'-' | b'/' => match (first, bytes.get(next)) {
            (_, None) if !at_end => Step::Incomplete,
            (b'-', Some(b'-')) => {
                let end = input.run(next, |byte| byte != b'\n' && byte != b'\r');
                input.whole(Kind::LineComment, end)
            }
            (b'/', Some(b'*')) => input.block_comment(next + 1),
            _ => Step::Token(Kind::Symbol, next),
        },
        _ => Step::Token(Kind::Symbol, next),
    }
}

/// Where the first token is that is neither white space nor a comment.
pub(super) fn first(bytes: &[u8]) -> usize {
    let mut position = 0;
    while let Step::Token(Kind::Space | Kind::LineComment | Kind::BlockComment, end) = step(bytes, position, true) {
        position = end;
    }
    position
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Whether an identifier may go on with this byte; `$` may stand inside of one.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

struct Input<'a> {
    bytes: &'a [u8],
    at_end: bool,
}

impl Input<'_> {
    /// The end of the run of bytes that begins at `from`.
    fn run(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        self.bytes[from..]
            .iter()
            .position(|&byte| !belongs(byte))
            .map_or(self.bytes.len(), |length| from + length)
    }

    fn find(&self, from: usize, wanted: u8) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        let length = memchr::memchr(wanted, rest)?;
        Some(from + length)
    }

    /// A token that is whole only when something follows it.
    fn whole(&self, kind: Kind, end: usize) -> Step {
        if end == self.bytes.len() && !self.at_end {
            Step::Incomplete
        } else {
            Step::Token(kind, end)
        }
    }

    fn missing(&self, kind: Kind) -> Step {
        if self.at_end {
            Step::Unterminated(kind)
        } else {
            Step::Incomplete
        }
    }

    fn word(&self, position: usize) -> Step {
        let end = self.run(position + 1, is_word);
        let escapes = end == position + 1 && matches!(self.bytes[position], b'e' | b'E');
        if escapes && self.bytes.get(end) == Some(&b'\'') {
            self.text(end + 1, true)
        } else {
            self.whole(Kind::Word, end)
        }
    }

    /// The rest of `'...'`. Backslashes escape in `E'...'` only: pum's sessions have
    /// `standard_conforming_strings` on.
    fn text(&self, mut position: usize, escapes: bool) -> Step {
        if !escapes {
            // `''` inside is two texts side by side here, which splits alike.
            return match self.find(position, b'\'') {
                Some(end) => Step::Token(Kind::Text, end + 1),
                None => self.missing(Kind::Text),
            };
        }
        loop {
            let end = self.run(position, |byte| byte != b'\'' && byte != b'\\');
            match (self.bytes.get(end), self.bytes.get(end + 1)) {
                (None, _) => return self.missing(Kind::Text),
                (Some(b'\\'), None) => return self.missing(Kind::Text),
                (Some(b'\\'), Some(_)) => position = end + 2,
                (Some(_), Some(b'\'')) => position = end + 2,
                (Some(_), _) => match self.continuation(end + 1) {
                    Continuation::At(next) => position = next,
                    Continuation::None => return Step::Token(Kind::Text, end + 1),
                    Continuation::Unknown => return Step::Incomplete,
                },
            }
        }
    }

    /// Whether the text goes on after white space with a line end in it, still with the same escapes.
    fn continuation(&self, mut position: usize) -> Continuation {
        let mut line_end = false;
        loop {
            match self.bytes.get(position) {
                Some(b'\n' | b'\r') => {
                    line_end = true;
                    position += 1;
                }
                Some(&byte) if is_space(byte) => position += 1,
                Some(b'\'') if line_end => return Continuation::At(position + 1),
                Some(b'-') => match self.bytes.get(position + 1) {
                    Some(b'-') => {
                        position = self.run(position, |byte| byte != b'\n' && byte != b'\r');
                    }
                    None if !self.at_end => return Continuation::Unknown,
                    _ => return Continuation::None,
                },
                None if !self.at_end => return Continuation::Unknown,
                _ => return Continuation::None,
            }
        }
    }

    fn dollar(&self, position: usize) -> Step {
        let tag_end = self.run(position + 1, |byte| byte != b'$' && is_word(byte));
        let number = self.bytes.get(position + 1).is_some_and(u8::is_ascii_digit);
        match self.bytes.get(tag_end) {
            None if !self.at_end => Step::Incomplete,
            Some(b'$') if !number => {
                let tag = &self.bytes[position..=tag_end];
                let mut from = tag_end + 1;
                while let Some(found) = self.find(from, b'$') {
                    if self.bytes[found..].starts_with(tag) {
                        return Step::Token(Kind::DollarText, found + tag.len());
                    }
                    from = found + 1;
                }
                self.missing(Kind::DollarText)
            }
            _ => Step::Token(Kind::Symbol, position + 1),
        }
    }

    fn block_comment(&self, mut position: usize) -> Step {
        let mut depth = 1;
        loop {
            position = self.run(position, |byte| byte != b'*' && byte != b'/');
            match (self.bytes.get(position), self.bytes.get(position + 1)) {
                (None, _) | (_, None) => return self.missing(Kind::BlockComment),
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    position += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    position += 2;
                    if depth == 0 {
                        return Step::Token(Kind::BlockComment, position);
                    }
                }
                _ => position += 1,
            }
        }
    }
}

enum Continuation {
    At(usize),
    None,
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sql: &str) -> Vec<(Kind, &str)> {
        let mut position = 0;
        let mut found = Vec::new();
        loop {
            match step(sql.as_bytes(), position, true) {
                Step::Token(kind, end) => {
                    if kind != Kind::Space {
                        found.push((kind, &sql[position..end]));
                    }
                    position = end;
                }
                Step::End => return found,
                other => panic!("{other:?} at {position} of {sql}"),
            }
        }
    }

    #[test]
    fn texts_end_where_the_server_ends_them() {
        use Kind::*;
        assert_eq!(
            tokens(r"'a\' E'b\'c''d' U&'\0041' fe'\'"),
            [
                (Text, r"'a\'"),
                (Text, r"E'b\'c''d'"),
                (Word, "U"),
                (Symbol, "&"),
                (Text, r"'\0041'"),
                (Word, "fe"),
                (Text, r"'\'"),
            ]
        );
        assert_eq!(
            tokens("e'a' -- x\n 'b\\'c' ;"),
            [(Text, "e'a' -- x\n 'b\\'c'"), (Semicolon, ";")]
        );
        assert_eq!(tokens(r"E'a' 'b\'")[1], (Text, r"'b\'"));
    }

    #[test]
    fn dollars_open_texts_only_where_the_server_opens_them() {
        use Kind::*;
        assert_eq!(
            tokens("$$a;$b$$$ $é1$x$$y$é1$ a$b$c $1$2 1$x$;$x$"),
            [
                (DollarText, "$$a;$b$$"),
                (Symbol, "$"),
                (DollarText, "$é1$x$$y$é1$"),
                (Word, "a$b$c"),
                (Symbol, "$"),
                (Number, "1"),
                (Symbol, "$"),
                (Number, "2"),
                (Number, "1"),
                (DollarText, "$x$;$x$"),
            ]
        );
    }

    #[test]
    fn comments_nest_and_begin_inside_operators() {
        use Kind::*;
        assert_eq!(
            tokens("a+/* /* ; */ */b*--c;\rd"),
            [
                (Word, "a"),
                (Symbol, "+"),
                (BlockComment, "/* /* ; */ */"),
                (Word, "b"),
                (Symbol, "*"),
                (LineComment, "--c;"),
                (Word, "d"),
            ]
        );
    }

    #[test]
    fn a_token_is_incomplete_until_the_bytes_that_decide_are_there() {
        for sql in [
            "sel", "'a", "E'a'", "E'a'\n", "$a", "$a$ $a", "-", "/", "/* *", "-- a", "1", "\"a",
        ] {
            assert_eq!(step(sql.as_bytes(), 0, false), Step::Incomplete, "{sql}");
        }
    }
}
