//! The differences by the object that they belong to, as every report for a person shows them.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, OWNER_TABLE};
use crate::diff::{Change, Difference};

/// A table with its parts, or an object of its own.
pub(super) struct Group<'a> {
    /// Empty for what belongs to no schema.
    pub(super) schema: &'a str,
    pub(super) owner: &'a str,
    pub(super) items: Vec<Item<'a>>,
}

impl Group<'_> {
    /// The name of the object with its schema, not escaped.
    pub(super) fn name(&self) -> String {
        if self.schema.is_empty() {
            self.owner.to_owned()
        } else {
            format!("{}.{}", self.schema, self.owner)
        }
    }
}

/// A difference, with the parts of an object on one side only that are told with it.
pub(super) struct Item<'a> {
    pub(super) difference: &'a Difference,
    /// Whether its name is not the one of the group.
    pub(super) named: bool,
    pub(super) parts: Vec<&'a Difference>,
}

/// Differences by schema and object.
pub(super) fn groups(differences: &[Difference]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(&str, &str), Vec<Item<'_>>> = BTreeMap::new();
    let mut folded = folded(differences);
    for difference in differences {
        if folded.parts.contains(&key(difference)) {
            continue;
        }
        let object = &difference.object;
        // Of a sequence on both sides only what differs is known, and its table perhaps not.
        let owner = Some(difference).filter(one_sided).and_then(owner);
        let relation = Some(&*object.relation).filter(|relation| !relation.is_empty());
        let group = owner.or(relation);
        let item = Item {
            difference,
            named: group.is_some(),
            parts: folded.of.remove(&key(difference)).unwrap_or_default(),
        };
        let group = groups.entry((&object.schema, group.unwrap_or(&object.name)));
        group.or_default().push(item);
    }
    let group = |((schema, owner), items)| Group { schema, owner, items };
    groups.into_iter().map(group).collect()
}

type Key<'a> = (Kind, &'a str, &'a str, &'a str);

fn key(difference: &Difference) -> Key<'_> {
    let object = &difference.object;
    (object.kind, &object.schema, &object.relation, &object.name)
}

/// The parts of tables and views that exist on one side only, which are told with their table.
#[derive(Default)]
struct Folded<'a> {
    parts: BTreeSet<Key<'a>>,
    of: BTreeMap<Key<'a>, Vec<&'a Difference>>,
}

fn folded(differences: &[Difference]) -> Folded<'_> {
    // Names of relations are unique in a schema, so that whichever kind bears the name is the owner of what names it.
    let owners: BTreeMap<(bool, &str, &str), &Difference> = differences
        .iter()
        .filter(one_sided)
        .filter(|difference| difference.object.relation.is_empty() && owner(difference).is_none())
        .map(|difference| {
            (
                (
                    is_right(difference),
                    &*difference.object.schema,
                    &*difference.object.name,
                ),
                difference,
            )
        })
        .collect();
    let mut folded = Folded::default();
    for difference in differences.iter().filter(one_sided) {
        if let Some(name) = owner(difference)
            && let Some(owner) = owners.get(&(is_right(difference), &*difference.object.schema, name))
        {
            folded.parts.insert(key(difference));
            folded.of.entry(key(owner)).or_default().push(difference);
        }
    }
    folded
}

fn one_sided(difference: &&Difference) -> bool {
    difference.change != Change::Changed
}

fn is_right(difference: &Difference) -> bool {
    difference.change == Change::OnlyRight
}

/// What an attribute is that has no value: no privileges on record are those that every new object of the kind has.
pub(super) fn nothing(difference: &Difference, attribute: &str) -> &'static str {
    if attribute == "privileges" && difference.object.kind.name() != "columns" {
        "default"
    } else {
        "none"
    }
}

/// The table or view that an object belongs to.
fn owner(difference: &Difference) -> Option<&str> {
    if !difference.object.relation.is_empty() {
        return Some(&difference.object.relation);
    }
    let attribute = difference
        .attributes
        .iter()
        .find(|attribute| attribute.name == OWNER_TABLE)?;
    attribute.left.as_deref().or(attribute.right.as_deref())
}

/// Such as ` (3 columns, 1 index)`; nothing when there are none.
pub(super) fn contents(parts: &[&Difference]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for part in parts {
        *counts.entry(part.object.kind).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(kind, count)| format!("{count} {}", if count == 1 { kind.singular() } else { kind.title() }))
        .collect();
    format!(" ({})", counts.join(", "))
}
