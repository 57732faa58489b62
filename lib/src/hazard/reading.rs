//! One statement read: what squawk finds in it, what pum finds beside, less what is known not to be so.

use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_linter::{Linter, Rule as Squawk};
use squawk_syntax::ast::{self, AstNode, NameLike};
use squawk_syntax::{Parse, SourceFile, SyntaxKind, SyntaxNode};

use super::Effect;
use super::known::{Known, Name};
use super::own::{of_do, own};
use super::rules::{self, HAZARD_RULES, HazardRule, of_squawk};
use super::volatile::{Volatile, volatile};

/// Bytes of a statement that are read at most: the parser recurses, and keeps a tree some 50 times as large.
const LONGEST: usize = 64 * 1024;
/// The stack in which [`LONGEST`] bytes of opening parentheses are read, in a build without optimisation too.
pub(super) const STACK: usize = 192 * 1024 * 1024;

/// What was found at a byte of a statement.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) rule: &'static HazardRule,
    pub(super) at: usize,
    pub(super) relation: Option<Name>,
    /// The column, or the like.
    pub(super) part: Option<String>,
    /// Where they are fewer than those of the rule.
    pub(super) effects: Option<&'static [Effect]>,
    /// In place of what the rule says.
    pub(super) message: Option<String>,
}

impl Found {
    pub(super) fn new(rule: &'static HazardRule, node: &SyntaxNode, relation: Option<Name>) -> Found {
        Found {
            rule,
            at: start(node),
            relation,
            part: None,
            effects: None,
            message: None,
        }
    }

    pub(super) fn unread(at: usize, why: &str) -> Found {
        Found {
            rule: rules::UNREAD,
            at,
            relation: None,
            part: None,
            effects: None,
            message: Some(format!("not read: {why}")),
        }
    }

    pub(super) fn part(mut self, part: impl Into<String>) -> Found {
        self.part = Some(part.into());
        self
    }

    pub(super) fn effects(mut self, effects: &'static [Effect]) -> Found {
        self.effects = Some(effects);
        self
    }

    pub(super) fn effects_of(&self) -> &'static [Effect] {
        self.effects.unwrap_or(self.rule.effects)
    }

    pub(super) fn message_of(&self) -> String {
        self.message.clone().unwrap_or_else(|| {
            let relation = self.relation.as_ref().map(Name::to_string);
            let part = self.part.as_deref().unwrap_or("the column");
            self.rule.sentence(relation.as_deref().unwrap_or("the table"), part)
        })
    }
}

/// Whether a statement that begins with these words (in capitals) can be a hazard, or change what is known of names.
/// All others are not parsed at all: rows by the million come as INSERT and COPY.
pub(super) fn worth_reading(mut words: impl Iterator<Item = String>) -> bool {
    let first = words.next().unwrap_or_default();
    match first.as_str() {
        // What WITH holds stands in parentheses, of which nothing is seen here.
        "DO" | "TRUNCATE" | "VACUUM" | "CLUSTER" | "REFRESH" | "REINDEX" | "LOCK" | "WITH" => true,
        "SET" => words.take(2).any(|word| word == "SEARCH_PATH"),
        "SELECT" => words.any(|word| word == "INTO"),
        "DELETE" | "UPDATE" => !words.any(|word| word == "WHERE"),
        "CREATE" => {
            let kind = words.find(|word| {
                let before = [
                    "OR",
                    "REPLACE",
                    "UNIQUE",
                    "GLOBAL",
                    "LOCAL",
                    "TEMP",
                    "TEMPORARY",
                    "UNLOGGED",
                ];
                !before.contains(&word.as_str())
            });
            kind.is_some_and(|kind| ["TABLE", "INDEX", "SCHEMA", "MATERIALIZED"].contains(&kind.as_str()))
        }
        "ALTER" => words.next().is_some_and(|kind| kind == "TABLE" || kind == "DOMAIN"),
        "DROP" => words.next().is_some_and(|kind| {
            let dangerous = [
                "TABLE",
                "INDEX",
                "SCHEMA",
                "DATABASE",
                "EXTENSION",
                "TYPE",
                "DOMAIN",
                "OWNED",
            ];
            dangerous.contains(&kind.as_str())
        }),
        _ => false,
    }
}

/// Reads one statement, without comments, and remembers what it makes. Nothing in a text makes this fail.
pub(super) fn read(code: &str, known: &mut Known) -> Vec<Found> {
    if code.len() > LONGEST {
        return vec![Found::unread(
            0,
            &format!("the statement is longer than {LONGEST} bytes"),
        )];
    }
    // The parser gives up on what confuses it in a panic.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let parse = SourceFile::parse(code);
        if !parse.errors().is_empty() {
            return None;
        }
        let mut found = Vec::new();
        for statement in parse.tree().stmts() {
            found.extend(of_statement(&parse, code, &statement, known));
            known.learn(&statement);
        }
        Some(found)
    }));
    match outcome {
        Ok(Some(found)) => found,
        _ => vec![Found::unread(0, "pum does not understand this statement")],
    }
}

