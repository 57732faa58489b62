//! The form `pum/check/1`, which `lib/check.schema.json` describes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Report;
use crate::catalog::{Kind, ObjectId};
use crate::class::Class;
use crate::diff::{AttributeChange, Change, Diff};

const FORM: &str = "pum/check/1";

type Text<'a> = Cow<'a, str>;

/// The outcome of a comparison of two databases, as `pum check --format json` writes it. Later versions of pum may add
/// keys.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "pum/check/1"))]
struct Document<'a> {
    /// The form of this document.
    #[cfg_attr(test, schemars(extend("const" = "pum/check/1")))]
    schema: Text<'a>,
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
    not_counted: Vec<NotCounted<'a>>,
    /// The kinds and classes that were left out.
    ignored: Vec<Text<'a>>,
    left_out: LeftOut<'a>,
    /// The kinds that could not be compared, because a snapshot does not hold them.
    not_compared: Vec<Text<'a>>,
    /// What should be known besides.
    warnings: Cow<'a, [String]>,
}

/// What was left out by name, on both sides.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LeftOut<'a> {
    /// Schemas.
    schemas: Cow<'a, [String]>,
    /// Patterns for objects.
    objects: Cow<'a, [String]>,
    /// Patterns for columns.
    columns: Cow<'a, [String]>,
    /// The table of upgrades, schema.table; null where none is known.
    upgrades_table: Option<String>,
}

/// One of the two databases.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Side<'a> {
    /// As the user named it, without a password.
    target: Text<'a>,
    /// The version of its server.
    server_version: Text<'a>,
}

/// An object of a database.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Object<'a> {
    /// Its kind in the plural, such as `tables`.
    kind: Text<'a>,
    /// Its schema, where it is in one.
    schema: Option<Text<'a>>,
    /// The table or view that it belongs to, where it does.
    relation: Option<Text<'a>>,
    /// Its name; of a routine with the types of its arguments.
    name: Text<'a>,
}

/// An object that differs.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Difference<'a> {
    #[serde(flatten)]
    object: Object<'a>,
    change: Change,
    /// The attributes that differ; of an object on one side only, all that it has.
    attributes: Vec<Attribute<'a>>,
    /// The class of differences by habit that it is nothing but.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Text<'a>>,
    /// Whether the definitions may be the same in another spelling, which no server could be asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    maybe_spelling: bool,
    /// Why an expected difference is right, where somebody said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text<'a>>,
}

/// An attribute that differs; null where the object has none.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Attribute<'a> {
    name: Text<'a>,
    left: Option<Text<'a>>,
    right: Option<Text<'a>>,
}

/// How many objects of a kind differ in a schema.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Count<'a> {
    /// The schema; null for what belongs to none.
    schema: Option<Text<'a>>,
    /// The kind, in the plural.
    kind: Text<'a>,
    only_left: usize,
    only_right: usize,
    changed: usize,
}

/// Rows of a table that differ besides those that are listed.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct MoreRows<'a> {
    /// The schema of the table.
    schema: Text<'a>,
    /// The table.
    relation: Text<'a>,
    /// How many are on the left side only.
    only_left: usize,
    /// How many are on the right side only.
    only_right: usize,
    /// How many are on both sides and differ.
    changed: usize,
}

/// Differences that were found and do not count, because their class is off.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NotCounted<'a> {
    /// The class, such as `owners`.
    class: Text<'a>,
    /// How many there are.
    differences: usize,
}

