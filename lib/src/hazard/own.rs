//! What pum finds where squawk has no rule.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, NameLike};
use squawk_syntax::{SourceFile, SyntaxKind};

use super::Effect::{self, BlocksWriters, Scans};
use super::known::{Known, Name};
use super::reading::{Found, alone, cascades, column_of, each, is_checked, of_statement, start, syntax};
use super::rules::{self, HazardRule};

/// All of it in one statement.
pub(super) fn own(statement: &ast::Stmt, known: &Known) -> Vec<Found> {
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
pub(super) fn of_do(block: &ast::Do, known: &mut Known) -> Vec<Found> {
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
                    let of_inner = of_statement(&parse, &text, &inner, known);
                    found.extend(of_inner.into_iter().map(|found| Found { at, ..found }));
                    if runs_always(&node) {
                        known.learn(&inner);
                    }
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

/// Whether a statement of a DO block is in no branch, loop or block of its own, and under no exception handler.
fn runs_always(statement: &SyntaxNode) -> bool {
    let block = statement.ancestors().skip(1).find_map(ast::PlpgsqlBlock::cast);
    let body = statement.parent();
    block.is_some_and(|block| {
        let outermost = block
            .syntax()
            .parent()
            .is_some_and(|parent| parent.kind() == SyntaxKind::PLPGSQL);
        let direct = block.body().map(|body| body.syntax().clone()) == body;
        outermost && direct && block.exception().is_none()
    })
}

fn whole_database(rule: &'static HazardRule, node: &SyntaxNode) -> Found {
    Found {
        message: Some(
            rule.sentence("a table", "")
                .replacen("nobody", "one table after the other: nobody", 1),
        ),
        ..Found::new(rule, node, None)
    }
}
