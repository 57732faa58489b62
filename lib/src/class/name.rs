//! Objects that are the same but for their name, and texts that only hold such a name.

use std::collections::BTreeMap;

use super::Class;
use crate::catalog::{Kind, ObjectId};
use crate::connection::quote_identifier;
use crate::diff::{AttributeChange, Change, Difference};

/// Kinds whose objects keep their names when what they belong to is renamed, and attributes that hold such a name.
const NAMED: &[&str] = &["constraints", "indexes", "sequences"];
const HOLDING_NAMES: &[&str] = &["parent"];
/// The attribute that tells another name.
const NAME: &str = "name";

/// Joins two objects, one on each side, that are the same but for their name.
pub(super) fn renamed(differences: Vec<Difference>) -> Vec<Difference> {
    let candidate = |difference: &Difference| {
        NAMED.contains(&difference.object.kind.name()) && difference.change != Change::Changed
    };
    // What must be the same: the kind, the table, and every attribute that is neither a name nor of a class.
    type Likeness = (Kind, String, String, Vec<(String, String)>);
    let likeness = |difference: &Difference| -> Likeness {
        let object = &difference.object;
        let attributes = difference
            .attributes
            .iter()
            .filter(|attribute| {
                !HOLDING_NAMES.contains(&&*attribute.name)
                    && Class::of_attribute(object.kind, &attribute.name).is_none()
            })
            .map(|attribute| {
                let value = attribute.left.as_ref().or(attribute.right.as_ref());
                (attribute.name.clone(), value.cloned().unwrap_or_default())
            })
            .collect();
        (object.kind, object.schema.clone(), object.relation.clone(), attributes)
    };
    let mut rights: BTreeMap<Likeness, Vec<usize>> = BTreeMap::new();
    for (place, difference) in differences.iter().enumerate().rev() {
        if candidate(difference) && difference.change == Change::OnlyRight {
            rights.entry(likeness(difference)).or_default().push(place);
        }
    }
    if rights.is_empty() {
        return differences;
    }
    let mut partner: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, difference) in differences.iter().enumerate() {
        if candidate(difference)
            && difference.change == Change::OnlyLeft
            // A sequence that belongs to nothing is known by nothing but its name.
            && (!difference.object.relation.is_empty() || difference.has("owner_column"))
            && let Some(other) = rights.get_mut(&likeness(difference)).and_then(Vec::pop)
        {
            partner.insert(place, other);
        }
    }
    let mut joined = Vec::new();
    for (left, right) in &partner {
        let (left, right) = (&differences[*left], &differences[*right]);
        let difference = |attributes: Vec<AttributeChange>, class| Difference {
            object: left.object.clone(),
            change: Change::Changed,
            attributes,
            maybe_spelling: false,
            class,
        };
        let name = AttributeChange {
            name: NAME.to_owned(),
            left: Some(left.object.name.clone()),
            right: Some(right.object.name.clone()),
        };
        joined.push(difference(vec![name], Some(Class::Names)));
        let others = of_classes(left, right);
        if !others.is_empty() {
            joined.push(difference(others, None));
        }
    }
    let taken: std::collections::BTreeSet<usize> = partner.into_iter().flat_map(<[usize; 2]>::from).collect();
    differences
        .into_iter()
        .enumerate()
        .filter(|(place, _)| !taken.contains(place))
        .map(|(_, difference)| difference)
        .chain(joined)
        .collect()
}

/// What differs between two objects, one on each side only, in the attributes that belong to a class.
fn of_classes(left: &Difference, right: &Difference) -> Vec<AttributeChange> {
    let kind = left.object.kind;
    let mut changes: BTreeMap<&str, [Option<&String>; 2]> = BTreeMap::new();
    for attribute in &left.attributes {
        changes.entry(&attribute.name).or_default()[0] = attribute.left.as_ref();
    }
    for attribute in &right.attributes {
        changes.entry(&attribute.name).or_default()[1] = attribute.right.as_ref();
    }
    changes
        .into_iter()
        .filter(|(name, [left, right])| left != right && Class::of_attribute(kind, name).is_some())
        .map(|(name, [left, right])| AttributeChange {
            name: name.to_owned(),
            left: left.cloned(),
            right: right.cloned(),
        })
        .collect()
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// The constraints and indexes that have another name on the right.
pub(super) fn renamed_parts(differences: &[Difference]) -> Vec<(ObjectId, String)> {
    let parts = differences
        .iter()
        .filter(|difference| difference.class == Some(Class::Names) && !difference.object.relation.is_empty());
    parts
        .filter_map(|difference| {
            let right = difference.attributes.first()?.right.clone()?;
            Some((difference.object.clone(), right))
        })
        .collect()
}

/// Whether an attribute only names a constraint or an index that has another name on the right: the index that a table
/// is clustered by or known by to a replica, and what a partition's own is attached to.
pub(super) fn only_the_name_of_a_part(
    object: &ObjectId,
    attribute: &AttributeChange,
    parts: &[(ObjectId, String)],
) -> bool {
    let (Some(left), Some(right)) = (&attribute.left, &attribute.right) else {
        return false;
    };
    parts.iter().any(|(part, other)| {
        let own = (&part.schema, &part.relation) == (&object.schema, &object.name);
        let forms = |name: &str| match &*attribute.name {
            "cluster_index" if own => vec![name.to_owned()],
            "replica_identity" if own => vec![format!("index {name}")],
            "parent" => vec![
                qualified(&part.schema, name),
                format!("{} {}", qualified(&part.schema, &part.relation), quoted(name)),
            ],
            _ => Vec::new(),
        };
        let mut pairs = forms(&part.name).into_iter().zip(forms(other));
        pairs.any(|(before, after)| before == *left && after == *right)
    })
}

/// The sequences that have another name on the right, as `regclass` writes both.
pub(super) fn renamed_sequences(differences: &[Difference]) -> Vec<[String; 2]> {
    differences
        .iter()
        .filter(|difference| difference.class == Some(Class::Names) && difference.object.relation.is_empty())
        .filter_map(|difference| {
            let object = &difference.object;
            let right = difference.attributes.first()?.right.as_ref()?;
            Some([
                qualified(&object.schema, &object.name),
                qualified(&object.schema, right),
            ])
        })
        .collect()
}

/// A name as `quote_ident` writes it, save for the few that are key words.
pub(crate) fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { quote_identifier(name) }
}

/// Whether two texts differ only in the name of a sequence, as the default of a column whose table was renamed.
pub(super) fn only_a_name(attribute: &AttributeChange, sequences: &[[String; 2]]) -> bool {
    let (Some(left), Some(right)) = (&attribute.left, &attribute.right) else {
        return false;
    };
    sequences.iter().any(|[name, other]| {
        let [name, other] = [name, other].map(|name| format!("'{}'::regclass", name.replace('\'', "''")));
        left.contains(&name) && left.replace(&name, &other) == *right
    })
}
