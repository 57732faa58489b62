//! One statement read: what squawk finds in it, what pum finds beside, less what is known not to be so.

use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_linter::{Linter, Rule as Squawk};
use squawk_syntax::ast::{self, AstNode, NameLike};
use squawk_syntax::{Parse, SourceFile, SyntaxKind, SyntaxNode};

use super::Effect::{self, BlocksWriters, Scans};
use super::known::{Known, Name};
use super::rules::{self, HAZARD_RULES, HazardRule, of_squawk};

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
    part: Option<String>,
    /// Where they are fewer than those of the rule.
    effects: Option<&'static [Effect]>,
    /// In place of what the rule says.
    message: Option<String>,
}

impl Found {
    fn new(rule: &'static HazardRule, node: &SyntaxNode, relation: Option<Name>) -> Found {
        Found {
            rule,
            at: start(node),
            relation,
            part: None,
            effects: None,
            message: None,
        }
    }

    fn unread(at: usize, why: &str) -> Found {
        Found {
            rule: rules::UNREAD,
            at,
            relation: None,
            part: None,
            effects: None,
            message: Some(format!("not read: {why}")),
        }
    }

    fn part(mut self, part: impl Into<String>) -> Found {
        self.part = Some(part.into());
        self
    }

    fn effects(mut self, effects: &'static [Effect]) -> Found {
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
            self.rule.say(relation.as_deref().unwrap_or("the table"), part)
        })
    }
}

