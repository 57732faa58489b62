//! How an error looks: the sentence, the place with its line and a caret, the server's words, what to do next.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use pum::{Error, Location, ServerError};

use super::text;

/// How much of a long line is shown on each side of the place, in characters.
const AROUND: usize = 120;

/// The whole error, with colours or without, ending with a line end.
pub(crate) fn render(error: &Error, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let message = text::line(error.message());
    let title = Level::ERROR.primary_title(message.as_ref());
    let shown = error.location().map(Shown::new);
    let mut group: Group<'_> = match &shown {
        Some(shown) if shown.whole => title.element(shown.snippet().path(shown.path.as_str())),
        Some(shown) => title.element(shown.origin()).element(shown.snippet()),
        None => Group::with_title(title),
    };
    let notes: Vec<(Level<'_>, String)> = notes(error);
    for (level, note) in &notes {
        group = group.element(level.clone().message(note.as_str()));
    }
    let mut out = renderer.render(&[group]);
    out.push('\n');
    out
}

/// What stands below: the server's detail, hint, context and code, what was done, what to do next.
fn notes(error: &Error) -> Vec<(Level<'static>, String)> {
    let named = |name: &'static str| Level::NOTE.with_name(Some(name));
    let mut out = Vec::new();
    if let Some(server) = error.server() {
        for (name, value) in server_lines(server, error.message()) {
            out.push((named(name), text::marked(&value)));
        }
    }
    if let Some(state) = error.state() {
        out.push((named("state"), text::lines(state).into_owned()));
    }
    if let Some(hint) = error.hint() {
        out.push((Level::HELP, text::lines(hint).into_owned()));
    }
    out
}

/// The fields of the server's message that the first sentence does not repeat.
fn server_lines(server: &ServerError, sentence: &str) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let severity = if server.severity.is_empty() {
        "ERROR"
    } else {
        &server.severity
    };
    if !server.message.is_empty() && !sentence.contains(&server.message) {
        out.push(("server", format!("{severity}: {}", server.message)));
    }
    let fields = [
        ("detail", &server.detail),
        ("hint", &server.hint),
        ("context", &server.context),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            out.push((name, value.clone()));
        }
    }
    if !server.sqlstate.is_empty() {
        out.push(("SQLSTATE", server.sqlstate.clone()));
    }
    out
}

/// A place in a file, made safe and short.
struct Shown {
    path: String,
    line: usize,
    column: usize,
    text: String,
    /// Whether `text` is the line as it is, so that a place in it is one in the file.
    whole: bool,
    /// The bytes of `text` under which the caret stands.
    caret: std::ops::Range<usize>,
}

impl Shown {
    fn new(location: &Location) -> Shown {
        let column = location.column.saturating_sub(1);
        let characters: Vec<char> = location.text.chars().collect();
        let column = column.min(characters.len());
        let start = column.saturating_sub(AROUND);
        let end = (column + AROUND).min(characters.len());
        let mut shown = String::new();
        if start > 0 {
            shown.push('…');
        }
        let mut caret = 0..0;
        for (number, character) in characters.iter().enumerate().take(end).skip(start) {
            let from = shown.len();
            if *character == '\t' {
                shown.push('\t');
            } else {
                shown.push_str(&text::line(&character.to_string()));
            }
            if number == column {
                caret = from..shown.len();
            }
        }
        if column == characters.len() {
            caret = shown.len()..shown.len();
        }
        if end < characters.len() {
            shown.push('…');
        }
        Shown {
            path: text::line(&location.path.to_string_lossy()).into_owned(),
            line: location.line,
            column: location.column,
            whole: shown == location.text && column + 1 == location.column,
            text: shown,
            caret,
        }
    }

    /// The place as it is in the file, which a line that is cut or escaped no longer shows.
    fn origin(&self) -> Origin<'_> {
        Origin::path(self.path.as_str())
            .line(self.line)
            .char_column(self.column)
    }

    fn snippet(&self) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        Snippet::source(self.text.as_str())
            .line_start(self.line)
            .annotation(AnnotationKind::Primary.span(self.caret.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pum::ErrorKind;

    fn error_at(text: &str, column: usize) -> String {
        let error = Error::new(ErrorKind::Server, "column \"hight\" does not exist").at(Location {
            path: "delta_1.1.0_b.sql".into(),
            line: 12,
            column,
            text: text.to_owned(),
        });
        render(&error, false)
    }

    #[test]
    fn an_error_of_a_script_has_all_its_parts() {
        let error = Error::new(ErrorKind::Server, "column \"hight\" does not exist")
            .at(Location {
                path: "deltas/delta_1.1.0_b.sql".into(),
                line: 12,
                column: 8,
                text: "select hight from water.pipe;".into(),
            })
            .with_server(ServerError {
                severity: "ERROR".into(),
                sqlstate: "42703".into(),
                message: "column \"hight\" does not exist".into(),
                detail: Some("a detail".into()),
                hint: Some("Perhaps you meant to reference the column \"pipe.height\".".into()),
                context: Some("PL/pgSQL function f() line 3 at SQL statement\nSQL statement \"select f()\"".into()),
                position: Some(8),
            })
            .with_state("1.0.0 and before are applied, 1.1.0 is rolled back")
            .with_hint("mend the file and run the same command again");
        insta::assert_snapshot!(render(&error, false));
        assert!(render(&error, true).contains("\x1b["));
    }

    #[test]
    fn a_plain_error_is_a_line_and_its_help() {
        let error = Error::new(ErrorKind::Usage, "-p is missing").with_hint("give -p");
        insta::assert_snapshot!(render(&error, false));
        let error = Error::new(ErrorKind::Usage, "something failed");
        assert_eq!(render(&error, false), "error: something failed\n");
    }

    #[test]
    fn the_caret_stands_under_its_column() {
        insta::assert_snapshot!(error_at("\tselect \x1b[31m, hight", 16));
        insta::assert_snapshot!(error_at("select größe, hight", 15));
        // At the end of the line and behind it.
        insta::assert_snapshot!(error_at("select", 7));
        insta::assert_snapshot!(error_at("", 99));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}hight{}", "x".repeat(5_000), "y".repeat(5_000));
        let out = error_at(&text, 5_001);
        assert!(out.lines().all(|line| line.chars().count() < 400), "{out}");
        let lines: Vec<&str> = out.lines().collect();
        let source = lines
            .iter()
            .position(|line| line.contains("hight") && line.contains("xxx"))
            .unwrap();
        let at = lines[source].chars().position(|c| c == 'h').unwrap();
        assert_eq!(lines[source + 1].chars().position(|c| c == '^'), Some(at), "{out}");
    }

    #[test]
    fn hostile_text_is_shown_and_not_acted_on() {
        let error = Error::new(
            ErrorKind::Server,
            "relation \"\x1b]0;pwned\x07\" does not exist\nerror: forged",
        )
        .with_server(ServerError {
            sqlstate: "42P01".into(),
            detail: Some("a\x1b[2Jb\n= state: forged".into()),
            ..ServerError::default()
        });
        let out = render(&error, false);
        assert!(!out.contains('\x1b') && !out.contains('\x07'), "{out:?}");
        assert!(!out.lines().any(|line| line.starts_with("error: forged")), "{out}");
        assert!(
            !out.lines().any(|line| line.trim_start().starts_with("= state: forged")),
            "{out}"
        );
    }
}