pub(super) fn of_statement(
    parse: &Parse<SourceFile>,
    code: &str,
    statement: &ast::Stmt,
    known: &mut Known,
) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut linter = Linter::from(HAZARD_RULES.iter().filter_map(|rule| rule.squawk));
    for violation in linter.lint(parse, code) {
        if let Some(rule) = of_squawk(violation.code) {
            let at = usize::from(violation.text_range.start());
            found.extend(of_violation(rule, violation.code, at, statement, known));
        }
    }
    found.extend(own(statement, known));
    found.retain(|found| {
        !found
            .relation
            .as_ref()
            .is_some_and(|name| in_the_making(found.rule, name, known))
    });
    // A DO block goes on to learn while it is read, and has left out by itself what it made.
    if let ast::Stmt::Do(block) = statement {
        found.extend(of_do(block, known));
    }
    found.sort_by_key(|found| found.at);
    found
}

/// Whether the run itself has made what the rule speaks of.
fn in_the_making(rule: &HazardRule, name: &Name, known: &Known) -> bool {
    if rule.name == rules::DROPPING_SCHEMA.name || rule.name == rules::REINDEXING.name {
        return known.made_schema(name) || known.made(name);
    }
    known.made(name)
}

/// What a finding of squawk comes to: nothing where squawk is too strict or a rule of pum says it better, and one for
/// each relation that is named.
fn of_violation(
    rule: &'static HazardRule,
    code: Squawk,
    at: usize,
    statement: &ast::Stmt,
    known: &Known,
) -> Vec<Found> {
    match statement {
        ast::Stmt::AlterTable(alter) => {
            let action = alter.actions().find(|action| {
                let range = action.syntax().text_range();
                (usize::from(range.start())..usize::from(range.end())).contains(&at)
            });
            let relation = alter.table_relation_name().and_then(|table| Name::of(table.syntax()));
            action
                .and_then(|action| of_action(rule, code, at, &action, relation, known))
                .into_iter()
                .collect()
        }
        ast::Stmt::CreateIndex(create) => {
            let table = create.table_relation_name();
            // ON ONLY makes an index without rows, for those of the partitions to be attached to.
            match table {
                Some(table) if table.only_token().is_some() => Vec::new(),
                Some(table) => vec![Found::new(rule, create.syntax(), Name::of(table.syntax()))],
                None => Vec::new(),
            }
        }
        ast::Stmt::DropIndex(drop) => each(rule, syntax(drop.index_refs())),
        ast::Stmt::DropTable(drop) => each(rule, syntax(drop.table_name_refs())),
        ast::Stmt::Truncate(truncate) => each(
            rule,
            syntax(
                truncate
                    .table_list()
                    .into_iter()
                    .flat_map(|list| list.table_relation_names()),
            ),
        ),
        ast::Stmt::Reindex(reindex) => {
            let target = reindex.reindex_target();
            let name = target.and_then(|target| {
                let node = target.syntax().children().next()?;
                Some(Name::of(&node).unwrap_or_else(|| Name::alone(&node)))
            });
            vec![Found::new(rule, reindex.syntax(), name)]
        }
        ast::Stmt::DropSchema(drop) if cascades(drop.drop_behavior()) => alone(rule, syntax(drop.schema_refs())),
        ast::Stmt::DropExtension(drop) if cascades(drop.drop_behavior()) => alone(rule, syntax(drop.extension_refs())),
        ast::Stmt::DropType(drop) if cascades(drop.drop_behavior()) => each(rule, syntax(drop.type_name_refs())),
        ast::Stmt::DropDomain(drop) if cascades(drop.drop_behavior()) => each(rule, syntax(drop.domain_refs())),
        ast::Stmt::DropDatabase(drop) => alone(rule, syntax(drop.database_ref().into_iter())),
        ast::Stmt::AlterDomain(alter) => match alter.action() {
            Some(ast::AlterDomainAction::AddConstraint(add))
                if add.constraint().is_some_and(|constraint| is_checked(&constraint)) =>
            {
                let domain = alter.domain_ref().and_then(|domain| Name::of(domain.syntax()));
                vec![Found::new(rule, add.syntax(), domain)]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn of_action(
    rule: &'static HazardRule,
    code: Squawk,
    at: usize,
    action: &ast::AlterTableAction,
    relation: Option<Name>,
    known: &Known,
) -> Option<Found> {
    let found = Found::new(rule, action.syntax(), relation.clone());
    match (code, action) {
        (Squawk::AddingFieldWithDefault, ast::AlterTableAction::AddColumn(add)) => {
            let constraint = add
                .constraints()
                .find(|constraint| usize::from(constraint.syntax().text_range().end()) > at)?;
            let found = found.part(column_of(add));
            match constraint {
                ast::Constraint::DefaultConstraint(default) => match volatile(&default.expr()?) {
                    Volatile::No => None,
                    Volatile::Yes => Some(found),
                    Volatile::If(function) => Some(Found {
                        message: Some(format!(
                            "{}, if the function {function} is volatile, as functions are unless they say otherwise",
                            found.message_of()
                        )),
                        ..found
                    }),
                },
                ast::Constraint::GeneratedConstraint(generated) => match generated.generated_as()? {
                    ast::GeneratedAs::GeneratedIdentity(_) => Some(found),
                    // Without a word the column is virtual, since 18; before, the word was needed.
                    ast::GeneratedAs::GeneratedStored(stored) => {
                        matches!(stored.generated_kind(), Some(ast::GeneratedKind::Stored(_))).then_some(found)
                    }
                },
                _ => None,
            }
        }
        // In ADD COLUMN they are told as ADDING_COLUMN_WITH_CHECK.
        (Squawk::AddingForeignKeyConstraint, ast::AlterTableAction::AddConstraint(add)) => {
            is_checked(&add.constraint()?).then_some(found)
        }
        (Squawk::AddingForeignKeyConstraint, _) => None,
        (Squawk::ConstraintMissingNotValid, ast::AlterTableAction::AddConstraint(add)) => {
            let constraint = add.constraint()?;
            match &constraint {
                ast::Constraint::CheckConstraint(_) => is_checked(&constraint).then_some(found),
                ast::Constraint::NotNullConstraint(not_null) => {
                    let column = not_null.column_name_ref()?.text();
                    let proven = relation.is_some_and(|relation| known.cannot_be_null(&relation, &column));
                    (is_checked(&constraint) && !proven).then_some(found)
                }
                // Rules of their own tell of the others.
                _ => None,
            }
        }
        (Squawk::AddingNotNullableField, ast::AlterTableAction::AlterColumn(alter)) => {
            let column = alter.column_name_ref()?.text();
            let proven = relation.is_some_and(|relation| known.cannot_be_null(&relation, &column));
            (!proven).then(|| found.part(column))
        }
        (Squawk::ChangingColumnType, ast::AlterTableAction::AlterColumn(alter)) => {
            Some(found.part(alter.column_name_ref()?.text()))
        }
        (Squawk::BanDropColumn, ast::AlterTableAction::DropColumn(drop)) => {
            let column = drop.column_name_ref()?.text();
            let added = relation.is_some_and(|relation| known.added(&relation, &column));
            (!added).then(|| found.part(column))
        }
        _ => Some(found),
    }
}

/// Whether the rows that are there are checked: neither NOT VALID nor NOT ENFORCED.
pub(super) fn is_checked(constraint: &ast::Constraint) -> bool {
    !constraint.constraint_options().any(|option| {
        matches!(
            option,
            ast::ConstraintOption::NotValid(_) | ast::ConstraintOption::NotEnforced(_)
        )
    })
}

pub(super) fn column_of(add: &ast::AddColumn) -> String {
    add.column_name().map(|name| name.text()).unwrap_or_default()
}

pub(super) fn cascades(behavior: Option<ast::DropBehavior>) -> bool {
    matches!(behavior, Some(ast::DropBehavior::Cascade(_)))
}

/// One finding for each relation or the like.
pub(super) fn each(rule: &'static HazardRule, nodes: Vec<SyntaxNode>) -> Vec<Found> {
    nodes
        .iter()
        .map(|node| Found::new(rule, node, Name::of(node)))
        .collect()
}

/// One finding for each name that is in no schema.
pub(super) fn alone(rule: &'static HazardRule, nodes: Vec<SyntaxNode>) -> Vec<Found> {
    nodes
        .iter()
        .map(|node| Found::new(rule, node, Some(Name::alone(node))))
        .collect()
}

pub(super) fn syntax<N: AstNode>(nodes: impl Iterator<Item = N>) -> Vec<SyntaxNode> {
    nodes.map(|node| node.syntax().clone()).collect()
}

/// Where the first token of a node begins that is no white space.
pub(super) fn start(node: &SyntaxNode) -> usize {
    let first = node
        .children_with_tokens()
        .find(|child| !matches!(child.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT));
    usize::from(
        first
            .map_or_else(|| node.text_range(), |child| child.text_range())
            .start(),
    )
}