/// Whether a statement that begins with these words (in capitals) can be a hazard, or change what is known of names.
/// All others are not parsed at all: rows by the million come as INSERT and COPY.
pub(super) fn worth_reading(mut words: impl Iterator<Item = String>) -> bool {
    let first = words.next().unwrap_or_default();
    match first.as_str() {
        "DO" | "TRUNCATE" | "VACUUM" | "CLUSTER" | "REFRESH" | "REINDEX" | "LOCK" => true,
        "SET" => words.take(2).any(|word| word == "SEARCH_PATH"),
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

fn of_statement(parse: &Parse<SourceFile>, code: &str, statement: &ast::Stmt, known: &Known) -> Vec<Found> {
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
    let each = |nodes: Vec<SyntaxNode>| -> Vec<Found> {
        nodes
            .iter()
            .map(|node| Found::new(rule, node, Name::of(node)))
            .collect()
    };
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
        ast::Stmt::DropIndex(drop) => each(syntax(drop.index_refs())),
        ast::Stmt::DropTable(drop) => each(syntax(drop.table_name_refs())),
        ast::Stmt::Truncate(truncate) => each(syntax(
            truncate
                .table_list()
                .into_iter()
                .flat_map(|list| list.table_relation_names()),
        )),
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
        ast::Stmt::DropType(drop) if cascades(drop.drop_behavior()) => each(syntax(drop.type_name_refs())),
        ast::Stmt::DropDomain(drop) if cascades(drop.drop_behavior()) => each(syntax(drop.domain_refs())),
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

/// What pum finds where squawk has no rule.
fn own(statement: &ast::Stmt, known: &Known) -> Vec<Found> {
    let each = |rule: &'static HazardRule, nodes: Vec<SyntaxNode>| -> Vec<Found> {
        nodes
            .iter()
            .map(|node| Found::new(rule, node, Name::of(node)))
            .collect()
    };
    let mut found = Vec::new();
    // DELETE and UPDATE stand in WITH too.
    for node in statement.syntax().descendants() {
        if let Some(delete) = ast::Delete::cast(node.clone())
            && delete.where_clause_or_current_of().is_none()
        {
            let table = delete.relation_name().and_then(|table| Name::of(table.syntax()));
            found.push(Found::new(rules::DELETING_ALL, &node, table));
        } else if let Some(update) = ast::Update::cast(node) {
            found.extend(of_update(&update, known));
        }
    }
    match statement {
        ast::Stmt::AlterTable(alter) => found.extend(of_alter_table(alter, known)),
        ast::Stmt::CreateTable(create) => {
            let parent = create.partition_of().and_then(|of| of.table_name_ref());
            found.extend(
                parent.map(|parent| Found::new(rules::CREATING_PARTITION, create.syntax(), Name::of(parent.syntax()))),
            );
        }
        ast::Stmt::Truncate(truncate) if !cascades(truncate.drop_behavior()) => {
            let tables = truncate
                .table_list()
                .into_iter()
                .flat_map(|list| list.table_relation_names());
            found.extend(each(rules::TRUNCATING, syntax(tables)));
        }
        ast::Stmt::Vacuum(vacuum) if vacuum.is_full() => match vacuum.table_and_columns_list() {
            Some(tables) => found.extend(each(rules::VACUUM_FULL, syntax(tables.table_and_columnss()))),
            None => found.push(whole_database(rules::VACUUM_FULL, vacuum.syntax())),
        },
        ast::Stmt::Cluster(cluster) => {
            let legacy = cluster.cluster_legacy().and_then(|legacy| legacy.on_path());
            let table = cluster
                .table_name_ref()
                .or_else(|| legacy.and_then(|on| on.table_name_ref()));
            match table {
                Some(table) => found.push(Found::new(rules::CLUSTER, cluster.syntax(), Name::of(table.syntax()))),
                None => found.push(whole_database(rules::CLUSTER, cluster.syntax())),
            }
        }
        ast::Stmt::Refresh(refresh) if refresh.concurrently_token().is_none() => {
            let view = refresh.view_ref().and_then(|view| Name::of(view.syntax()));
            found.push(Found::new(rules::REFRESHING, refresh.syntax(), view));
        }
        ast::Stmt::Lock(lock) => found.extend(of_lock(lock)),
        ast::Stmt::DropOwned(drop) => {
            let roles = drop.role_ref_list().into_iter().flat_map(|list| list.role_refs());
            found.extend(alone(rules::DROPPING_OWNED, syntax(roles)));
        }
        ast::Stmt::Do(block) => found.extend(of_do(block, known)),
        _ => {}
    }
    found
}

fn of_update(update: &ast::Update, known: &Known) -> Option<Found> {
    if update.where_clause_or_current_of().is_some() {
        return None;
    }
    let table = update.relation_name().and_then(|table| Name::of(table.syntax()));
    let targets = update
        .set_clause()?
        .syntax()
        .descendants()
        .filter_map(ast::ColumnTarget::cast);
    let columns: Vec<String> = targets
        .filter_map(|target| target.name())
        .map(|name| name.text())
        .collect();
    let new = table
        .as_ref()
        .is_some_and(|table| columns.iter().all(|column| known.added(table, column)));
    let rule = if new { rules::FILLING_ALL } else { rules::UPDATING_ALL };
    Some(Found::new(rule, update.syntax(), table).part(columns.join(", ")))
}

fn of_alter_table(alter: &ast::AlterTable, known: &Known) -> Vec<Found> {
    let relation = alter.table_relation_name().and_then(|table| Name::of(table.syntax()));
    let mut found = Vec::new();
    for action in alter.actions() {
        let new = |rule| Found::new(rule, action.syntax(), relation.clone());
        match &action {
            ast::AlterTableAction::AddColumn(add) => found.extend(of_added_column(add, relation.clone())),
            ast::AlterTableAction::AddConstraint(add) => {
                if let Some(ast::Constraint::ExcludeConstraint(_)) = add.constraint() {
                    found.push(new(rules::ADDING_EXCLUSION));
                }
            }
            ast::AlterTableAction::ValidateConstraint(validate) => {
                let constraint = validate.constraint_name_ref().and_then(|name| Name::of(name.syntax()));
                let added = relation
                    .as_ref()
                    .zip(constraint)
                    .and_then(|(relation, constraint)| known.added_not_valid(relation, constraint.last()));
                match added {
                    Some(added) if added.blocks_readers => found.push(new(rules::VALIDATING)),
                    Some(_) => found.push(new(rules::VALIDATING).effects(&[BlocksWriters, Scans])),
                    None => {}
                }
            }
            ast::AlterTableAction::AttachPartition(attach) => {
                let partition = attach.table_name_ref().and_then(|table| Name::of(table.syntax()));
                found.push(Found::new(rules::ATTACHING_PARTITION, action.syntax(), partition));
            }
            ast::AlterTableAction::SetLogged(_)
            | ast::AlterTableAction::SetUnlogged(_)
            | ast::AlterTableAction::SetTablespace(_)
            | ast::AlterTableAction::SetAccessMethod(_) => found.push(new(rules::REWRITING)),
            _ => {}
        }
    }
    found
}

/// One finding at most for what a new column brings beside its default, UNIQUE and PRIMARY KEY.
fn of_added_column(add: &ast::AddColumn, relation: Option<Name>) -> Option<Found> {
    let type_name = add.ty().and_then(|ty| Name::of(ty.syntax()));
    let serial = type_name.is_some_and(|name| {
        let serials = ["serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"];
        serials.contains(&name.last())
    });
    if serial {
        return Some(Found::new(rules::ADDING_SERIAL, add.syntax(), relation).part(column_of(add)));
    }
    let filled = add.constraints().any(|constraint| match constraint {
        ast::Constraint::DefaultConstraint(default) => {
            let null = |expression: ast::Expr| {
                matches!(expression, ast::Expr::Literal(literal) if matches!(literal.kind(), Some(ast::LitKind::Null(_))))
            };
            !default.expr().is_some_and(null)
        }
        ast::Constraint::GeneratedConstraint(_) => true,
        _ => false,
    });
    let checked = add.constraints().any(|constraint| match constraint {
        ast::Constraint::CheckConstraint(_) => is_checked(&constraint),
        // A column that is null in every row refers to nothing, and PostgreSQL knows.
        ast::Constraint::ReferencesConstraint(_) => filled && is_checked(&constraint),
        _ => false,
    });
    checked.then(|| Found::new(rules::ADDING_COLUMN_WITH_CHECK, add.syntax(), relation).part(column_of(add)))
}

fn of_lock(lock: &ast::Lock) -> Vec<Found> {
    let mode = lock.lock_mode_clause().and_then(|clause| clause.lock_mode());
    let (effects, who): (&'static [Effect], &str) = match mode {
        None | Some(ast::LockMode::AccessExclusive(_)) => (rules::LOCKING.effects, "reads or writes"),
        Some(ast::LockMode::Exclusive(_) | ast::LockMode::Share(_) | ast::LockMode::ShareRowExclusive(_)) => {
            (&[BlocksWriters], "writes to")
        }
        Some(_) => return Vec::new(),
    };
    let relations = lock.relation_list().into_iter().flat_map(|list| list.relation_names());
    relations
        .map(|relation| {
            let name = Name::of(relation.syntax());
            let message = name
                .as_ref()
                .map(|name| format!("nobody {who} {name} until the transaction ends"));
            Found {
                message,
                ..Found::new(rules::LOCKING, relation.syntax(), name).effects(effects)
            }
        })
        .collect()
}

/// The statements in a DO block, as if every branch ran. What it puts together at run time cannot be read.
fn of_do(block: &ast::Do, known: &Known) -> Vec<Found> {
    let at = start(block.syntax());
    let Some(body) = block.plpgsql() else {
        return vec![Found::unread(at, "the body of this DO")];
    };
    let mut found = Vec::new();
    let mut unread: Option<Found> = None;
    let mut explained = false;
    for node in body.syntax().descendants() {
        let place = || usize::from(body.source_range(node.text_range()).start());
        match node.kind() {
            SyntaxKind::PLPGSQL_EXEC_SQL_STMT => {
                let Some(statement) = node.children().next() else {
                    continue;
                };
                let text = statement.text().to_string();
                let parse = SourceFile::parse(&text);
                for inner in parse.tree().stmts() {
                    let at = usize::from(body.source_range(statement.text_range()).start());
                    let inner = of_statement(&parse, &text, &inner, known);
                    found.extend(inner.into_iter().map(|found| Found { at, ..found }));
                }
            }
            SyntaxKind::PLPGSQL_DYN_EXECUTE_STMT
            | SyntaxKind::PLPGSQL_FOR_DYN_STMT
            | SyntaxKind::PLPGSQL_OPEN_EXECUTE
            | SyntaxKind::PLPGSQL_RETURN_QUERY_EXECUTE_STMT => {
                unread.get_or_insert_with(|| {
                    Found::unread(place(), "EXECUTE runs a text that is known at run time only")
                });
            }
            SyntaxKind::PLPGSQL_DO_STMT => {
                unread.get_or_insert_with(|| Found::unread(place(), "a DO inside of a DO"));
            }
            SyntaxKind::ERROR => {
                explained = true;
                // The parser stumbles over `SELECT ... INTO variable`, which is no hazard.
                let first = node.first_token().map(|token| token.kind());
                if first != Some(SyntaxKind::SELECT_KW) {
                    unread.get_or_insert_with(|| Found::unread(place(), "pum does not understand this statement"));
                }
            }
            _ => {}
        }
    }
    if !explained && !body.errors().is_empty() {
        unread.get_or_insert_with(|| Found::unread(at, "pum does not understand the body of this DO"));
    }
    found.extend(unread);
    found
}

enum Volatile {
    Yes,
    No,
    /// It hangs on this function.
    If(String),
}

/// Functions that give another value for each row and are often a default.
const VOLATILE: &[&str] = &[
    "nextval",
    "random",
    "random_normal",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "clock_timestamp",
    "timeofday",
];

/// Whether a default is computed anew for each row.
fn volatile(expression: &ast::Expr) -> Volatile {
    let mut doubt = Volatile::No;
    for call in expression.syntax().descendants().filter_map(ast::CallExpr::cast) {
        // Forms of the grammar such as extract() and coalesce() are not volatile.
        let Some(function) = call.expr() else {
            continue;
        };
        let name = function.syntax().descendants().filter_map(ast::NameRef::cast).last();
        let Some(name) = name.map(|name| name.text()) else {
            continue;
        };
        if VOLATILE.contains(&name.as_str()) {
            return Volatile::Yes;
        }
        if !squawk_knows_as_not_volatile(&name) {
            doubt = Volatile::If(name);
        }
    }
    doubt
}

/// Squawk has the list of PostgreSQL's own functions that are not volatile, but asks it for calls without arguments
/// only.
fn squawk_knows_as_not_volatile(function: &str) -> bool {
    let plain = function
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let text = format!("alter table t add c int default {function}();");
    let parse = SourceFile::parse(&text);
    plain
        && parse.errors().is_empty()
        && Linter::from([Squawk::AddingFieldWithDefault])
            .lint(&parse, &text)
            .is_empty()
}

/// Whether the rows that are there are checked: neither NOT VALID nor NOT ENFORCED.
fn is_checked(constraint: &ast::Constraint) -> bool {
    !constraint.constraint_options().any(|option| {
        matches!(
            option,
            ast::ConstraintOption::NotValid(_) | ast::ConstraintOption::NotEnforced(_)
        )
    })
}

fn column_of(add: &ast::AddColumn) -> String {
    add.column_name().map(|name| name.text()).unwrap_or_default()
}

fn cascades(behavior: Option<ast::DropBehavior>) -> bool {
    matches!(behavior, Some(ast::DropBehavior::Cascade(_)))
}

fn whole_database(rule: &'static HazardRule, node: &SyntaxNode) -> Found {
    Found {
        message: Some(
            rule.say("a table", "")
                .replacen("nobody", "one table after the other: nobody", 1),
        ),
        ..Found::new(rule, node, None)
    }
}

/// One finding for each name that is in no schema.
fn alone(rule: &'static HazardRule, nodes: Vec<SyntaxNode>) -> Vec<Found> {
    nodes
        .iter()
        .map(|node| Found::new(rule, node, Some(Name::alone(node))))
        .collect()
}

fn syntax<N: AstNode>(nodes: impl Iterator<Item = N>) -> Vec<SyntaxNode> {
    nodes.map(|node| node.syntax().clone()).collect()
}

/// Where the first token of a node begins that is no white space.
fn start(node: &SyntaxNode) -> usize {
    let first = node
        .children_with_tokens()
        .find(|child| !matches!(child.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT));
    usize::from(
        first
            .map_or_else(|| node.text_range(), |child| child.text_range())
            .start(),
    )
}
