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
    differences: Vec<Difference<'a>>,
    not_compared: Vec<NotCompared<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Side<'a> {
    target: &'a str,
    server_version: &'a str,
}

#[derive(Serialize)]
struct Difference<'a> {
    kind: &'static str,
    schema: Option<&'a str>,
    relation: Option<&'a str>,
    name: &'a str,
    change: &'static str,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'a str,
    left: Option<&'a str>,
    right: Option<&'a str>,
}

#[derive(Serialize)]
struct NotCompared<'a> {
    kind: &'a str,
    left: u64,
    right: u64,
}

pub(super) fn render(report: &Report) -> String {
    let document = Document {
        schema: "pum/check/1",
        same: report.same(),
        left: side(&report.left),
        right: side(&report.right),
        differences: report.differences().iter().map(difference).collect(),
        not_compared: report
            .not_compared
            .iter()
            .map(|count| NotCompared {
                kind: &count.kind,
                left: count.left,
                right: count.right,
            })
            .collect(),
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

fn difference(difference: &crate::diff::Difference) -> Difference<'_> {
    let object = &difference.object;
    Difference {
        kind: object.kind.name(),
        schema: some(&object.schema),
        relation: some(&object.relation),
        name: &object.name,
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
        remark: match difference.class {
            Some(class) => Some(class.to_string()),
            None => difference.maybe_spelling.then(|| "may be spelling only".to_owned()),
        },
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
