//! Tells a difference in spelling from one in meaning.
//!
//! PostgreSQL's own text of a view, rule, check, default or predicate can change when it is parsed again, as a restored
//! dump does; one more parse is a fixed point. So where two texts differ, both are parsed by one server, and what it
//! then says is compared. `catalog/spelling/<kind>.<attribute>.sql` says how: with temporary objects that are parsed
//! and stored but never planned or run, in a transaction that is rolled back.

use crate::catalog::{Catalog, Object, ObjectId};
use crate::check::Side;
use crate::class::Class;
use crate::connection::{Connection, quote_identifier};
use crate::diff::{Change, Diff, Difference};
use crate::error::{ErrorKind, Result};

/// How many definitions are parsed in one round trip.
const AT_ONCE: usize = 500;

/// Takes out the differences that are spelling only, marks those that may be, and returns warnings about them.
///
/// # Errors
/// The connection lost, the run cancelled.
pub(crate) fn settle(diff: &mut Diff, left: &mut Side, right: &mut Side) -> Result<Vec<String>> {
    let mut differences = diff.take();
    let catalogs = [&left.0, &right.0];
    let disputes = disputes(&differences, catalogs);
    if disputes.is_empty() {
        diff.put(differences);
        return Ok(Vec::new());
    }
    let mixed = left.0.server_version().major() != right.0.server_version().major();
    // The left side is the one that is production more often: it is asked last.
    let mut scratches = [Scratch::new(right.1.as_mut()), Scratch::new(left.1.as_mut())];
    let verdicts = verdicts(&disputes, &mut scratches, mixed);
    let [right_reason, left_reason] = scratches.map(Scratch::end);
    let mut settled = disputes.iter().zip(verdicts?).peekable();
    let mut doubtful = 0;
    for (place, difference) in differences.iter_mut().enumerate() {
        let mut number = 0;
        let mut known = false;
        let mut doubted = false;
        difference.attributes.retain(|attribute| {
            let verdict = settled
                .next_if(|(dispute, _)| (dispute.difference, dispute.attribute) == (place, number))
                .map(|(_, verdict)| verdict);
            number += 1;
            let of_class = Class::of_attribute(difference.object.kind, &attribute.name).is_some();
            known |= !of_class && !matches!(verdict, Some(Verdict::Unknown | Verdict::Same));
            doubted |= matches!(verdict, Some(Verdict::Unknown));
            !matches!(verdict, Some(Verdict::Same))
        });
        difference.maybe_spelling = doubted && !known;
        doubtful += usize::from(difference.maybe_spelling);
    }
    differences.retain(|difference| difference.change != Change::Changed || !difference.attributes.is_empty());
    diff.put(differences);
    if doubtful == 0 {
        return Ok(Vec::new());
    }
    let why: Vec<String> = [(right_reason, catalogs[1]), (left_reason, catalogs[0])]
        .into_iter()
        .filter_map(|(reason, catalog)| Some(format!("{}: {}", catalog.target(), reason?)))
        .collect();
    let differences = if doubtful == 1 { "difference" } else { "differences" };
    Ok(vec![format!(
        "{doubtful} {differences} may be spelling only, because no side could parse the definitions again ({})",
        why.join("; ")
    )])
}

/// Two texts that may be one definition.
struct Dispute {
    /// The place of the difference, and of the attribute in it.
    difference: usize,
    attribute: usize,
    left: Vec<String>,
    right: Vec<String>,
}

fn disputes(differences: &[Difference], catalogs: [&Catalog; 2]) -> Vec<Dispute> {
    let mut disputes = Vec::new();
    for (place, difference) in differences.iter().enumerate() {
        if difference.change != Change::Changed {
            continue;
        }
        let object = &difference.object;
        let [Some(left), Some(right)] = catalogs.map(|catalog| {
            let objects = catalog.objects(object.kind)?;
            objects.find(&object.schema, &object.relation, &object.name)
        }) else {
            continue;
        };
        for (number, attribute) in difference.attributes.iter().enumerate() {
            if let (Some(left_text), Some(right_text), Some(template)) =
                (&attribute.left, &attribute.right, object.kind.spelling(&attribute.name))
            {
                disputes.push(Dispute {
                    difference: place,
                    attribute: number,
                    left: statements(template, object, left, left_text),
                    right: statements(template, object, right, right_text),
                });
            }
        }
    }
    disputes
}

