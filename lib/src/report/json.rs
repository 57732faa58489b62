//! The form `pum/check/1`, which `lib/check.schema.json` describes.

use serde::Serialize;

use super::Report;
use crate::diff::Change;

/// The outcome of a comparison of two databases, as `pum check --format json` writes it. Later versions of pum may add
/// keys.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "pum/check/1"))]
struct Document<'a> {
    /// The form of this document.
    #[cfg_attr(test, schemars(extend("const" = "pum/check/1")))]
    schema: &'static str,
    /// Whether no difference was found that counts.
    same: bool,
    left: Side<'a>,
    right: Side<'a>,
    /// How many objects of a kind differ in a schema; what does not differ is not listed.
    summary: Vec<Count<'a>>,
    /// The differences that count, by kind and then by name.
    differences: Vec<Difference<'a>>,
    /// The tables of which more rows differ than are listed.
    more_rows: Vec<MoreRows<'a>>,
    /// The differences that were expected, and do not count.
    expected: Vec<Difference<'a>>,
    /// The objects that were expected to differ, and do not any more.
    expected_and_gone: Vec<Object<'a>>,
    /// What was found in the classes that are off.
    not_counted: Vec<NotCounted>,
    /// The kinds and classes that were left out.
    ignored: &'a [&'static str],
    left_out: LeftOut<'a>,
    /// The kinds that could not be compared, because a snapshot does not hold them.
    not_compared: Vec<&'static str>,
    /// What should be known besides.
    warnings: &'a [String],
}

/// What was left out by name, on both sides.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LeftOut<'a> {
    /// Schemas.
    schemas: &'a [String],
    /// Patterns for objects.
    objects: &'a [String],
    /// Patterns for columns.
    columns: &'a [String],
    /// The table of upgrades, schema.table; null where none is known.
    upgrades_table: Option<String>,
}

/// One of the two databases.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Side<'a> {
    /// As the user named it, without a password.
    target: &'a str,
    /// The version of its server.
    server_version: &'a str,
}

/// An object of a database.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Object<'a> {
    /// Its kind in the plural, such as `tables`.
    kind: &'static str,
    /// Its schema, where it is in one.
    schema: Option<&'a str>,
    /// The table or view that it belongs to, where it does.
    relation: Option<&'a str>,
    /// Its name; of a routine with the types of its arguments.
    name: &'a str,
}

/// An object that differs.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Difference<'a> {
    #[serde(flatten)]
    object: Object<'a>,
    change: Change,
    /// The attributes that differ; of an object on one side only, all that it has.
    attributes: Vec<Attribute<'a>>,
    /// The class of differences by habit that it is nothing but.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    /// Whether the definitions may be the same in another spelling, which no server could be asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    maybe_spelling: bool,
    /// Why an expected difference is right, where somebody said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// An attribute that differs; null where the object has none.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Attribute<'a> {
    name: &'a str,
    left: Option<&'a str>,
    right: Option<&'a str>,
}

/// How many objects of a kind differ in a schema.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Count<'a> {
    /// The schema; null for what belongs to none.
    schema: Option<&'a str>,
    /// The kind, in the plural.
    kind: &'static str,
    only_left: usize,
    only_right: usize,
    changed: usize,
}

/// Rows of a table that differ besides those that are listed.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct MoreRows<'a> {
    /// The schema of the table.
    schema: &'a str,
    /// The table.
    relation: &'a str,
    /// How many are on the left side only.
    only_left: usize,
    /// How many are on the right side only.
    only_right: usize,
    /// How many are on both sides and differ.
    changed: usize,
}

/// Differences that were found and do not count, because their class is off.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NotCounted {
    /// The class, such as `owners`.
    class: &'static str,
    /// How many there are.
    differences: usize,
}

pub(super) fn render(report: &Report) -> String {
    let document = Document {
        schema: "pum/check/1",
        same: report.same(),
        left: side(&report.left),
        right: side(&report.right),
        summary: report.counts().iter().map(count).collect(),
        differences: report.differences().iter().map(difference).collect(),
        more_rows: report
            .more_rows
            .iter()
            .map(|more| MoreRows {
                schema: &more.schema,
                relation: &more.table,
                only_left: more.only_left,
                only_right: more.only_right,
                changed: more.changed,
            })
            .collect(),
        expected: report
            .known()
            .map(|(known, reason)| Difference {
                reason,
                ..difference(known)
            })
            .collect(),
        expected_and_gone: report.gone.iter().map(object).collect(),
        not_counted: report
            .not_counted
            .iter()
            .map(|apart| NotCounted {
                class: apart.class.name(),
                differences: apart.differences,
            })
            .collect(),
        ignored: &report.ignored,
        left_out: LeftOut {
            schemas: &report.left_out.schemas,
            objects: &report.left_out.objects,
            columns: &report.left_out.columns,
            upgrades_table: report
                .left_out
                .upgrades_table
                .as_ref()
                .map(|(schema, table)| format!("{schema}.{table}")),
        },
        not_compared: report.not_compared.iter().map(|kind| kind.name()).collect(),
        warnings: &report.warnings,
    };
    // Texts, numbers and lists only: this cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn side(side: &super::Side) -> Side<'_> {
    Side {
        target: &side.target,
        server_version: &side.server_version,
    }
}

fn count<'a>(count: &super::Count<'a>) -> Count<'a> {
    Count {
        schema: some(count.schema),
        kind: count.kind.name(),
        only_left: count.only_left,
        only_right: count.only_right,
        changed: count.changed,
    }
}

fn difference(difference: &crate::diff::Difference) -> Difference<'_> {
    Difference {
        object: object(&difference.object),
        change: difference.change,
        attributes: difference
            .attributes
            .iter()
            .map(|attribute| Attribute {
                name: &attribute.name,
                left: attribute.left.as_deref(),
                right: attribute.right.as_deref(),
            })
            .collect(),
        class: difference.class.map(crate::Class::name),
        maybe_spelling: difference.maybe_spelling,
        reason: None,
    }
}

fn object(object: &crate::ObjectId) -> Object<'_> {
    Object {
        kind: object.kind.name(),
        schema: some(&object.schema),
        relation: some(&object.relation),
        name: &object.name,
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Document;

    /// The schema in the repository is the one of the types. `PUM_WRITE_SCHEMA=1 cargo test` writes it.
    #[test]
    fn the_schema_is_in_step() {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<Document<'_>>();
        let schema = format!("{:#}\n", serde_json::to_value(schema).unwrap());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/check.schema.json");
        if std::env::var_os("PUM_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == schema,
            "write it anew: PUM_WRITE_SCHEMA=1 cargo test -p pum schema"
        );
    }
}
