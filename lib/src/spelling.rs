//! Tells a difference in spelling from one in meaning.
//!
//! PostgreSQL's own text of a view, rule, check, default or predicate can change when it is parsed again, as a restored
//! dump does; one more parse is a fixed point. So where two texts differ, both are parsed by one server, and what it
//! then says is compared. `catalog/spelling/<kind>.<attribute>.sql` says how: with temporary objects that are parsed
//! and stored but never planned or run, in a transaction that is rolled back.

use crate::catalog::{Catalog, Object, ObjectId};
use crate::connection::{Connection, quote_identifier};
use crate::diff::{Change, Diff, Difference};
use crate::error::{ErrorKind, Result};

type Side<'a> = (&'a Catalog, &'a mut Connection);

/// Takes out the differences that are spelling only, marks those that may be, and returns warnings about them.
///
/// # Errors
/// The connection lost, the run cancelled.
pub(crate) fn settle(diff: &mut Diff, left: Side<'_>, right: Side<'_>) -> Result<Vec<String>> {
    if !diff.differences().iter().any(concerned) {
        return Ok(Vec::new());
    }
    let catalogs = [left.0, right.0];
    let mixed = left.0.server_version().major() != right.0.server_version().major();
    // The left side is the one that is production more often: it is asked last.
    let mut scratches = [Scratch::new(right.1), Scratch::new(left.1)];
    let mut failure = None;
    diff.retain(|difference| {
        if failure.is_some() || !concerned(difference) {
            return true;
        }
        settle_one(difference, catalogs, &mut scratches, mixed).unwrap_or_else(|error| {
            failure = Some(error);
            true
        })
    });
    let [right, left] = scratches.map(Scratch::end);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let doubtful = diff
        .differences()
        .iter()
        .filter(|difference| difference.maybe_spelling)
        .count();
    if doubtful == 0 {
        return Ok(Vec::new());
    }
    let why: Vec<String> = [(right, catalogs[1]), (left, catalogs[0])]
        .into_iter()
        .filter_map(|(reason, catalog)| Some(format!("{}: {}", catalog.target(), reason?)))
        .collect();
    let differences = if doubtful == 1 { "difference" } else { "differences" };
    Ok(vec![format!(
        "{doubtful} {differences} may be spelling only, because no side could parse the definitions again ({})",
        why.join("; ")
    )])
}

fn concerned(difference: &Difference) -> bool {
    let spelled = |name: &str| difference.object.kind.spelling(name).is_some();
    difference.change == Change::Changed
        && difference
            .attributes
            .iter()
            .any(|attribute| attribute.left.is_some() && attribute.right.is_some() && spelled(&attribute.name))
}

enum Verdict {
    Same,
    Different,
    Unknown,
}

