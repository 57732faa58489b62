//! Classes of differences by habit: two databases that are not the same, and most of which behave the same for their
//! users. Each class can be switched on and off; what is off is counted apart and told.
//!
//! Which attributes and kinds make up a class stands in one table below; the rest decides what a table cannot say:
//! objects that only have another name, columns in another order, sequences that serve the same.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::catalog::{Catalog, Filter, KINDS, Kind, Object, ObjectId};
use crate::connection::quote_identifier;
use crate::diff::{AttributeChange, Change, Diff, Difference};
use crate::error::{Error, ErrorKind, Result};

/// A class of differences that come by habit and not by fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The order of a table's or a view's columns.
    ColumnOrder,
    /// Comments.
    Comments,
    /// Versions of extensions.
    ExtensionVersions,
    /// Names of constraints, indexes and sequences that are the same but for their name.
    Names,
    /// Owners.
    Owners,
    /// Privileges and default privileges.
    Privileges,
    /// Security labels.
    SecurityLabels,
    /// Type and owner of a sequence that hands the same numbers to the same column, as after a restore of a dump from
    /// before PostgreSQL 10. `check` counts it; a rehearsal tells it and goes on.
    Serial,
    /// Settings of the database and of roles in it, and what the database was created with.
    Settings,
    /// Tablespaces.
    Tablespaces,
    /// Types that exist on one side only and on which no object depends, as a dropped function leaves them behind; what
    /// the text of a function names is not seen. `check` counts them; a rehearsal tells those that were left over, and
    /// goes on.
    UnusedTypes,
}

struct Entry {
    class: Class,
    name: &'static str,
    on: bool,
    meaning: &'static str,
    /// The attributes that make up the class, of which kind (`*`: of every kind).
    attributes: &'static [(&'static str, &'static str)],
    /// The kinds that do.
    kinds: &'static [&'static str],
}

const ENTRIES: &[Entry] = &[
    Entry {
        class: Class::ColumnOrder,
        name: "column_order",
        on: false,
        meaning: "the order of a table's columns comes from its history; statements that name their columns do not see it",
        attributes: &[],
        kinds: &[],
    },
    Entry {
        class: Class::Comments,
        name: "comments",
        on: false,
        meaning: "they change nothing",
        attributes: &[
            ("*", "comment"),
            ("*", "column_comments"),
            ("*", "attribute_comments"),
            ("*", "not_null_comment"),
            ("*", "index_comment"),
        ],
        kinds: &[],
    },
    Entry {
        class: Class::ExtensionVersions,
        name: "extension_versions",
        on: false,
        meaning: "the packages of the server's machine decide them; that an extension is there or not counts",
        attributes: &[("extensions", "version")],
        kinds: &[],
    },
    Entry {
        class: Class::Names,
        name: "names",
        on: false,
        meaning: "constraints, indexes and sequences that are the same but for their name: names do not follow a renamed \
                  table",
        attributes: &[("columns", "not_null_name"), ("domains", "not_null_name")],
        kinds: &[],
    },
    Entry {
        class: Class::Owners,
        name: "owners",
        on: false,
        meaning: "roles differ between sites, and a restore may give everything to who restores",
        attributes: &[("*", "owner")],
        kinds: &[],
    },
    Entry {
        class: Class::Privileges,
        name: "privileges",
        on: false,
        meaning: "roles differ between sites; for those who may use it, the database behaves the same",
        attributes: &[("*", "privileges"), ("*", "column_privileges")],
        kinds: &["default_privileges", "system_privileges"],
    },
    Entry {
        class: Class::SecurityLabels,
        name: "security_labels",
        on: false,
        meaning: "they belong to the security policy of the site",
        attributes: &[("*", "security_labels"), ("*", "column_security_labels")],
        kinds: &[],
    },
    Entry {
        class: Class::Serial,
        name: "serial",
        on: true,
        meaning: "type and owner of a sequence that hands the same numbers to the same column; a rehearsal tells it and \
                  goes on",
        attributes: &[],
        kinds: &[],
    },
    Entry {
        class: Class::Settings,
        name: "settings",
        on: false,
        meaning: "a dump of the database does not hold them, and each site has its own",
        attributes: &[],
        kinds: &["database", "settings"],
    },
    Entry {
        class: Class::Tablespaces,
        name: "tablespaces",
        on: false,
        meaning: "where files lie is up to the server's machine",
        attributes: &[("*", "tablespace")],
        kinds: &[],
    },
    Entry {
        class: Class::UnusedTypes,
        name: "unused_types",
        on: true,
        meaning: "types that exist on one side only and on which no object depends; a rehearsal tells those that were left \
                  over, and goes on",
        attributes: &[],
        kinds: &[],
    },
];

