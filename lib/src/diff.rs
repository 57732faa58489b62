//! What differs between two catalogs: a merge of sorted lists, which knows nothing about the kinds.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, KINDS, Kind, Object, ObjectId, Objects};
use crate::class::{self, Class};

/// How an object differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It exists on the left side only.
    OnlyLeft,
    /// It exists on the right side only.
    OnlyRight,
    /// It exists on both sides, with other attributes.
    Changed,
}

/// An attribute that differs; `None` means that the object has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeChange {
    /// The attribute, such as `default`.
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
    /// The class of habit that it is nothing but. An object that differs in several ways has a difference for each class.
    pub class: Option<Class>,
}

impl Difference {
    /// Whether an attribute is among those that differ.
    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|known| known.name == attribute)
    }
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

    /// Takes all differences out.
    pub(crate) fn take(&mut self) -> Vec<Difference> {
        std::mem::take(&mut self.differences)
    }

    /// Adds differences, and puts all in order.
    pub(crate) fn put(&mut self, differences: Vec<Difference>) {
        self.differences.extend(differences);
        self.differences.sort_by(|left, right| order(left).cmp(&order(right)));
    }
}

/// What is found in the order of a key stays in it.
fn order(difference: &Difference) -> (Kind, [&str; 3], Option<Class>) {
    let object = &difference.object;
    let name = if object.kind == Kind::DATA { "" } else { &object.name };
    (object.kind, [&object.schema, &object.relation, name], difference.class)
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
    let mut changes = Vec::new();
    for (number, name) in left.attributes().iter().enumerate() {
        // A snapshot of another version of pum may not have the attribute.
        let other = match right.attributes().get(number) {
            Some(other) if other == name => Some(number),
            _ => right.attributes().iter().position(|other| other == name),
        };
        let Some(other) = other else { continue };
        let left = left_object.and_then(|object| object.attribute_at(number));
        let right = right_object.and_then(|object| object.attribute_at(other));
        if left != right && class::compares(kind, name) {
            changes.push(AttributeChange {
                name: name.clone(),
                left: left.map(str::to_owned),
                right: right.map(str::to_owned),
            });
        }
    }
    changes
}
