//! Where in a file the server's errors stand.

use crate::error::{Error, Location};
use crate::script::{Statement, hidden, secrets};

/// Puts the place in the file into an error of a statement: the server's position, or the line in a DO block that the
/// context names, or the statement's first line.
pub(super) fn locate(error: Error, statement: &Statement) -> Error {
    let Some(server) = error.server() else { return error };
    let position = server
        .position
        .or_else(|| position_in_block(server.context.as_deref()?, statement.text()));
    let location: Location = statement.location(position);
    let variable = position.and_then(|position| variable_at(statement.text(), position));
    let unseen = statement.unseen();
    let error = error.without(&secrets(statement.text()));
    let location = Location {
        text: hidden(&location.text, &secrets(statement.text())),
        ..location
    };
    if let Some((place, name)) = unseen {
        return error.at(location).with_hint(format!(
            "{name} stands in line {}, column {}, where it cannot be seen: PostgreSQL takes it for a part of a name",
            place.line, place.column
        ));
    }
    match variable {
        Some(name) => error.at(location).with_hint(format!(
            "%({name})s is how a variable is written: give it with -v TYPE {name} VALUE (TYPE is int, float or str)"
        )),
        None => error.at(location),
    }
}

/// The name of the variable that stands at a position, in a run without variables, which leaves the text as it is.
fn variable_at(statement: &str, position: usize) -> Option<&str> {
    let start = statement.char_indices().nth(position.checked_sub(1)?)?.0;
    let (name, _) = statement[start..].strip_prefix("%(")?.split_once(")s")?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    name.chars().all(word).then_some(name)
}

/// `PL/pgSQL function inline_code_block line 3 at ...` counts lines from the opening dollar quote of a DO block.
fn position_in_block(context: &str, statement: &str) -> Option<usize> {
    let (_, after) = context.split_once("inline_code_block line ")?;
    let line: usize = after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let body = statement.find('$')?;
    let mut start = body;
    for _ in 1..line {
        start += statement[start..].find('\n')? + 1;
    }
    let indent = if line > 1 {
        statement[start..].chars().take_while(|c| c.is_whitespace()).count()
    } else {
        0
    };
    Some(statement[..start].chars().count() + indent + 1)
}