/// Attributes that are only there to judge others by: they are not compared themselves.
const JUDGES: &[(&str, &str)] = &[("columns", POSITION), ("sequences", SERVES), ("types", USED)];
/// The place of a column, with holes where columns were dropped.
const POSITION: &str = "position";
/// What a sequence hands its numbers to. As long as it is the same, the other attributes here may differ.
const SERVES: &str = "serves";
/// Whether anything uses a type.
const USED: &str = "used";
const SERVING: &[&str] = &["type", "maximum", "owner_table", "owner_column", "ownership"];

/// Kinds whose objects keep their names when what they belong to is renamed, and attributes that hold such a name.
const NAMED: &[&str] = &["constraints", "indexes", "sequences"];
const HOLDING_NAMES: &[&str] = &["parent"];
/// The attribute that tells another name.
const NAME: &str = "name";

impl Class {
    /// Every class, by name.
    pub const ALL: [Class; ENTRIES.len()] = {
        let mut all = [Class::ColumnOrder; ENTRIES.len()];
        let mut number = 0;
        while number < all.len() {
            all[number] = ENTRIES[number].class;
            number += 1;
        }
        all
    };

    fn entry(self) -> &'static Entry {
        let place = ENTRIES.iter().position(|entry| entry.class == self);
        &ENTRIES[place.unwrap_or(0)]
    }

    /// The name, as `--include` and `--ignore` have it.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Whether it counts unless it is switched off: that is so where users feel it.
    pub fn on_by_default(self) -> bool {
        self.entry().on
    }

    /// Why it is a class of its own, in a few words.
    pub fn meaning(self) -> &'static str {
        self.entry().meaning
    }

    /// The class that a kind as a whole belongs to.
    pub fn of_kind(kind: Kind) -> Option<Class> {
        let entry = ENTRIES.iter().find(|entry| entry.kinds.contains(&kind.name()))?;
        Some(entry.class)
    }

    /// The class that an attribute of a kind belongs to.
    pub fn of_attribute(kind: Kind, attribute: &str) -> Option<Class> {
        let among = |entry: &&Entry| {
            entry
                .attributes
                .iter()
                .any(|(of, name)| *name == attribute && (*of == "*" || *of == kind.name()))
        };
        let entry = ENTRIES.iter().find(among);
        entry.map(|entry| entry.class).or_else(|| Class::of_kind(kind))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = Error;

    fn from_str(name: &str) -> Result<Class> {
        let wanted = name.replace('-', "_");
        Class::ALL
            .into_iter()
            .find(|class| class.name() == wanted)
            .ok_or_else(|| {
                let known: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
                Error::new(
                    ErrorKind::Usage,
                    format!("\"{}\" is no class of differences", name.escape_debug()),
                )
                .with_hint(format!("the classes are {}, and all", known.join(", ")))
            })
    }
}

/// Whether an attribute is compared, or is only there to judge others by.
pub(crate) fn compares(kind: Kind, attribute: &str) -> bool {
    !JUDGES.contains(&(kind.name(), attribute))
}

