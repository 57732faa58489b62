//! The page of a rehearsal, from its file alone, in a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "support/browser.rs"]
mod browser;
mod support;

use std::time::{Duration, SystemTime};

use browser::Browser;
use pum::{
    BaselineOptions, Connection, Contract, Expected, HtmlOptions, KeepsOut, RehearsalOptions, Run, TableName,
    UpgradeOptions, baseline, rehearse,
};
use serde_json::json;

const HOSTILE: &str = "\"<script>window.pwned=1</script>\".\"\"\"></title></svg><img src=x onerror=window.pwned=2>\"";

/// What the upgrade does: a lock that is gone after its statement, one that is held until its transaction ends, a table
/// written anew, an index, rows and values lost, names and texts that would run in a browser.
fn deltas() -> [(&'static str, String); 4] {
    [
        (
            "1.1.0_do",
            "do $$ begin begin lock table t in access exclusive mode; perform pg_sleep(2); raise exception 'undo'; \
             exception when raise_exception then null; end; end $$;\n"
                .to_owned(),
        ),
        (
            "1.2.0_index",
            "create index on public.t (b);\nselect pg_sleep(0.8);\n".to_owned(),
        ),
        (
            "1.3.0_hostile",
            format!(
                "alter table {HOSTILE} add c text default '</code></details><script>window.pwned=3</script>';\n\
                 select '\u{202e}</style><svg onload=window.pwned=4>', pg_sleep(0.1);\n"
            ),
        ),
        (
            "1.4.0_loss",
            "alter table public.t alter a type bigint;\nupdate t set a = a + 1;\ndelete from other;\n\
             alter table public.t drop column b;\nselect nextval('t_id_seq');\n"
                .to_owned(),
        ),
    ]
}

/// The rehearsal of these deltas, as its file holds it.
fn contract() -> Contract {
    let production = support::database("rehearsal_page");
    let run = Run::new();
    let mut connection = Connection::open_for_scripts(&production, &run).unwrap();
    connection
        .execute(&format!(
            "create table t (id serial primary key, a int, b text); \
             insert into t (a, b) select n, 'text ' || n from generate_series(1, 20000) n; \
             create table other (a int); insert into other select 1; \
             create schema \"<script>window.pwned=1</script>\"; create table {HOSTILE} (a int)"
        ))
        .unwrap();
    let table: TableName = "public.upgrades".parse().unwrap();
    baseline(
        &production,
        &BaselineOptions::new(table.clone(), "1.0.0".parse().unwrap()),
        &run,
    )
    .unwrap();
    let directory = tempfile::Builder::new()
        .prefix("<b onmouseover=window.pwned=5>")
        .tempdir()
        .unwrap();
    for (name, text) in deltas() {
        std::fs::write(directory.path().join(format!("delta_{name}.sql")), text).unwrap();
    }
    let expected = directory.path().join("expected.sql");
    std::fs::write(
        &expected,
        "create table t (id serial primary key, a bigint, wanted text); create table other (a int);",
    )
    .unwrap();
    let options = RehearsalOptions {
        expected: Some(Expected::Sql(vec![expected])),
        server: support::options(),
        ..RehearsalOptions::new(UpgradeOptions::new(table, vec![directory.path().to_owned()]))
    };
    let rehearsal = rehearse(&production, &options, &run).unwrap();
    let file = directory.path().join("rehearsal.json");
    rehearsal.contract().save(&file).unwrap();
    let contract = Contract::load(&file).unwrap();
    assert_eq!(&contract, rehearsal.contract());
    contract
}

fn now() -> HtmlOptions {
    HtmlOptions {
        moment: Some(SystemTime::now() + Duration::from_secs(3 * 3600)),
    }
}

fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let script = format!("Array.from(document.querySelectorAll('{selector}'), (node) => node.textContent)");
    let texts = browser.ask(&script);
    let texts = texts.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Of a bar of the timeline: where it begins and how long it is, in pixels.
fn bar(browser: &Browser, title: &str) -> (f64, f64) {
    let script = format!(
        "(() => {{ const bars = Array.from(document.querySelectorAll('.timeline g')); \
           const bar = bars.find((bar) => bar.textContent.includes({title:?})); \
           if (!bar) return null; const box = bar.getBoundingClientRect(); return [box.left, box.width]; }})()"
    );
    let found = browser.ask(&script);
    let number = |place: usize| found[place].as_f64().unwrap_or_else(|| panic!("no bar {title}"));
    (number(0), number(1))
}

#[test]
fn the_page_of_a_rehearsal_works_in_a_browser_and_nothing_in_it_is_run() {
    let contract = contract();
    let html = contract.to_html(&now());
    assert!(!html.contains('\u{202e}'));
    let Some(browser) = Browser::start() else { return };
    browser.emulate("screen", "light");
    browser.open(&html);
    assert_eq!(browser.console(), json!([]), "the console is empty");

    // The verdict comes first, and with it what is lost.
    assert_eq!(texts(&browser, "h1"), ["The upgraded copy is not what it must be"]);
    assert_eq!(
        texts(&browser, ".warnings.lost li"),
        [
            "public.other: 1 → 0 rows, 1 fewer",
            "public.t: 20\u{202f}000 rows, column b is gone with 20\u{202f}000 values, other values in a",
        ]
    );
    let facts = texts(&browser, ".facts dd").join("\n");
    for fact in ["1.0.0 → 1.4.0", "3 h 0 min before", &contract.id(), "4 steps"] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }

    // The plan: a bar for each step, as long as its time.
    assert_eq!(browser.count(".plan > li"), 4);
    let widths =
        browser.ask("Array.from(document.querySelectorAll('rect.time'), (bar) => bar.getBoundingClientRect().width)");
    let widths: Vec<f64> = widths
        .as_array()
        .unwrap()
        .iter()
        .map(|width| width.as_f64().unwrap())
        .collect();
    let times: Vec<f64> = contract
        .evidence
        .steps
        .iter()
        .map(|step| step.milliseconds as f64)
        .collect();
    let longest = |numbers: &[f64]| numbers.iter().copied().fold(0.0, f64::max);
    for (width, time) in widths.iter().zip(&times) {
        let (width, time) = (width / longest(&widths), time / longest(&times));
        assert!((width - time).abs() < 0.01, "{widths:?} {times:?}");
    }
    assert!(texts(&browser, "#s1 code")[0].starts_with("do $$ begin begin lock table t"));

    // The differences, with the step that touched the object last.
    let touched = texts(&browser, ".touched");
    assert!(
        touched.contains(&"last touched by 1.4.0 loss (delta sql), line 4".to_owned()),
        "{touched:?}"
    );
    let changes = texts(&browser, "#differences .what").join("\n");
    assert!(changes.contains("wanted only in the expected database"), "{changes}");
    browser.filter("wanted");
    assert_eq!(browser.count("#differences .item"), 1);
    browser.filter("");

    // The timeline: what was planted is where it was measured.
    let locks = &contract.evidence.locks;
    let whole = browser.ask(
        "(() => { const box = document.querySelector('.timeline > svg').getBoundingClientRect(); \
        return [box.left, box.width]; })()",
    );
    let (left, whole) = (whole[0].as_f64().unwrap(), whole[1].as_f64().unwrap());
    let ends = contract
        .evidence
        .steps
        .iter()
        .map(|step| step.begin + step.milliseconds);
    let ends = ends.chain(locks.iter().map(|lock| lock.begin + lock.milliseconds));
    let end = ends.max().unwrap() as f64;
    for (keeps_out, step, title) in [
        (KeepsOut::Readers, 0, "public.t: readers and writers kept out for"),
        (KeepsOut::Writers, 1, "public.t: writers kept out for"),
        (
            KeepsOut::Readers,
            2,
            "onerror=window.pwned=2>\": readers and writers kept out for",
        ),
    ] {
        let lock = locks
            .iter()
            .find(|lock| lock.taken_by.step == step && lock.keeps_out == keeps_out && lock.milliseconds > 50)
            .unwrap_or_else(|| panic!("{step}: {locks:?}"));
        let (begin, length) = bar(&browser, title);
        let drawn = |milliseconds: u64| milliseconds as f64 / end * whole;
        assert!(
            (begin - left - drawn(lock.begin)).abs() < 6.0,
            "{title}: {begin} {lock:?}"
        );
        assert!(
            (length - drawn(lock.milliseconds)).abs() < 6.0,
            "{title}: {length} {lock:?}"
        );
    }
    assert!(bar(&browser, "public.t: a reader waited").1 > 20.0);
    assert!(bar(&browser, "public.t: a writer waited").1 > 20.0);
    assert_eq!(browser.count(".timeline line.step"), 4);
    assert!(texts(&browser, "#timeline-about")[0].contains("are kept out is"));
    let rows = browser.ask("document.querySelectorAll('#locks .timeline + p + details tbody tr').length");
    assert_eq!(rows, locks.len(), "the same as a table");

    // What else was planted.
    let blocks = texts(&browser, ".blocks article").join("\n");
    for words in ["delta_1.1.0_do.sql", "AccessExclusiveLock, given back before", "line 1"] {
        assert!(blocks.contains(words), "{words}: {blocks}");
    }
    assert!(
        texts(&browser, "#written tbody")
            .join("\n")
            .contains("alter table public.t alter a type bigint")
    );
    assert!(texts(&browser, "#data tbody").join("\n").contains("public.t_id_seq"));
    let foretold = texts(&browser, "#foretold dl > div").join("\n");
    for words in [
        "changing-column-type",
        "seen on the copy",
        "alter table public.t alter a type bigint",
    ] {
        assert!(foretold.contains(words), "{words}: {foretold}");
    }
    let forecast = texts(&browser, "#forecast").join("\n");
    for words in ["estimates", "10 MB/s", "about"] {
        assert!(forecast.contains(words), "{words}: {forecast}");
    }
    assert!(contract.preflight.is_some());
    assert_eq!(browser.count("#preflight h2"), 1);
    assert!(texts(&browser, "#unmeasured li").len() >= 4);

    // Every link leads somewhere, and no name is given twice.
    let lost = "Array.from(document.querySelectorAll('a'), (link) => link.getAttribute('href'))\
                .filter((link) => !link.startsWith('#') || !document.getElementById(link.slice(1)))";
    assert_eq!(browser.ask(lost), json!([]));
    let twice = "(() => { const names = Array.from(document.querySelectorAll('[id]'), (node) => node.id); \
                 return names.filter((name, place) => names.indexOf(name) !== place); })()";
    assert_eq!(browser.ask(twice), json!([]));

    // It is drawn, and otherwise in the dark.
    let light = browser.screenshot();
    assert!(light.width >= 1200 && light.colours() > 100, "{}", light.colours());
    assert!(light.brightness() > 200, "{}", light.brightness());
    browser.emulate("screen", "dark");
    let dark = browser.screenshot();
    assert!(dark.colours() > 100 && dark.brightness() < 70, "{}", dark.brightness());
    // The timeline too.
    let paint = "getComputedStyle(document.querySelector('.timeline g.readers')).fill";
    let in_the_dark = browser.ask(paint);
    browser.emulate("screen", "light");
    assert_ne!(browser.ask(paint), in_the_dark);

    // On paper everything is unfolded, and nothing has to be scrolled.
    browser.emulate("print", "light");
    assert_eq!(browser.count("nav"), 0);
    assert_eq!(
        browser.ask("getComputedStyle(document.querySelector('.timeline')).overflowX"),
        "visible"
    );
    browser.ask(
        "addEventListener('beforeprint', () => { window.folded = document.querySelectorAll('details:not([open])').length })",
    );
    browser.post("/goog/cdp/execute", &json!({"cmd": "Page.printToPDF", "params": {}}));
    assert_eq!(browser.ask("window.folded"), 0);
    browser.emulate("screen", "light");

    assert!(
        texts(&browser, ".names li")
            .iter()
            .any(|name| name.contains("<img src=x onerror=window.pwned=2>"))
    );
    assert_eq!(browser.ask("document.querySelectorAll('[style]').length"), 0);
    browser.holds_nothing_but_text();

    // On a narrow screen only the timeline is scrolled sideways, and the names stay in sight.
    browser.width(380);
    let wide = browser.ask("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 380, "{wide}");
    let scrolled = browser.ask(
        "(() => { const picture = document.querySelector('.timeline'); picture.scrollLeft = 200; \
           return [picture.scrollLeft, document.querySelector('.names li').getBoundingClientRect().left]; })()",
    );
    assert_eq!(scrolled[0], 200);
    assert!(scrolled[1].as_f64().unwrap() >= 0.0, "{scrolled}");
}
