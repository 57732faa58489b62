//! The report as JUnit XML, which servers of continuous integration read.
//!
//! A test suite for each kind that was compared, in it a failing test case for each object that differs; a kind without
//! differences is a passing case, so that a comparison never looks as if nothing had been tested. Differences that are
//! known are skipped cases.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::escape::escape;
use super::{Report, text};
use crate::catalog::{KINDS, Kind};
use crate::diff::{Change, Difference};

pub(super) fn render(report: &Report) -> String {
    let name = format!("{} and {}", report.left.target, report.right.target);
    let mut junit = Junit::new(escape(&name));
    junit.add_test_suite(comparison(report));
    for kind in KINDS.iter().copied().chain([Kind::DATA]) {
        let differences = report.differences().iter();
        let of_kind = differences.filter(|difference| difference.object.kind == kind);
        let mut cases: Vec<TestCase> = of_kind.map(failed).collect();
        if cases.is_empty() && report.compared(kind) {
            cases.push(case("no differences", kind.name(), TestCaseStatus::success()));
        }
        let expected = report.known().filter(|(difference, _)| difference.object.kind == kind);
        cases.extend(expected.map(|(difference, reason)| known(difference, reason)));
        if cases.is_empty() {
            continue;
        }
        let mut suite = TestSuite::new(kind.title());
        suite.add_test_cases(cases);
        junit.add_test_suite(suite);
    }
    // It writes into memory what is escaped already: this cannot fail.
    junit.to_string().unwrap_or_default()
}

/// That there was a comparison, and what it left out.
fn comparison(report: &Report) -> TestSuite {
    let mut both = case("both databases were read", "comparison", TestCaseStatus::success());
    both.set_system_out(text::frame(report));
    let mut suite = TestSuite::new("comparison");
    suite.add_test_case(both);
    suite
}

fn failed(difference: &Difference) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_message(match difference.change {
            Change::OnlyLeft => "only left".to_owned(),
            Change::OnlyRight => "only right".to_owned(),
            Change::Changed => {
                let names = difference.attributes.iter().map(|attribute| escape(&attribute.name));
                format!("changed: {}", names.collect::<Vec<_>>().join(", "))
            }
        })
        .set_description(text::difference(difference));
    of(difference, status)
}

fn known(difference: &Difference, reason: Option<&str>) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(match reason {
        Some(reason) => format!("an expected difference: {}", escape(reason)),
        None => "an expected difference".to_owned(),
    });
    of(difference, status)
}

fn of(difference: &Difference, status: TestCaseStatus) -> TestCase {
    let name = escape(&difference.object.to_string());
    case(&name, difference.object.kind.name(), status)
}

fn case(name: &str, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("pum.{class}"));
    case
}
