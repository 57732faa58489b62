//! Errors: what failed, where, in PostgreSQL's own words, what to do next, and what was already done.

use std::fmt;
use std::path::PathBuf;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can act on. The text of the error says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the user gave cannot be used: a name, an option, a file, a configuration.
    Usage,
    /// No session could be opened: the server is away, the service unknown, the login refused.
    Connection,
    /// The server wants a password and none is known; ask for one and open again.
    PasswordNeeded,
    /// The server refused a statement; [`Error::server`] holds its words.
    Server,
    /// A safety check of pum said no, and nothing was changed.
    Refused,
    /// A check of pum stopped an upgrade that was under way; [`Error::state`] says what is applied and what is not.
    Stopped,
    /// Another run holds the lock.
    Locked,
    /// The run was cancelled, and what was under way was rolled back.
    Cancelled,
    /// The connection was lost in the middle; what happened is known and said.
    ConnectionLost,
    /// The connection was lost in `COMMIT` and could not be had again: the outcome is not known.
    OutcomeUnknown,
    /// A program that pum runs (`pg_dump`, `pg_restore`, `python3`, a command of the user) failed or is missing.
    Program,
    /// A file or directory could not be read or written.
    Io,
}

/// A place in a file that the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text of that line, without its end.
    pub text: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// The fields of an error or notice as the server sent it
/// (PostgreSQL documentation, "Error and Notice Message Fields").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, or `WARNING`, `NOTICE`, ... in a notice; never localised.
    pub severity: String,
    /// The five characters of the SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The detail, when there is one.
    pub detail: Option<String>,
    /// The server's hint, when there is one.
    pub hint: Option<String>,
    /// The call stack of functions that led there, innermost first.
    pub context: Option<String>,
    /// Position in the statement that was sent, in characters, counted from 1.
    pub position: Option<usize>,
}

/// What the system says, without the number of its error.
pub(crate) fn system_words(error: &std::io::Error) -> String {
    let words = error.to_string();
    words
        .split_once(" (os error ")
        .map_or(words.as_str(), |(words, _)| words)
        .to_owned()
}

/// What failed, where, why and what to do next.
///
/// `Display` gives the first sentence only; a front end prints the other fields with it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Error(Box<Fields>);

#[derive(Debug)]
struct Fields {
    kind: ErrorKind,
    message: String,
    location: Option<Location>,
    server: Option<ServerError>,
    hint: Option<String>,
    state: Option<String>,
}

impl Error {
    /// An error of the given kind; `message` is one sentence without a full stop: what failed and why.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Fields {
            kind,
            message: message.into(),
            location: None,
            server: None,
            hint: None,
            state: None,
        }))
    }

    /// An operation on a file that the system refused; `what` reads like `cannot read "x.sql"`.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("{what}: {}", system_words(error)))
    }

    /// The same error with another first sentence that leads to it: `context: message`.
    pub fn within(mut self, context: impl fmt::Display) -> Error {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Adds the place in the user's file. A place that is already known stays.
    pub fn at(mut self, location: Location) -> Error {
        self.0.location.get_or_insert(location);
        self
    }

    /// Adds what the server said.
    pub fn with_server(mut self, server: ServerError) -> Error {
        self.0.server = Some(server);
        self
    }

    /// Adds what to do next. A hint that is already there stays.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    /// Adds what was done and what was not when it failed. A state that is already there stays.
    pub fn with_state(mut self, state: impl Into<String>) -> Error {
        self.0.state.get_or_insert(state.into());
        self
    }

    /// Adds to what was done and what was not, after what is known of it already.
    pub(crate) fn add_state(mut self, more: &str) -> Error {
        self.0.state = Some(match self.0.state.take() {
            Some(state) => format!("{state}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// The same error, in whose words none of these secrets is repeated.
    pub(crate) fn without(mut self, secrets: &[String]) -> Error {
        let hide = |text: &mut String| *text = crate::script::hidden(text, secrets);
        hide(&mut self.0.message);
        if let Some(server) = &mut self.0.server {
            hide(&mut server.message);
            [&mut server.detail, &mut server.hint, &mut server.context]
                .into_iter()
                .flatten()
                .for_each(hide);
        }
        self
    }

    /// The same error as another kind.
    pub fn with_kind(mut self, kind: ErrorKind) -> Error {
        self.0.kind = kind;
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The first sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place in the user's file, when the error has one.
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// What the server said, when it said something.
    pub fn server(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }

    /// The SQLSTATE, when the server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.server.as_ref().map(|server| server.sqlstate.as_str())
    }

    /// What to do next, in pum's words.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What was done and what was not when it failed.
    pub fn state(&self) -> Option<&str> {
        self.0.state.as_deref()
    }
}
