//! The form `pum/check/1`.

use serde::Serialize;

use super::Report;
use crate::diff::Change;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    same: bool,
    left: Side<'a>,
    right: Side<'a>,
    summary: Vec<Count<'a>>,
    differences: Vec<Difference<'a>>,
    expected: Vec<Difference<'a>>,
    expected_and_gone: Vec<Object<'a>>,
    not_counted: Vec<NotCounted>,
    ignored: &'a [&'static str],
    not_compared: Vec<&'static str>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Side<'a> {
    target: &'a str,
    server_version: &'a str,
}

#[derive(Serialize)]
struct Object<'a> {
    kind: &'static str,
    schema: Option<&'a str>,
    relation: Option<&'a str>,
    name: &'a str,
}

#[derive(Serialize)]
struct Difference<'a> {
    #[serde(flatten)]
    object: Object<'a>,
    change: &'static str,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    maybe_spelling: bool,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'a str,
    left: Option<&'a str>,
    right: Option<&'a str>,
}

#[derive(Serialize)]
struct Count<'a> {
    schema: Option<&'a str>,
    kind: &'static str,
    only_left: usize,
    only_right: usize,
    changed: usize,
}

#[derive(Serialize)]
struct NotCounted {
    class: &'static str,
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
        expected: report.expected.iter().map(difference).collect(),
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
        change: match difference.change {
            Change::OnlyLeft => "only_left",
            Change::OnlyRight => "only_right",
            Change::Changed => "changed",
        },
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
