//! The page of a report in a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "support/browser.rs"]
mod browser;
mod support;

use std::time::SystemTime;

use browser::Browser;
use pum::{Connection, Filter, HtmlOptions, Run, Target, check};
use serde_json::json;

fn database(script: &str) -> Target {
    let target = support::database("page");
    let mut connection = Connection::open_for_scripts(&target, &Run::new()).unwrap();
    connection.execute(script).unwrap();
    target
}

/// Names that would run a script, end an element or an attribute, turn or break a line; one `X` of each is what differs.
const HOSTILE: &str = r#"
    create schema "<script>window.pwned=1</script>";
    create table "<script>window.pwned=1</script>"."""><img src=x onerror=window.pwned=2>"
        (a X, "</style><script>window.pwned=3</script>" text default '</script><script>window.pwned=4</script>X');
    create table public."' onmouseover='window.pwned=5" ("--><svg onload=window.pwned=6>" X);
    create table public.pipe (id int primary key, diameter X);
    create table public.valve (id X);
    create table public."{{ 7*7 }} ${window.pwned=7}" (a X, "a very long name that goes on and on and on and on and on, on" X);
    create function public.f() returns text language plpgsql as $f$
    begin
      return '</td></table></details><script>window.pwned=8</script>X';
    end $f$;
"#;

#[test]
fn the_page_works_in_a_browser_and_nothing_in_it_is_run() {
    let left = database(&format!(
        "{}; create table public.\"line\nturned \u{202e}over\u{200b}\u{7}\" (a int, \"<b>\" int);",
        HOSTILE.replace('X', "int")
    ));
    let right = database(&HOSTILE.replace('X', "bigint"));
    let report = check(&left, &right, &Filter::default(), &Run::new()).unwrap();
    let html = report.to_html(&HtmlOptions {
        moment: Some(SystemTime::now()),
    });
    assert!(!html.contains(['\u{202e}', '\u{200b}', '\u{7}']));

    let Some(browser) = Browser::start() else { return };
    browser.emulate("screen", "light");
    browser.open(&html);
    assert_eq!(browser.console(), json!([]), "the console is empty");
    assert_eq!(
        browser.ask("document.querySelector('h1').textContent"),
        "11 differences"
    );
    let heading = "document.querySelector('.group h4').textContent";
    assert_eq!(
        browser.ask(heading),
        "<script>window.pwned=1</script>.\"><img src=x onerror=window.pwned=2>"
    );
    let lines = r"Array.from(document.querySelectorAll('h4 bdi'), (node) => node.textContent)";
    let names = browser.ask(lines);
    assert!(
        names
            .as_array()
            .unwrap()
            .contains(&"line\\nturned \\u{202e}over\\u{200b}\\u{7}".into()),
        "{names}"
    );

    // It is drawn, and otherwise in the dark.
    let light = browser.screenshot();
    assert!(
        light.width >= 1200 && light.colours() > 100,
        "{} colours",
        light.colours()
    );
    assert!(light.brightness() > 200, "{}", light.brightness());
    browser.emulate("screen", "dark");
    let dark = browser.screenshot();
    assert!(dark.colours() > 100 && dark.brightness() < 70, "{}", dark.brightness());
    browser.emulate("screen", "light");

    // The filter: by name, by kind and change, by a part that is folded; what is out comes back.
    let all = browser.count(".item");
    assert_eq!(all, 9, "the columns of the missing table are told with it");
    for (words, items) in [
        ("PIPE", 1),
        ("columns changed", 7),
        ("function", 1),
        ("only left", 1),
        ("<b>", 1),
        ("onmouseover", 1),
        ("there is no such thing", 0),
    ] {
        browser.filter(words);
        assert_eq!(browser.count(".item"), items, "{words}");
        let told = browser.ask("document.getElementById('shown').textContent");
        assert_eq!(told, format!("{items} of {all} shown"));
        assert_eq!(browser.count("#nothing"), u64::from(items == 0));
    }
    // A link of the summary leads to its place though the filter has it out.
    let place = "document.querySelector('.counts a').click()";
    browser.ask(place);
    browser.post(
        "/execute/async",
        &json!({"script": "setTimeout(arguments[0], 100)", "args": []}),
    );
    assert_eq!(browser.count(".item"), all);
    assert_eq!(browser.count(".group:target"), 1);

    // Every definition can be unfolded by the keyboard, and on paper all are.
    let folded = "document.querySelectorAll('#differences details:not([open])').length";
    assert_ne!(browser.ask(folded), 0);
    browser.emulate("print", "light");
    assert_eq!(browser.count("#tools"), 0);
    browser.ask(&format!(
        "addEventListener('beforeprint', () => {{ window.foldedInPrint = {folded} }})"
    ));
    browser.post("/goog/cdp/execute", &json!({"cmd": "Page.printToPDF", "params": {}}));
    assert_eq!(browser.ask("window.foldedInPrint"), 0);
    browser.emulate("screen", "light");
    assert_ne!(browser.ask(folded), 0, "as it was before");
    browser.ask("document.getElementById('unfold').focus()");
    browser.post(
        "/actions",
        &json!({"actions": [{"type": "key", "id": "k", "actions": [
            {"type": "keyDown", "value": "\u{e007}"}, {"type": "keyUp", "value": "\u{e007}"}]}]}),
    );
    assert_eq!(browser.ask(folded), 0);

    browser.holds_nothing_but_text();

    // On a narrow screen nothing has to be scrolled sideways.
    browser.width(380);
    let wide = browser.ask("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 380, "{wide}");
}