pub(super) fn render(report: &Report) -> String {
    let document = Document {
        schema: FORM.into(),
        same: report.same(),
        left: side(&report.left),
        right: side(&report.right),
        summary: report.counts().iter().map(count).collect(),
        differences: report.differences().iter().map(difference).collect(),
        more_rows: report
            .more_rows
            .iter()
            .map(|more| MoreRows {
                schema: (&more.schema).into(),
                relation: (&more.table).into(),
                only_left: more.only_left,
                only_right: more.only_right,
                changed: more.changed,
            })
            .collect(),
        expected: report
            .known()
            .map(|(known, reason)| Difference {
                reason: reason.map(Cow::from),
                ..difference(known)
            })
            .collect(),
        expected_and_gone: report.gone.iter().map(object).collect(),
        not_counted: report
            .not_counted
            .iter()
            .map(|apart| NotCounted {
                class: apart.class.name().into(),
                differences: apart.differences,
            })
            .collect(),
        ignored: report.ignored.iter().map(|name| Cow::from(*name)).collect(),
        left_out: LeftOut {
            schemas: (&report.left_out.schemas).into(),
            objects: (&report.left_out.objects).into(),
            columns: (&report.left_out.columns).into(),
            upgrades_table: report
                .left_out
                .upgrades_table
                .as_ref()
                .map(|(schema, table)| format!("{schema}.{table}")),
        },
        not_compared: report.not_compared.iter().map(|kind| kind.name().into()).collect(),
        warnings: (&report.warnings).into(),
    };
    // Texts, numbers and lists only: this cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn side(side: &super::Side) -> Side<'_> {
    Side {
        target: (&side.target).into(),
        server_version: (&side.server_version).into(),
    }
}

fn count<'a>(count: &super::Count<'a>) -> Count<'a> {
    Count {
        schema: some(count.schema),
        kind: count.kind.name().into(),
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
                name: (&attribute.name).into(),
                left: attribute.left.as_deref().map(Cow::from),
                right: attribute.right.as_deref().map(Cow::from),
            })
            .collect(),
        class: difference.class.map(|class| class.name().into()),
        maybe_spelling: difference.maybe_spelling,
        reason: None,
    }
}

fn object(object: &crate::ObjectId) -> Object<'_> {
    Object {
        kind: object.kind.name().into(),
        schema: some(&object.schema),
        relation: some(&object.relation),
        name: (&object.name).into(),
    }
}

fn some(text: &str) -> Option<Text<'_>> {
    Some(text).filter(|text| !text.is_empty()).map(Cow::from)
}

/// The report that a document tells; none when it is of another form, or names what this version of pum does not know.
pub(super) fn read(document: &Value) -> Option<Report> {
    let document = Document::deserialize(document).ok()?;
    if document.schema != FORM {
        return None;
    }
    let differences = |told: Vec<Difference<'_>>| told.into_iter().map(Difference::read).collect::<Option<Vec<_>>>();
    let reasons = document.expected.iter();
    let reasons = reasons.map(|known| known.reason.as_deref().unwrap_or_default().to_owned());
    let reasons = reasons.collect();
    let apart = |apart: &NotCounted<'_>| {
        Some(super::NotCounted {
            class: apart.class.parse().ok()?,
            differences: apart.differences,
        })
    };
    let name = |name: &Text<'_>| {
        let class = || name.parse().map(Class::name);
        name.parse().map(Kind::name).or_else(|_| class()).ok()
    };
    let more = |more: MoreRows<'_>| crate::rows::MoreRows {
        schema: more.schema.into(),
        table: more.relation.into(),
        only_left: more.only_left,
        only_right: more.only_right,
        changed: more.changed,
    };
    let table = document.left_out.upgrades_table.as_deref();
    let table = table.and_then(|table| table.split_once('.'));
    let mut diff = Diff::default();
    diff.put(differences(document.differences)?);
    Some(Report {
        left: document.left.read(),
        right: document.right.read(),
        diff,
        ignored: document.ignored.iter().map(name).collect::<Option<_>>()?,
        left_out: super::LeftOut {
            schemas: document.left_out.schemas.into_owned(),
            objects: document.left_out.objects.into_owned(),
            columns: document.left_out.columns.into_owned(),
            upgrades_table: table.map(|(schema, name)| (schema.to_owned(), name.to_owned())),
        },
        not_counted: document.not_counted.iter().map(apart).collect::<Option<_>>()?,
        not_compared: document
            .not_compared
            .iter()
            .map(|kind| kind.parse().ok())
            .collect::<Option<_>>()?,
        expected: differences(document.expected)?,
        reasons,
        gone: document
            .expected_and_gone
            .into_iter()
            .map(Object::read)
            .collect::<Option<_>>()?,
        more_rows: document.more_rows.into_iter().map(more).collect(),
        warnings: document.warnings.into_owned(),
    })
}

