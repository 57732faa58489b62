use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::rehearsal::Sampled;
use crate::rehearsal::contract::ContractStep;
use crate::rehearsal::crash::CrashPoint;
use crate::rehearsal::evidence::{HeldLock, Rewrite, TableChange};

fn contract(steps: usize) -> Contract {
    let names = (1..=steps).map(|number| {
        (
            format!("1.{number}.0 step"),
            PathBuf::from(format!("delta_{number}.sql")),
        )
    });
    let names: Vec<_> = names.collect();
    Contract {
        copied: 1_700_000_000,
        clean: true,
        steps: names
            .iter()
            .map(|(step, path)| ContractStep {
                step: step.clone(),
                path: path.clone(),
                digest: String::new(),
                milliseconds: 100,
            })
            .collect(),
        evidence: Evidence {
            steps: names
                .into_iter()
                .enumerate()
                .map(|(place, (step, path))| StepEvidence {
                    step,
                    path,
                    begin: 100 * place as u64,
                    milliseconds: 100,
                    wal_bytes: 5_000_000,
                    statements: Vec::new(),
                    statement_count: 0,
                })
                .collect(),
            size: [10_000_000, 12_000_000],
            ..Evidence::default()
        },
        ..Contract::default()
    }
}

fn place(step: usize) -> Place {
    Place {
        step,
        statement: None,
        line: None,
    }
}

fn lock(relation: &str, begin: u64, milliseconds: u64) -> HeldLock {
    HeldLock {
        relation: relation.to_owned(),
        table: None,
        mode: "AccessExclusiveLock".to_owned(),
        keeps_out: KeepsOut::Readers,
        taken_by: place(0),
        begin,
        milliseconds,
        until_commit: true,
    }
}

fn rewrite(relation: &str, step: usize, bytes: u64) -> Rewrite {
    Rewrite {
        relation: relation.to_owned(),
        table: None,
        by: place(step),
        bytes,
    }
}

#[test]
fn nothing_due_and_nothing_measured_is_a_page_too() {
    let html = contract(0).to_html(&HtmlOptions::default());
    assert!(html.contains("Nothing was due. "));
    assert!(html.contains("<p>Nothing is due.</p>"));
    assert!(!html.contains("id=\"forecast\"") && !html.contains("class=\"timeline\""));
    assert!(!html.contains("before this page was written"));
    assert!(html.contains("whose comparison this version cannot show"));
    assert!(html.contains("No lock was seen"));
}

#[test]
fn an_upgrade_that_must_not_be_interrupted_is_no_clean_one() {
    let mut contract = contract(2);
    contract.clean = false;
    let point = |step, problem: Option<&str>| CrashPoint {
        step,
        statement: 3,
        problem: problem.map(str::to_owned),
    };
    contract.crashes = Some(Crashes {
        points: vec![point(0, None), point(1, Some("public.<t> has 3 rows more"))],
        not_tried: Vec::new(),
    });
    let html = contract.to_html(&HtmlOptions::default());
    assert!(
        html.contains("<h1 class=\"differ\">An upgrade that is killed and run again does not come to the same</h1>")
    );
    assert!(html.contains("killed in 1.2.0 step after statement 3, and run again: public.&#60;t&#62; has 3 rows more"));
    assert!(html.contains("was killed in 2 steps, and run again. 1 time it came to the same;"));
    contract.crashes = None;
    let html = contract.to_html(&HtmlOptions::default());
    assert!(html.contains(">The upgraded copy is not what it must be</h1>"));
    assert!(!html.contains("id=\"killed\"") && html.contains("pum test --crash"));
}

#[test]
fn how_it_was_copied_is_told() {
    let mut contract = contract(1);
    contract.copy.method = CopyMethod::Physical;
    let html = contract.to_html(&HtmlOptions::default());
    assert!(html.contains("with pg_basebackup") && !html.contains("<li>Bloat: "));
    assert!(html.contains("Forecast for production"));
    contract.copy.method = CopyMethod::Restore;
    contract.copy.schema_only = true;
    let html = contract.to_html(&HtmlOptions::default());
    assert!(html.contains("dumped and restored without rows") && html.contains("<li>Bloat: "));
    assert!(html.contains("<b>Warning</b> the copy has no rows: "));
    contract.copy.schema_only = false;
    contract.copy.sampled = Some(Sampled {
        sample: "0.5%".parse().unwrap(),
        tables: 3,
        drawn: 500,
        needed: 20,
    });
    let html = contract.to_html(&HtmlOptions::default());
    assert!(html.contains("dumped and restored with a sample of the rows of large tables"));
    assert!(
        html.contains("<b>Warning</b> the copy has a sample of 0.5% of the rows of large tables (500 rows of 3 tables")
    );
    // What a part of the rows took and lost is no figure of production.
    assert!(!html.contains("Forecast for production"));
    contract.evidence.data = vec![TableChange {
        table: "public.a".to_owned(),
        rows_before: Some(500),
        rows_after: Some(400),
        columns_changed: Vec::new(),
        columns_dropped: Vec::new(),
        loses: true,
    }];
    assert!(
        contract
            .to_html(&HtmlOptions::default())
            .contains("production loses more")
    );
}

