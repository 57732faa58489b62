//! Static reading of deltas: what a statement will block, write anew, read from end to end or lose, told from its text
//! alone. Nothing is executed here.
//!
//! Rules of squawk and of pum, in one table (`hazard/rules.rs`); `-- pum: allow RULE reason` silences one.

mod known;
mod own;
mod reading;
mod rules;
mod volatile;

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

pub use rules::{HAZARD_RULES, HazardRule};

use crate::delta::Language;
use crate::error::{Error, ErrorKind, Location, Result};
use crate::script::{Allowance, Statement, Statements};
use crate::upgrade::{Plan, Step, UpgradeOptions};
use known::Known;
use reading::Found;

/// Hazards of one file that are told; the others are counted.
const TOLD: usize = 1000;

/// What a statement does to others or to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Who reads the relation waits.
    BlocksReaders,
    /// Who writes to the relation waits.
    BlocksWriters,
    /// The table or an index is written anew.
    Rewrites,
    /// All rows are read while others wait.
    Scans,
    /// Rows or values that are there before are gone after.
    LosesData,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Effect::BlocksReaders => "blocks readers",
            Effect::BlocksWriters => "blocks writers",
            Effect::Rewrites => "rewrites",
            Effect::Scans => "scans",
            Effect::LosesData => "loses data",
        })
    }
}

/// Something in a statement that production may suffer from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hazard {
    /// The name of the rule: one of [`HAZARD_RULES`].
    pub rule: &'static str,
    /// The step, as in the plan.
    pub step: String,
    /// The statement's number in its file, counted from 1; none for what is not about a statement.
    pub statement: Option<usize>,
    /// Where it begins, in the file as the user wrote it. In JSON `path`, `line` and `column`.
    #[serde(flatten, serialize_with = "place")]
    pub location: Location,
    /// The relation, or the schema, type or the like, as `schema.name`, folded and without quotes; without schema when
    /// the statement names none.
    pub relation: Option<String>,
    /// What will happen: one sentence without full stop.
    pub message: String,
    /// What to do instead.
    pub advice: Option<&'static str>,
    /// Who is blocked and what happens to the data; none for what was not read and for an `allow` that allows nothing.
    pub effects: &'static [Effect],
    /// The reason that `-- pum: allow` gives.
    pub allowed: Option<String>,
}

fn place<S: Serializer>(location: &Location, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Place<'a> {
        path: std::borrow::Cow<'a, str>,
        line: usize,
        column: usize,
    }
    let place = Place {
        path: location.path.to_string_lossy(),
        line: location.line,
        column: location.column,
    };
    place.serialize(serializer)
}

/// What the static reading of a plan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hazards {
    /// In the order of the steps and of their statements; of each file the first 1,000.
    pub told: Vec<Hazard>,
    /// How many more there are.
    pub more: usize,
}

/// Reads the files of a plan, one statement after the other, and tells what production may suffer from. What it cannot
/// read it says with the rule `unread`: a Python delta, a text that the parser does not know, EXECUTE in a DO block. Calls
/// of functions are not followed.
///
/// # Errors
/// A file cannot be read, is no sound SQL file, or changes meanwhile, as [`Script::open`](crate::Script::open) and
/// [`Statements::next`](crate::Statements::next) say. What stands in a statement is no error.
pub fn hazards(plan: &Plan, options: &UpgradeOptions) -> Result<Hazards> {
    // The parser recurses: it gets a stack on which no statement overflows.
    std::thread::scope(|scope| {
        let reading = std::thread::Builder::new()
            .stack_size(reading::STACK)
            .spawn_scoped(scope, || read_all(plan, options))
            .map_err(|error| Error::io("cannot start a thread to read the deltas", &error))?;
        reading
            .join()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "the reading of the deltas broke off")))
    })
}