/// Gives each difference its class, dividing those that have several, and takes out those that do not count: they are
/// returned.
pub(crate) fn classify(diff: &mut Diff, catalogs: [&Catalog; 2], filter: &Filter) -> Vec<Difference> {
    let mut differences = renamed(diff.take());
    let sequences = renamed_sequences(&differences);
    let parts_renamed = renamed_parts(&differences);
    let mut classed = Vec::with_capacity(differences.len());
    for mut difference in differences.drain(..) {
        if difference.class.is_some() {
            classed.push(difference);
            continue;
        }
        let kind = difference.object.kind;
        if difference.change != Change::Changed {
            difference.class = if unused(&difference, catalogs) {
                Some(Class::UnusedTypes)
            } else {
                Class::of_kind(kind)
            };
            classed.push(difference);
            continue;
        }
        let mut parts: BTreeMap<Option<Class>, Vec<AttributeChange>> = BTreeMap::new();
        for attribute in std::mem::take(&mut difference.attributes) {
            let class = Class::of_attribute(kind, &attribute.name)
                .or_else(|| columns_in_another_order(kind, &attribute).then_some(Class::ColumnOrder))
                .or_else(|| {
                    let only_a_name = only_a_name(&attribute, &sequences)
                        || only_the_name_of_a_part(&difference.object, &attribute, &parts_renamed);
                    only_a_name.then_some(Class::Names)
                });
            parts.entry(class).or_default().push(attribute);
        }
        for (class, attributes) in parts {
            let mut part = Difference {
                attributes,
                class,
                maybe_spelling: difference.maybe_spelling && class.is_none(),
                ..difference.clone()
            };
            if class.is_none() && serves_the_same(&part, catalogs) {
                part.class = Some(Class::Serial);
            }
            classed.push(part);
        }
    }
    classed.extend(tables_in_another_order(catalogs));
    let (counted, apart) = classed
        .into_iter()
        .partition(|difference| difference.class.is_none_or(|class| filter.counts(class)));
    diff.put(counted);
    apart
}

/// Joins two objects, one on each side, that are the same but for their name.
fn renamed(differences: Vec<Difference>) -> Vec<Difference> {
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
fn renamed_parts(differences: &[Difference]) -> Vec<(ObjectId, String)> {
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
fn only_the_name_of_a_part(object: &ObjectId, attribute: &AttributeChange, parts: &[(ObjectId, String)]) -> bool {
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
fn renamed_sequences(differences: &[Difference]) -> Vec<[String; 2]> {
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
fn only_a_name(attribute: &AttributeChange, sequences: &[[String; 2]]) -> bool {
    let (Some(left), Some(right)) = (&attribute.left, &attribute.right) else {
        return false;
    };
    sequences.iter().any(|[name, other]| {
        let [name, other] = [name, other].map(|name| format!("'{}'::regclass", name.replace('\'', "''")));
        left.contains(&name) && left.replace(&name, &other) == *right
    })
}

/// Whether what exists on one side only is used there by nothing.
fn unused(difference: &Difference, catalogs: [&Catalog; 2]) -> bool {
    let object = &difference.object;
    !compares(object.kind, USED)
        && catalogs.into_iter().all(|catalog| {
            let objects = catalog.objects(object.kind);
            let found = objects.and_then(|objects| objects.find(&object.schema, &object.relation, &object.name));
            found.is_none_or(|found| found.attribute(USED).is_none())
        })
}

fn serves_the_same(difference: &Difference, catalogs: [&Catalog; 2]) -> bool {
    let object = &difference.object;
    if compares(object.kind, SERVES) {
        return false;
    }
    let [left, right] = catalogs.map(|catalog| {
        let found = catalog
            .objects(object.kind)?
            .find(&object.schema, &object.relation, &object.name)?;
        found.attribute(SERVES)
    });
    left.is_some()
        && left == right
        && difference
            .attributes
            .iter()
            .all(|attribute| SERVING.contains(&&*attribute.name))
}

/// Tables whose common columns stand in another order.
fn tables_in_another_order(catalogs: [&Catalog; 2]) -> Vec<Difference> {
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
fn columns_in_another_order(kind: Kind, attribute: &AttributeChange) -> bool {
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