#[test]
fn the_age_is_told() {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 2 * 86_400 + 3 * 3_600);
    let html = contract(1).to_html(&HtmlOptions { moment: Some(now) });
    assert!(html.contains("2 d 3 h before this page was written"));
    assert!(html.contains("14 November 2023, 22:13 UTC"));
}

#[test]
fn what_exists_twice_is_counted_until_it_is_committed() {
    let mut contract = contract(3);
    contract.evidence.rewrites = vec![
        rewrite("public.a", 0, 40_000_000),
        rewrite("public.b", 0, 2_000_000),
        rewrite("public.c", 2, 30_000_000),
    ];
    let disk = |contract: &Contract| estimates(contract).remove(2).value;
    // The largest step, what the database grows by, and the log.
    assert_eq!(disk(&contract), "about 59.0 MB");
    contract.single_transaction = true;
    assert_eq!(disk(&contract), "about 89.0 MB");
    let estimates = estimates(&contract);
    assert_eq!(estimates[1].value, "about 15.0 MB");
    assert_eq!(estimates[3].value, "1.5 s at 10 MB/s, 150 ms at 100 MB/s");
}

#[test]
fn of_many_relations_those_are_drawn_that_keep_others_out_longest() {
    let mut contract = contract(1);
    contract.evidence.locks = (0..100)
        .map(|number| lock(&format!("public.t{number:03}"), number, 1 + number))
        .collect();
    let timeline = Timeline::of(&contract.evidence).unwrap();
    assert_eq!(
        (timeline.rows.len(), timeline.more, timeline.locks.len()),
        (25, 75, 100)
    );
    assert_eq!(timeline.rows[0].name, "public.t075");
    assert_eq!(timeline.rows[24].name, "public.t099");
    // Upon 99 ms it begins, and lasts 100 ms: 199 ms are the whole width.
    let bar = &timeline.rows[24].bars[0];
    assert_eq!((&*bar.x, &*bar.width), ("49.749%", "50.251%"));
    let html = contract.to_html(&HtmlOptions::default());
    assert!(html.contains("75 more are in the table"));
    assert!(html.contains("<summary>90 more</summary>"));
    assert!(
        html.contains("<b>100 ms</b> <span>is the longest that readers and writers are kept out: public.t099</span>")
    );
}

#[test]
fn a_lock_of_an_index_stands_in_the_row_of_its_table() {
    let of_table = |relation: &str, table: &str| HeldLock {
        table: Some(table.to_owned()),
        ..lock(relation, 2, 3)
    };
    let evidence = Evidence {
        locks: vec![
            lock("public.t", 0, 10),
            of_table("public.t_b", "public.t"),
            of_table("public.u_b", "public.u"),
        ],
        ..Evidence::default()
    };
    let timeline = Timeline::of(&evidence).unwrap();
    let rows: Vec<_> = timeline.rows.iter().map(|row| (&*row.name, row.bars.len())).collect();
    assert_eq!(rows, [("public.t", 2), ("public.u_b", 1)]);
}

#[test]
fn a_lock_that_changes_no_structure_is_not_the_last_touch() {
    let mut contract = contract(2);
    let statement = |number: usize, text: &str| StatementEvidence {
        number,
        line: number,
        text: text.to_owned(),
        begin: 0,
        milliseconds: 1,
        rows: 0,
        wal_bytes: 0,
    };
    contract.evidence.steps[0].statements = vec![
        statement(1, "alter table public.t add a int"),
        statement(
            2,
            "create function public.f(a int) returns int as 'select public.other()'",
        ),
    ];
    contract.evidence.steps[1].statements = vec![statement(1, "analyze public.t")];
    let taken = |step: usize| Place {
        step,
        statement: Some(1),
        line: Some(1),
    };
    contract.evidence.locks = vec![
        lock("public.t", 0, 10),
        lock("public.t", 100, 10),
        lock("public.\"T 2\"", 0, 10),
    ];
    contract.evidence.locks[0].taken_by = taken(0);
    contract.evidence.locks[1].taken_by = taken(1);
    let touched = LastTouched::of(&contract.evidence);
    let by = |name: &str| touched.by("public", name).map(|touched| (touched.step, touched.words));
    assert_eq!(by("t"), Some((1, "1.1.0 step, line 1".to_owned())));
    assert_eq!(by("f(integer)"), Some((1, "1.1.0 step, line 2".to_owned())));
    assert_eq!(by("T 2"), Some((1, "1.1.0 step".to_owned())));
    assert_eq!(by("other()"), None);
    assert_eq!(by("other"), None);
}