/// Whether the difference remains.
fn settle_one(
    difference: &mut Difference,
    catalogs: [&Catalog; 2],
    scratches: &mut [Scratch<'_>; 2],
    mixed: bool,
) -> Result<bool> {
    let object = &difference.object;
    let [Some(left), Some(right)] = catalogs.map(|catalog| {
        let objects = catalog.objects(object.kind)?;
        objects.find(&object.schema, &object.relation, &object.name)
    }) else {
        return Ok(true);
    };
    let mut remaining = Vec::new();
    let mut known = false;
    for attribute in std::mem::take(&mut difference.attributes) {
        let verdict = match (&attribute.left, &attribute.right, object.kind.spelling(&attribute.name)) {
            (Some(left_text), Some(right_text), Some(template)) => {
                let left = statements(template, object, left, left_text);
                let right = statements(template, object, right, right_text);
                compare(&left, &right, scratches, mixed)?
            }
            _ => Verdict::Different,
        };
        match verdict {
            Verdict::Same => continue,
            Verdict::Different => known = true,
            Verdict::Unknown => {}
        }
        remaining.push(attribute);
    }
    difference.attributes = remaining;
    difference.maybe_spelling = !known;
    Ok(!difference.attributes.is_empty())
}

fn compare(left: &[String], right: &[String], scratches: &mut [Scratch<'_>; 2], mixed: bool) -> Result<Verdict> {
    for scratch in scratches {
        let outcome = match (scratch.parse(left)?, scratch.parse(right)?) {
            (Parsed::As(left), Parsed::As(right)) if left == right => Verdict::Same,
            (Parsed::Unknown, _) | (_, Parsed::Unknown) => Verdict::Unknown,
            // A server may not know the syntax of a newer one.
            (Parsed::Refused, _) | (_, Parsed::Refused) if mixed => Verdict::Unknown,
            // What one side cannot even parse names something that it does not have.
            _ => Verdict::Different,
        };
        if !matches!(outcome, Verdict::Unknown) {
            return Ok(outcome);
        }
    }
    Ok(Verdict::Unknown)
}

/// The statements of a template, with `:value` replaced by the text, `:"schema"`, `:"relation"` and `:"name"` by the
/// quoted identity, and `:attribute` by an attribute of the object, as psql replaces its variables.
///
/// The texts come from a server and are not trusted: each statement is sent alone, in a message that holds only one.
fn statements(template: &str, id: &ObjectId, object: Object<'_>, value: &str) -> Vec<String> {
    let lines: Vec<&str> = template.lines().filter(|line| !line.starts_with("--")).collect();
    lines
        .join("\n")
        .split(";\n")
        .map(|statement| {
            let mut text = String::new();
            let mut rest = statement;
            while let Some(colon) = rest.find(':') {
                text.push_str(&rest[..colon]);
                rest = &rest[colon + 1..];
                let word = rest.trim_start_matches('"');
                let word = &word[..word
                    .find(|c: char| !c.is_ascii_lowercase() && c != '_')
                    .unwrap_or(word.len())];
                let quoted = rest.starts_with('"');
                if word.is_empty() || text.ends_with(':') {
                    text.push(':');
                    continue;
                }
                rest = &rest[word.len() + if quoted { 2 } else { 0 }..];
                match word {
                    "schema" => text.push_str(&quote_identifier(&id.schema)),
                    "relation" => text.push_str(&quote_identifier(&id.relation)),
                    "name" => text.push_str(&quote_identifier(&id.name)),
                    "value" => text.push_str(value),
                    attribute => text.push_str(object.attribute(attribute).unwrap_or("")),
                }
            }
            text + rest
        })
        .collect()
}

enum Parsed {
    /// What the server says after parsing.
    As(String),
    /// The server cannot parse it.
    Refused,
    /// This side cannot be asked.
    Unknown,
}

/// A transaction that is rolled back, opened when it is first needed.
struct Scratch<'a> {
    connection: &'a mut Connection,
    state: State,
    /// Why this side could not be asked.
    reason: Option<String>,
}

enum State {
    Unopened,
    Open,
    Unusable,
}

/// A role may be denied temporary objects, and an event trigger would run the user's code for ours.
const USABLE: &str = "select case \
     when pg_is_in_recovery() then 'the server is a standby' \
     when current_setting('transaction_read_only') = 'on' then 'transactions are read-only' \
     when not has_database_privilege(current_database(), 'TEMP') then 'the role may not create temporary objects' \
     when exists (select from pg_event_trigger where evtenabled <> 'D') then 'event triggers would run' end";

impl<'a> Scratch<'a> {
    fn new(connection: &'a mut Connection) -> Scratch<'a> {
        Scratch {
            connection,
            state: State::Unopened,
            reason: None,
        }
    }

    fn open(&mut self) -> Result<()> {
        self.connection.execute(
            "begin; set local search_path = pg_catalog, pg_temp; set local lock_timeout = '1s'; \
             set local statement_timeout = '30s'; set local check_function_bodies = off; \
             set local client_min_messages = error; set local timezone = 'UTC'",
        )?;
        let rows = self.connection.query(USABLE, &[])?;
        self.state = match rows.value(0, 0) {
            None => State::Open,
            Some(reason) => {
                self.reason = Some(reason.to_owned());
                State::Unusable
            }
        };
        Ok(())
    }

    fn parse(&mut self, statements: &[String]) -> Result<Parsed> {
        if matches!(self.state, State::Unopened) {
            self.open()?;
        }
        if matches!(self.state, State::Unusable) {
            return Ok(Parsed::Unknown);
        }
        self.connection.execute("savepoint pum_spelling")?;
        let mut text = Ok(String::new());
        for statement in statements {
            text = self
                .connection
                .query(statement, &[])
                .map(|rows| rows.value(0, 0).unwrap_or_default().to_owned());
            if text.is_err() {
                break;
            }
        }
        match text {
            Ok(text) => {
                self.connection.execute("rollback to pum_spelling")?;
                Ok(Parsed::As(text))
            }
            Err(error) if error.kind() == ErrorKind::Server => {
                self.connection.execute("rollback to pum_spelling")?;
                let state = error.sqlstate().unwrap_or_default();
                if state.starts_with("42") && state != "42501" {
                    return Ok(Parsed::Refused);
                }
                self.reason = Some(error.message().to_owned());
                Ok(Parsed::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Rolls back, and says why the side could not always be asked.
    fn end(self) -> Option<String> {
        self.connection.rollback();
        self.reason
    }
}
