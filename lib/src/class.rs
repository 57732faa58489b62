//! Classes of differences by habit: two databases that are not the same, and most of which behave the same for their
//! users. Each class can be switched on and off; what is off is counted apart and told.
//!
//! Which attributes and kinds make up a class stands in one table below; the rest decides what a table cannot say:
//! objects that only have another name (`name.rs`), columns in another order (`order.rs`), sequences that serve the
//! same, types that nothing uses.

mod name;
mod order;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::catalog::{Catalog, Filter, Kind};
use crate::diff::{AttributeChange, Change, Diff, Difference};
use crate::error::{Error, ErrorKind, Result};
pub(crate) use name::quoted;
use name::{only_a_name, only_the_name_of_a_part, renamed, renamed_parts, renamed_sequences};
use order::{POSITION, columns_in_another_order, tables_in_another_order};

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
/// What a sequence hands its numbers to. As long as it is the same, the other attributes here may differ.
const SERVES: &str = "serves";
/// Whether anything uses a type.
const USED: &str = "used";
const SERVING: &[&str] = &["type", "maximum", "owner_table", "owner_column", "ownership"];

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
