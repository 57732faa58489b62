//! What differs between two catalogs: a merge of sorted lists, which knows nothing about the kinds.

use std::cmp::Ordering;

use crate::catalog::{Catalog, KINDS, Kind, Object, ObjectId, Objects};
use crate::habit::Class;

/// How an object differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It exists on the left side only.
    OnlyLeft,
    /// It exists on the right side only.
    OnlyRight,
    /// It exists on both sides, with other attributes.
    Changed,
}

/// An attribute that differs; `None` means that the object has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    /// The attribute, such as `type`.
    pub name: String,
    /// Its value on the left side.
    pub left: Option<String>,
    /// Its value on the right side.
    pub right: Option<String>,
}

/// An object that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which object.
    pub object: ObjectId,
    /// How.
    pub change: Change,
    /// The attributes that differ; of an object on one side only, all that it has.
    pub attributes: Vec<AttributeChange>,
    /// Whether the definitions may be the same in another spelling, which no side could be asked.
    pub maybe_spelling: bool,
    /// The class of habit that it is nothing but.
    pub class: Option<Class>,
}

/// The differences between two catalogs, by kind and then by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    differences: Vec<Difference>,
}

impl Diff {
    /// Compares two catalogs. Kinds that one of them did not read are not compared.
    pub fn between(left: &Catalog, right: &Catalog) -> Diff {
        let mut differences = Vec::new();
        for kind in KINDS {
            if let (Some(left), Some(right)) = (left.objects(*kind), right.objects(*kind)) {
                compare(*kind, left, right, &mut differences);
            }
        }
        Diff { differences }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }

    /// The differences.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Takes the differences out, to put back those that remain.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&mut Difference) -> bool) {
        self.differences.retain_mut(keep);
    }
}

fn compare(kind: Kind, left: &Objects, right: &Objects, differences: &mut Vec<Difference>) {
    let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let order = match (lefts.peek(), rights.peek()) {
            (Some(left), Some(right)) => left.identity().cmp(&right.identity()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let found = if order.is_le() { lefts.next() } else { None };
        let other = if order.is_ge() { rights.next() } else { None };
        let change = match (found, other) {
            (Some(_), None) => Change::OnlyLeft,
            (None, Some(_)) => Change::OnlyRight,
            _ => Change::Changed,
        };
        let attributes = changes(kind, left, found, right, other);
        let Some(object) = found.or(other) else { break };
        if change != Change::Changed || !attributes.is_empty() {
            differences.push(Difference {
                object: object.id(kind),
                change,
                attributes,
                maybe_spelling: false,
                class: None,
            });
        }
    }
}

fn changes(
    kind: Kind,
    left: &Objects,
    left_object: Option<Object<'_>>,
    right: &Objects,
    right_object: Option<Object<'_>>,
) -> Vec<AttributeChange> {
    debug_assert_eq!(left.attributes(), right.attributes());
    let mut changes = Vec::new();
    for (number, name) in left.attributes().iter().enumerate() {
        let value =
            |object: Option<Object<'_>>| object.and_then(|object| object.attribute_at(number).map(str::to_owned));
        let (left, right) = (
            left_object.and_then(|object| object.attribute_at(number)),
            right_object.and_then(|object| object.attribute_at(number)),
        );
        if left != right && kind.compares(name) {
            changes.push(AttributeChange {
                name: name.clone(),
                left: value(left_object),
                right: value(right_object),
            });
        }
    }
    changes
}