fn read_all(plan: &Plan, options: &UpgradeOptions) -> Result<Hazards> {
    let mut known = Known::default();
    let mut hazards = Hazards::default();
    for step in &plan.steps {
        known.next_step(options.single_transaction);
        let mut file = File {
            step: step.to_string(),
            told: Vec::new(),
            more: 0,
        };
        match step.language() {
            Language::Sql => file.read(step, options, &mut known)?,
            Language::Python => file.tell(Hazard {
                rule: rules::UNREAD.name,
                step: file.step.clone(),
                statement: None,
                location: Location {
                    path: step.path().to_path_buf(),
                    line: 1,
                    column: 1,
                    text: String::new(),
                },
                relation: None,
                message: "not read: it is written in Python".to_owned(),
                advice: None,
                effects: &[],
                allowed: None,
            }),
        }
        hazards.told.append(&mut file.told);
        hazards.more += file.more;
    }
    Ok(hazards)
}

/// One file of the plan.
struct File {
    step: String,
    told: Vec<Hazard>,
    more: usize,
}

impl File {
    fn read(&mut self, step: &Step, options: &UpgradeOptions, known: &mut Known) -> Result<()> {
        let mut statements = Statements::of_file(step.path(), &options.variables)?;
        let mut of_file: Vec<Allowed> = Vec::new();
        while let Some(statement) = statements.next()? {
            if statement.number() == 1 {
                of_file = self.allowed(statements.file_allowances(), None);
            }
            if statements.no_transaction() {
                known.next_transaction();
            }
            let mut allowed = self.allowed(statement.allowances(), Some(statement.number()));
            if !reading::worth_reading(statement.words()) {
                continue;
            }
            let found = reading::read(&statement.code(), known);
            allowed.extend(of_file.iter().cloned());
            for found in found {
                self.tell(of_statement(&self.step, &statement, &found, &allowed));
            }
        }
        let leftover = statements.last_allowances().to_vec();
        for allowance in &leftover {
            self.bad_allow(allowance, None, "no statement follows it".to_owned());
        }
        Ok(())
    }

    fn tell(&mut self, hazard: Hazard) {
        if self.told.len() < TOLD {
            self.told.push(hazard);
        } else {
            self.more += 1;
        }
    }

    /// Those of the comments that name a rule and give a reason; the others are told.
    fn allowed(&mut self, allowances: &[Allowance], statement: Option<usize>) -> Vec<Allowed> {
        let mut allowed = Vec::new();
        for allowance in allowances {
            let (name, reason) = allowance
                .text
                .split_once(char::is_whitespace)
                .unwrap_or((&allowance.text, ""));
            let reason = reason.trim();
            let known = rules::rule(name).filter(|rule| rule.name != rules::BAD_ALLOW.name);
            match known {
                None => {
                    let names: Vec<&str> = HAZARD_RULES.iter().map(|rule| rule.name).collect();
                    let names = names.iter().filter(|name| **name != rules::BAD_ALLOW.name);
                    let names: Vec<&str> = names.copied().collect();
                    let why = format!("there is no rule {name:?}; the rules are {}", names.join(", "));
                    self.bad_allow(allowance, statement, why);
                }
                Some(rule) if reason.is_empty() => {
                    let why = format!("it gives no reason; write `-- pum: allow {} reason`", rule.name);
                    self.bad_allow(allowance, statement, why);
                }
                Some(rule) => allowed.push(Allowed {
                    rule: rule.name,
                    reason: reason.to_owned(),
                }),
            }
        }
        allowed
    }

    fn bad_allow(&mut self, allowance: &Allowance, statement: Option<usize>, why: String) {
        self.tell(Hazard {
            rule: rules::BAD_ALLOW.name,
            step: self.step.clone(),
            statement,
            location: allowance.location.clone(),
            relation: None,
            message: format!("this `-- pum: allow` allows nothing: {why}"),
            advice: None,
            effects: &[],
            allowed: None,
        });
    }
}

#[derive(Debug, Clone)]
struct Allowed {
    rule: &'static str,
    reason: String,
}

fn of_statement(step: &str, statement: &Statement, found: &Found, allowed: &[Allowed]) -> Hazard {
    let allowed = allowed.iter().find(|allowed| allowed.rule == found.rule.name);
    Hazard {
        rule: found.rule.name,
        step: step.to_owned(),
        statement: Some(statement.number()),
        location: statement.location_of_code(found.at),
        relation: found.relation.as_ref().map(ToString::to_string),
        message: found.message_of(),
        advice: found.rule.instead,
        effects: found.effects_of(),
        allowed: allowed.map(|allowed| allowed.reason.clone()),
    }
}
