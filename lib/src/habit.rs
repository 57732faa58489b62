//! Differences by habit: two databases that behave the same for their users, and are not the same.
//!
//! Which attributes these are stands with the kinds in `catalog.rs`; what is decided here is only whether a difference
//! is nothing but such a one.

use std::fmt;

use crate::catalog::{Catalog, Habit, ObjectId};
use crate::diff::{AttributeChange, Change, Diff, Difference};

/// A class of differences that change nothing for the users of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The sequence behind a column has another type or owner, and hands out the same numbers to the same column, as
    /// after a restore of a dump from before PostgreSQL 10. `check` counts it; a rehearsal tells it and goes on.
    Serial,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Serial => "same numbers for the same column",
        })
    }
}

/// Takes out the differences that are in the order of columns only, which is compared of no relation, and returns whose
/// they are; marks the others that are nothing but habit.
pub(crate) fn classify(diff: &mut Diff, catalogs: [&Catalog; 2]) -> Vec<ObjectId> {
    let mut in_another_order = Vec::new();
    diff.retain(|difference| {
        if difference.change != Change::Changed {
            return true;
        }
        match difference.object.kind.habit() {
            Some(Habit::ColumnOrder { definition }) if only_order(difference, definition) => {
                in_another_order.push(difference.object.clone());
                return false;
            }
            Some(Habit::Serial { serves, attributes }) if only_serial(difference, serves, attributes, catalogs) => {
                difference.class = Some(Class::Serial);
            }
            _ => {}
        }
        true
    });
    in_another_order
}

fn only_order(difference: &Difference, definition: &str) -> bool {
    match difference.attributes.as_slice() {
        [
            AttributeChange {
                name,
                left: Some(left),
                right: Some(right),
            },
        ] => name == definition && same_columns_in_another_order(left, right),
        _ => false,
    }
}

fn only_serial(difference: &Difference, serves: &str, attributes: &[&str], catalogs: [&Catalog; 2]) -> bool {
    let object = &difference.object;
    let [left, right] = catalogs.map(|catalog| {
        let found = catalog
            .objects(object.kind)?
            .find(&object.schema, &object.relation, &object.name)?;
        found.attribute(serves)
    });
    left.is_some()
        && left == right
        && difference
            .attributes
            .iter()
            .all(|attribute| attributes.contains(&attribute.name.as_str()))
}

/// Whether two definitions of a view, as `pg_get_viewdef` writes them, are one `SELECT` whose target lists hold the
/// same entries in another order, and are the same from `FROM` on.
fn same_columns_in_another_order(left: &str, right: &str) -> bool {
    let (Some((mut left, left_rest)), Some((mut right, right_rest))) = (targets(left), targets(right)) else {
        return false;
    };
    left.sort_unstable();
    right.sort_unstable();
    left == right && left_rest == right_rest
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
    let entry = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (index, character) in list.char_indices() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                entries.push(entry(&list[begin..index]));
                begin = index + 1;
            }
            (None, 'F') if depth == 0 && list[index..].starts_with("FROM ") && list[..index].ends_with([' ', '\n']) => {
                entries.push(entry(&list[begin..index]));
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
        let union = " SELECT t.a,\n    t.b\n   FROM s.t\nUNION\n SELECT t.c,\n    t.d\n   FROM s.t;";
        assert!(!same(union, &union.replace("t.a,\n    t.b", "t.b,\n    t.a")));
    }
}
