//! What the run itself has made before a statement: nobody waits for it, and none of production's rows are in it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use squawk_syntax::ast::{self, AstNode, NameLike};
use squawk_syntax::{SyntaxKind, SyntaxNode};

/// The name of a relation, folded and without quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    schema: Option<String>,
    name: String,
}

impl Name {
    /// The name that stands in `node`, or the first of those.
    pub(super) fn of(node: &SyntaxNode) -> Option<Name> {
        let is_path = |node: &SyntaxNode| matches!(node.kind(), SyntaxKind::PATH | SyntaxKind::PATH_REF);
        let path = node.descendants().find(is_path)?;
        let is_segment =
            |node: &SyntaxNode| matches!(node.kind(), SyntaxKind::PATH_SEGMENT | SyntaxKind::PATH_SEGMENT_REF);
        let mut segments: Vec<String> = path
            .descendants()
            .filter(is_segment)
            .map(|segment| ast::normalize_name_node(&segment))
            .collect();
        let name = segments.pop()?;
        Some(Name {
            schema: segments.pop(),
            name,
        })
    }

    /// The name of something that is in no schema, such as a schema or an extension.
    pub(super) fn alone(node: &SyntaxNode) -> Name {
        Name {
            schema: None,
            name: ast::normalize_name_node(node),
        }
    }