impl Side<'_> {
    fn read(self) -> super::Side {
        super::Side {
            target: self.target.into(),
            server_version: self.server_version.into(),
        }
    }
}

impl Object<'_> {
    fn read(self) -> Option<ObjectId> {
        Some(ObjectId {
            kind: self.kind.parse().ok()?,
            schema: self.schema.unwrap_or_default().into(),
            relation: self.relation.unwrap_or_default().into(),
            name: self.name.into(),
        })
    }
}

impl Difference<'_> {
    fn read(self) -> Option<crate::diff::Difference> {
        let attribute = |attribute: Attribute<'_>| AttributeChange {
            name: attribute.name.into(),
            left: attribute.left.map(Cow::into_owned),
            right: attribute.right.map(Cow::into_owned),
        };
        let class = match self.class {
            Some(class) => Some(class.parse().ok()?),
            None => None,
        };
        Some(crate::diff::Difference {
            object: self.object.read()?,
            change: self.change,
            attributes: self.attributes.into_iter().map(attribute).collect(),
            maybe_spelling: self.maybe_spelling,
            class,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, read, render};

    const OBJECT: &str = r#""kind": "columns", "schema": "s", "relation": "t", "name": "c""#;

    fn document(kind: &str) -> serde_json::Value {
        let object = OBJECT.replace("columns", kind);
        let text = format!(
            r#"{{
              "schema": "pum/check/1", "same": false,
              "left": {{"target": "a", "server_version": "15.1"}}, "right": {{"target": "b", "server_version": "16.2"}},
              "summary": [
                {{"schema": null, "kind": "schemas", "only_left": 1, "only_right": 0, "changed": 0}},
                {{"schema": "s", "kind": "{kind}", "only_left": 0, "only_right": 0, "changed": 1}},
                {{"schema": "s", "kind": "data", "only_left": 1, "only_right": 2, "changed": 3}}
              ],
              "differences": [
                {{{object}, "change": "changed", "attributes": [
                  {{"name": "type", "left": "integer", "right": null}}], "class": "serial", "maybe_spelling": true}},
                {{"kind": "schemas", "schema": null, "relation": null, "name": "u", "change": "only_left", "attributes": []}}
              ],
              "more_rows": [{{"schema": "s", "relation": "t", "only_left": 1, "only_right": 2, "changed": 3}}],
              "expected": [{{{object}, "change": "only_right", "attributes": [], "reason": "so it is"}}],
              "expected_and_gone": [{{{object}}}],
              "not_counted": [{{"class": "owners", "differences": 7}}],
              "ignored": ["views", "comments"],
              "left_out": {{"schemas": ["x"], "objects": ["y.*"], "columns": ["z"], "upgrades_table": "s.info"}},
              "not_compared": ["policies"],
              "warnings": ["so much"]
            }}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let document = document("columns");
        let report = read(&document).unwrap();
        let written: serde_json::Value = serde_json::from_str(&render(&report)).unwrap();
        assert_eq!(written, document);
    }

    #[test]
    fn what_another_version_knows_is_no_report() {
        assert!(read(&self::document("dreams")).is_none());
        let mut other = document("columns");
        other["schema"] = "pum/check/2".into();
        assert!(read(&other).is_none());
        assert!(read(&serde_json::Value::Null).is_none());
    }

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