#[derive(Clone, Copy)]
enum Verdict {
    Same,
    Different,
    Unknown,
}

fn verdicts(disputes: &[Dispute], scratches: &mut [Scratch<'_>; 2], mixed: bool) -> Result<Vec<Verdict>> {
    let mut verdicts = vec![Verdict::Unknown; disputes.len()];
    for scratch in scratches {
        let open: Vec<usize> = (0..disputes.len())
            .filter(|place| matches!(verdicts[*place], Verdict::Unknown))
            .collect();
        for places in open.chunks(AT_ONCE) {
            let both = places.iter().flat_map(|place| {
                let dispute = &disputes[*place];
                [&dispute.left, &dispute.right]
            });
            let parsed = scratch.parse(&both.map(Vec::as_slice).collect::<Vec<_>>())?;
            for (place, pair) in places.iter().zip(parsed.chunks(2)) {
                verdicts[*place] = match pair {
                    [Parsed::As(left), Parsed::As(right)] if left == right => Verdict::Same,
                    [Parsed::Unknown, _] | [_, Parsed::Unknown] => Verdict::Unknown,
                    // A server may not know the syntax of a newer one.
                    [Parsed::Refused, _] | [_, Parsed::Refused] if mixed => Verdict::Unknown,
                    // What one side cannot even parse names something that it does not have.
                    _ => Verdict::Different,
                };
            }
        }
    }
    Ok(verdicts)
}

/// The statements of a template, with `:value` replaced by the text, `:"schema"`, `:"relation"` and `:"name"` by the
/// quoted identity, and `:attribute` by an attribute of the object, as psql replaces its variables.
///
/// Each is one statement, whatever the text holds: see [`Scratch::parse`].
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
    connection: Option<&'a mut Connection>,
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

const SAVEPOINT: &str = "savepoint pum_spelling";
const ROLLBACK: &str = "rollback to pum_spelling";

impl<'a> Scratch<'a> {
    fn new(connection: Option<&'a mut Connection>) -> Scratch<'a> {
        let (state, reason) = match connection {
            Some(_) => (State::Unopened, None),
            None => (State::Unusable, Some("a file cannot be asked".to_owned())),
        };
        Scratch {
            connection,
            state,
            reason,
        }
    }

    /// What the server says after parsing each list of statements.
    fn parse(&mut self, lists: &[&[String]]) -> Result<Vec<Parsed>> {
        let unknown = || Ok(lists.iter().map(|_| Parsed::Unknown).collect());
        let Some(connection) = self.connection.as_deref_mut() else {
            return unknown();
        };
        if matches!(self.state, State::Unopened) {
            connection.execute(
                "begin; set local search_path = pg_catalog, pg_temp; set local lock_timeout = '1s'; \
                 set local statement_timeout = '30s'; set local check_function_bodies = off; \
                 set local client_min_messages = error; set local timezone = 'UTC'",
            )?;
            let rows = connection.query(USABLE, &[])?;
            self.reason = rows.value(0, 0).map(str::to_owned);
            self.state = if self.reason.is_none() {
                State::Open
            } else {
                State::Unusable
            };
        }
        if matches!(self.state, State::Unusable) {
            return unknown();
        }
        // The texts come from a server and are not trusted: each statement has a message of its own, which holds only one.
        let mut groups = Vec::with_capacity(lists.len() * 2);
        for list in lists {
            groups.push(
                std::iter::once(SAVEPOINT)
                    .chain(list.iter().map(String::as_str))
                    .collect(),
            );
            groups.push(vec![ROLLBACK]);
        }
        let mut parsed = Vec::with_capacity(lists.len());
        for pair in connection.pipeline(&groups)?.chunks(2) {
            parsed.push(match &pair[0] {
                Ok(text) => Parsed::As(text.clone()),
                Err(error) if error.kind() == ErrorKind::Server => {
                    let state = error.sqlstate().unwrap_or_default();
                    if state.starts_with("42") && state != "42501" {
                        Parsed::Refused
                    } else {
                        self.reason = Some(error.message().to_owned());
                        Parsed::Unknown
                    }
                }
                Err(_) => Parsed::Unknown,
            });
        }
        Ok(parsed)
    }

    /// Rolls back, and says why the side could not always be asked.
    fn end(self) -> Option<String> {
        if let Some(connection) = self.connection {
            connection.rollback();
        }
        self.reason
    }
}
