//! Columns in another order: of tables by their places, of views by their text.

use super::Class;
use crate::catalog::{Catalog, KINDS, Kind, Object, ObjectId};
use crate::diff::{AttributeChange, Change, Difference};

/// The place of a column, with holes where columns were dropped.
pub(super) const POSITION: &str = "position";
/// Tables whose common columns stand in another order.
pub(super) fn tables_in_another_order(catalogs: [&Catalog; 2]) -> Vec<Difference> {
    let kind = |name: &str| KINDS.iter().find(|kind| kind.name() == name).copied();
    let (Some(columns), Some(tables)) = (kind("columns"), kind("tables")) else {
        return Vec::new();
    };
    let [Some(lefts), Some(rights)] = catalogs.map(|catalog| catalog.objects(columns)) else {
        return Vec::new();
    };
    let places = [lefts, rights].map(|objects| objects.attributes().iter().position(|name| name == POSITION));
    let [Some(left_place), Some(right_place)] = places else {
        return Vec::new();
    };
    let place = |object: &Object<'_>, at: usize| -> i32 {
        object
            .attribute_at(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    };
    let mut found = Vec::new();
    let mut tell = |schema: &str, relation: &str, common: &mut Vec<(i32, i32, &str)>| {
        common.sort_unstable();
        if common.windows(2).any(|pair| pair[0].1 > pair[1].1) {
            let names = |common: &[(i32, i32, &str)]| {
                let names: Vec<&str> = common.iter().map(|(_, _, name)| *name).collect();
                Some(names.join(", "))
            };
            let left = names(common);
            common.sort_unstable_by_key(|(_, right, _)| *right);
            found.push(Difference {
                object: ObjectId {
                    kind: tables,
                    schema: schema.to_owned(),
                    relation: String::new(),
                    name: relation.to_owned(),
                },
                change: Change::Changed,
                attributes: vec![AttributeChange {
                    name: Class::ColumnOrder.name().to_owned(),
                    left,
                    right: names(common),
                }],
                maybe_spelling: false,
                class: Some(Class::ColumnOrder),
            });
        }
        common.clear();
    };
    let mut common: Vec<(i32, i32, &str)> = Vec::new();
    let mut current = ["", ""];
    let mut others = rights.iter().peekable();
    for left in lefts.iter() {
        while others.next_if(|right| right.identity() < left.identity()).is_some() {}
        let Some(right) = others.next_if(|right| right.identity() == left.identity()) else {
            continue;
        };
        let [schema, relation, name] = left.identity();
        if current != [schema, relation] {
            tell(current[0], current[1], &mut common);
            current = [schema, relation];
        }
        common.push((place(&left, left_place), place(&right, right_place), name));
    }
    tell(current[0], current[1], &mut common);
    found
}

/// Whether an attribute is a `SELECT` whose columns only stand in another order.
pub(super) fn columns_in_another_order(kind: Kind, attribute: &AttributeChange) -> bool {
    match (&attribute.left, &attribute.right) {
        (Some(left), Some(right)) => {
            kind.name() == "views" && attribute.name == "definition" && same_columns_in_another_order(left, right)
        }
        _ => false,
    }
}

/// Whether two definitions of a view, as `pg_get_viewdef` writes them, are one `SELECT` whose target lists hold the
/// same entries in another order, and are the same from `FROM` on.
fn same_columns_in_another_order(left: &str, right: &str) -> bool {
    let (Some((mut left, left_rest)), Some((mut right, right_rest))) = (targets(left), targets(right)) else {
        return false;
    };
    if left == right || left_rest != right_rest {
        return false;
    }
    left.sort_unstable();
    right.sort_unstable();
    left == right
}

/// A text in which line ends and indentation are one blank, save in what is quoted.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut quote = None;
    for character in text.trim().chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if character.is_whitespace() => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
                continue;
            }
            _ => {}
        }
        line.push(character);
    }
    line
}

/// The entries of the target list, and the text from `FROM` on. None when it is more than one plain `SELECT`.
fn targets(definition: &str) -> Option<(Vec<String>, &str)> {
    let list = definition.trim_start().strip_prefix("SELECT ")?;
    // An order that a later word counts on: UNION by place, DISTINCT ON by its first entries.
    if list.starts_with("DISTINCT") || list.contains("UNION") || list.contains("INTERSECT") || list.contains("EXCEPT") {
        return None;
    }
    let (mut entries, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    let mut quote = None;
    for (index, character) in list.char_indices() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                entries.push(on_one_line(&list[begin..index]));
                begin = index + 1;
            }
            (None, 'F') if depth == 0 && list[index..].starts_with("FROM ") && list[..index].ends_with([' ', '\n']) => {
                entries.push(on_one_line(&list[begin..index]));
                return Some((entries, &list[index..]));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::same_columns_in_another_order as same;

    #[test]
    fn only_the_order_of_whole_columns_is_habit() {
        let view = " SELECT t.a,\n    f(t.b, 'x, y') AS b,\n    CASE\n            WHEN t.c THEN 1\n            ELSE 2\n        END AS c\n   FROM s.t\n  WHERE t.a > 1;";
        let other = " SELECT CASE\n            WHEN t.c THEN 1\n            ELSE 2\n        END AS c,\n    t.a,\n    f(t.b, 'x, y') AS b\n   FROM s.t\n  WHERE t.a > 1;";
        assert!(same(view, other));
        assert!(!same(view, &other.replace("> 1", "> 2")));
        assert!(!same(view, &other.replace("'x, y'", "'y, x'")));
        assert!(!same(
            view,
            &other.replace("THEN 1\n            ELSE 2", "THEN 2\n            ELSE 1")
        ));
        assert!(!same(view, view));
        assert!(!same(view, &other.replace("'x, y'", "'x,  y'")));
        let union = " SELECT t.a,\n    t.b\n   FROM s.t\nUNION\n SELECT t.c,\n    t.d\n   FROM s.t;";
        assert!(!same(union, &union.replace("t.a,\n    t.b", "t.b,\n    t.a")));
    }
}