    pub(super) fn last(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// How a constraint was added that is not valid yet.
#[derive(Debug, Clone)]
pub(super) struct NotValid {
    /// The column that cannot be null by it, when that is all that it says.
    not_null: Option<String>,
    /// Whether adding it keeps readers out too: every constraint but a foreign key does.
    pub(super) blocks_readers: bool,
    /// The transaction that added it.
    transaction: usize,
}

/// What earlier statements of the run have made.
///
/// A name without schema is the same only as itself, with the same `search_path`: where pum cannot know, it takes a
/// relation for one of production's.
#[derive(Debug, Default)]
pub(super) struct Known {
    relations: HashSet<Name>,
    temporary: HashSet<String>,
    schemas: HashSet<String>,
    columns: HashSet<(Name, String)>,
    not_valid: HashMap<(Name, String), NotValid>,
    /// Columns, or any column, that a validated constraint keeps from being null.
    not_null: HashSet<(Name, Option<String>)>,
    /// The schema that comes first in `search_path`, when a statement of this session has set it.
    first_schema: Option<String>,
    transaction: usize,
}

impl Known {
    /// Another file: a fresh session, and a transaction of its own unless it goes on in the same one.
    pub(super) fn next_step(&mut self, same_transaction: bool) {
        self.temporary.clear();
        self.first_schema = None;
        if !same_transaction {
            self.transaction += 1;
        }
    }

    /// A statement that is a transaction of its own.
    pub(super) fn next_transaction(&mut self) {
        self.transaction += 1;
    }

    /// With the schema that `search_path` puts first, when the name has none.
    fn full(&self, name: &Name) -> Name {
        Name {
            schema: name.schema.clone().or_else(|| self.first_schema.clone()),
            name: name.name.clone(),
        }
    }

    /// Whether the run has made this relation.
    pub(super) fn made(&self, name: &Name) -> bool {
        let temporary = name.schema.as_ref().is_none_or(|schema| schema == "pg_temp");
        let full = self.full(name);
        (temporary && self.temporary.contains(&name.name))
            || self.relations.contains(&full)
            || (name.schema.is_some() && full.schema.is_some_and(|schema| self.schemas.contains(&schema)))
    }

    /// Whether the run has made this schema.
    pub(super) fn made_schema(&self, name: &Name) -> bool {
        self.schemas.contains(&name.name)
    }

    /// Whether the run has added this column to the relation.
    pub(super) fn added(&self, name: &Name, column: &str) -> bool {
        self.columns.contains(&(self.full(name), column.to_owned()))
    }

    /// Whether a constraint that this run validated lets SET NOT NULL pass without reading. Of a constraint that was
    /// added before this run, nobody knows here what it says: the doubt is in the user's favour.
    pub(super) fn cannot_be_null(&self, name: &Name, column: &str) -> bool {
        let full = self.full(name);
        self.not_null.contains(&(full.clone(), Some(column.to_owned()))) || self.not_null.contains(&(full, None))
    }

    /// The constraint, when the transaction that is under way has added it.
    pub(super) fn added_not_valid(&self, name: &Name, constraint: &str) -> Option<&NotValid> {
        self.not_valid
            .get(&(self.full(name), constraint.to_owned()))
            .filter(|constraint| constraint.transaction == self.transaction)
    }

    /// Remembers what a statement makes, renames and drops.
    pub(super) fn learn(&mut self, statement: &ast::Stmt) {
        match statement {
            ast::Stmt::Set(set) => self.search_path(set.syntax()),
            ast::Stmt::CreateSchema(create) if create.if_not_exists().is_none() => {
                if let Some(schema) = create.schema_name() {
                    self.schemas.insert(ast::normalize_name_node(&schema));
                }
            }
            // IF NOT EXISTS may meet a table that is full.
            ast::Stmt::CreateTable(create) if create.if_not_exists().is_none() => {
                self.make(create.table_name(), create.persistence());
            }
            ast::Stmt::CreateTableAs(create) if create.if_not_exists().is_none() => {
                self.make(create.table_name(), create.persistence());
            }
            ast::Stmt::SelectInto(select) => {
                let into = select.into_clause();
                self.make(
                    into.as_ref().and_then(|into| into.table_name()),
                    into.and_then(|into| into.persistence()),
                );
            }
            ast::Stmt::CreateMaterializedView(create) if create.if_not_exists().is_none() => {
                self.make(create.view(), None);
            }
            ast::Stmt::CreateIndex(create) if create.if_not_exists().is_none() => {
                // The index lives in the schema of its table, and is new when the table is.
                let table = create
                    .table_relation_name()
                    .and_then(|table| Name::of(table.syntax()))
                    .filter(|table| self.made(table));
                let index = create.index().and_then(|index| Name::of(index.syntax()));
                if let (Some(table), Some(index)) = (table, index) {
                    self.relations.insert(Name {
                        schema: self.full(&table).schema,
                        name: index.name,
                    });
                }
            }
            ast::Stmt::DropTable(drop) => {
                for table in drop.table_name_refs() {
                    if let Some(name) = Name::of(table.syntax()) {
                        self.forget(&name);
                    }
                }
            }
            ast::Stmt::DropSchema(drop) => {
                for schema in drop.schema_refs() {
                    let schema = ast::normalize_name_node(schema.syntax());
                    self.relations.retain(|name| name.schema.as_ref() != Some(&schema));
                    self.schemas.remove(&schema);
                }
            }
            ast::Stmt::AlterTable(alter) => self.learn_changes(alter),
            _ => {}
        }
    }

    fn make(&mut self, name: Option<impl AstNode>, persistence: Option<ast::Persistence>) {
        let Some(name) = name.and_then(|name| Name::of(name.syntax())) else {
            return;
        };
        if matches!(persistence, Some(ast::Persistence::Temp(_))) {
            self.temporary.insert(name.name);
        } else {
            self.relations.insert(self.full(&name));
        }
    }

    fn forget(&mut self, name: &Name) {
        if name.schema.is_none() && self.temporary.remove(&name.name) {
            return;
        }
        let full = self.full(name);
        self.relations.remove(&full);
        self.columns.retain(|(table, _)| *table != full);
        self.not_valid.retain(|(table, _), _| *table != full);
        self.not_null.retain(|(table, _)| *table != full);
    }

    fn learn_changes(&mut self, alter: &ast::AlterTable) {
        let Some(name) = alter.table_relation_name().and_then(|table| Name::of(table.syntax())) else {
            return;
        };
        let full = self.full(&name);
        for action in alter.actions() {
            match action {
                ast::AlterTableAction::AddColumn(add) if add.if_not_exists().is_none() => {
                    if let Some(column) = add.column_name() {
                        self.columns.insert((full.clone(), column.text()));
                    }
                }
                ast::AlterTableAction::DropColumn(drop) => {
                    if let Some(column) = drop.column_name_ref() {
                        self.columns.remove(&(full.clone(), column.text()));
                    }
                }
                ast::AlterTableAction::RenameColumn(rename) => {
                    let mut names = rename.syntax().children().map(|name| ast::normalize_name_node(&name));
                    if let (Some(old), Some(new)) = (names.next(), names.next())
                        && self.columns.remove(&(full.clone(), old))
                    {
                        self.columns.insert((full.clone(), new));
                    }
                }
                ast::AlterTableAction::AddConstraint(add) => self.learn_constraint(&full, add.constraint()),
                ast::AlterTableAction::ValidateConstraint(validate) => {
                    let Some(constraint) = validate.constraint_name_ref().and_then(|name| Name::of(name.syntax()))
                    else {
                        continue;
                    };
                    match self.not_valid.get(&(full.clone(), constraint.name)) {
                        Some(NotValid { not_null: None, .. }) => {}
                        Some(NotValid { not_null, .. }) => {
                            self.not_null.insert((full.clone(), not_null.clone()));
                        }
                        None => {
                            self.not_null.insert((full.clone(), None));
                        }
                    }
                }
                ast::AlterTableAction::TableRenameTo(rename) => {
                    let new = rename.table_name().and_then(|new| Name::of(new.syntax()));
                    if let Some(new) = new {
                        self.moved(&full, full.schema.clone(), new.name);
                    }
                }
                ast::AlterTableAction::SetSchema(set) => {
                    let schema = set.schema_ref().map(|schema| schema.text());
                    self.moved(&full, schema, full.name.clone());
                }
                _ => {}
            }
        }
    }

    fn learn_constraint(&mut self, table: &Name, constraint: Option<ast::Constraint>) {
        let Some(constraint) = constraint.filter(ast::Constraint::is_not_valid) else {
            return;
        };
        let Some(name) = constraint.constraint_name() else {
            return;
        };
        let not_null = match &constraint {
            ast::Constraint::CheckConstraint(check) => check.expr().and_then(|expression| not_null_of(&expression)),
            ast::Constraint::NotNullConstraint(not_null) => not_null.column_name_ref().map(|column| column.text()),
            _ => None,
        };
        let foreign = matches!(constraint, ast::Constraint::ForeignKeyConstraint(_));
        self.not_valid.insert(
            (table.clone(), name.text()),
            NotValid {
                not_null,
                blocks_readers: !foreign,
                transaction: self.transaction,
            },
        );
    }

    fn moved(&mut self, old: &Name, schema: Option<String>, name: String) {
        let new = Name { schema, name };
        if self.relations.remove(old) {
            self.relations.insert(new.clone());
        }
        let columns: Vec<String> = self
            .columns
            .iter()
            .filter(|(table, _)| table == old)
            .map(|(_, column)| column.clone())
            .collect();
        for column in columns {
            self.columns.remove(&(old.clone(), column.clone()));
            self.columns.insert((new.clone(), column));
        }
    }

    /// `SET search_path TO a, b`: the first of them.
    fn search_path(&mut self, set: &SyntaxNode) {
        let mut parameter = set.descendants().filter_map(ast::ConfigParameterRef::cast);
        let named = parameter.next().and_then(|parameter| Name::of(parameter.syntax()));
        if named.is_none_or(|name| name.name != "search_path") {
            return;
        }
        let value = set
            .descendants()
            .find(|node| matches!(node.kind(), SyntaxKind::CONFIG_VALUE_NAME | SyntaxKind::LITERAL));
        self.first_schema = value
            .map(|value| match value.kind() {
                SyntaxKind::LITERAL => value.text().to_string().trim_matches('\'').to_owned(),
                _ => ast::normalize_name_node(&value),
            })
            .filter(|schema| !schema.is_empty() && schema != "$user");
    }
}

/// The column, when the expression is `column IS NOT NULL`.
fn not_null_of(expression: &ast::Expr) -> Option<String> {
    let ast::Expr::BinExpr(binary) = expression else {
        return None;
    };
    let is_not = matches!(binary.op()?, ast::BinOp::IsNot(_));
    let ast::Expr::Literal(literal) = binary.rhs()? else {
        return None;
    };
    let null = matches!(literal.kind(), Some(ast::LitKind::Null(_)));
    match binary.lhs()? {
        ast::Expr::NameRef(column) if is_not && null => Some(column.text()),
        _ => None,
    }
}
