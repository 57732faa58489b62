//! The page of a report in a real browser: headless Chromium, driven through chromedriver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use base64::Engine;
use pum::{Connection, Filter, HtmlOptions, Run, Target, check};
use serde_json::{Value, json};

/// A browser, ended when it goes out of scope.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _files: tempfile::TempDir,
}

impl Browser {
    /// None, with a word on standard error, where there is no chromedriver. In CI that is a failure.
    fn start() -> Option<Browser> {
        let driver = Command::new("chromedriver")
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                let sentence = format!(
                    "The page was NOT looked at in a browser: chromedriver cannot be started ({error}). \
                     Install chromium and chromium-driver (apt-get install chromium chromium-driver)."
                );
                assert!(std::env::var_os("CI").is_none(), "{sentence}");
                // Not by a macro, so that it is shown though the test passes.
                let shown = std::io::stderr().write_all(format!("\n{sentence}\n\n").as_bytes());
                shown.unwrap();
                return None;
            }
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let port = line.split("started successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse().ok()
        });
        // Nobody reads what it says later; it must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Browser {
            driver,
            port: port.expect("chromedriver tells its port"),
            session: String::new(),
            _files: tempfile::tempdir().unwrap(),
        };
        let files = browser._files.path().display();
        let mut options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            format!("--user-data-dir={files}"), "--window-size=1280,1600", "--hide-scrollbars"
        ]});
        if let Some(binary) = ["/usr/bin/chromium", "/usr/bin/chromium-browser"]
            .into_iter()
            .find(|binary| std::path::Path::new(binary).exists())
        {
            options["binary"] = binary.into();
        }
        let answer = browser.call(
            "POST",
            "",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "unhandledPromptBehavior": "ignore"
            }}}),
        );
        let id = answer["sessionId"].as_str().unwrap_or_else(|| {
            panic!("chromedriver starts no browser; install chromium of the version of chromedriver: {answer}")
        });
        browser.session = format!("/{id}");
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" {
            body.to_string()
        } else {
            String::new()
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        write!(
            stream,
            "{method} /session{}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.session,
            body.len()
        )
        .unwrap();
        // The server may leave the connection open: the length is what counts.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).unwrap() > 0, "chromedriver went away");
            match line.trim_end().to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().unwrap(),
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.call("POST", path, body);
        assert!(answer["error"].is_null(), "{path} {body}: {answer}");
        answer
    }

    /// What a script returns.
    fn ask(&self, script: &str) -> Value {
        self.post(
            "/execute/sync",
            &json!({"script": format!("return {script}"), "args": []}),
        )
    }

    fn count(&self, selector: &str) -> u64 {
        let script = format!(
            "Array.from(document.querySelectorAll('{selector}')).filter((node) => node.checkVisibility()).length"
        );
        self.ask(&script).as_u64().unwrap()
    }

    /// Types into the filter box as a person does, and waits until the page has drawn.
    fn filter(&self, text: &str) {
        let element = self.post("/element", &json!({"using": "css selector", "value": "#filter"}));
        let element = element.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(
            &format!("/element/{element}/value"),
            &json!({"text": format!("{text} ")}),
        );
        let script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(true)))";
        self.post("/execute/async", &json!({"script": script, "args": []}));
    }

    fn emulate(&self, media: &str, scheme: &str) {
        let params = json!({"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": "Emulation.setEmulatedMedia", "params": params}),
        );
    }

    fn screenshot(&self) -> Picture {
        let text = self.call("GET", "/screenshot", &Value::Null);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.as_str().unwrap())
            .unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        let samples = frame.color_type.samples();
        assert!(samples >= 3, "a picture in colours");
        Picture {
            width: frame.width,
            pixels: pixels
                .chunks(samples)
                .map(|pixel| [pixel[0], pixel[1], pixel[2]])
                .collect(),
        }
    }

    /// What the console says; reading it empties it.
    fn console(&self) -> Value {
        self.post("/se/log", &json!({"type": "browser"}))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

struct Picture {
    width: u32,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn colours(&self) -> usize {
        self.pixels.iter().collect::<BTreeSet<_>>().len()
    }

    fn brightness(&self) -> u64 {
        let sum: u64 = self.pixels.iter().flatten().map(|part| u64::from(*part)).sum();
        sum / (3 * self.pixels.len() as u64)
    }
}

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
    let file = tempfile::Builder::new().suffix(".html").tempfile().unwrap();
    std::fs::write(file.path(), &html).unwrap();
    browser.emulate("screen", "light");
    browser.post("/url", &json!({"url": format!("file://{}", file.path().display())}));
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

    // Nothing of what the databases hold became more than text.
    assert_eq!(browser.ask("typeof window.pwned"), "undefined");
    assert_eq!(browser.ask("document.scripts.length"), 1);
    assert_eq!(
        browser.ask("document.querySelectorAll('img, [onmouseover], [onerror], [onload]').length"),
        0
    );
    let alert = browser.call("GET", "/alert/text", &Value::Null);
    assert_eq!(alert["error"], "no such alert");
    assert_eq!(browser.console(), json!([]), "the console is empty at the end");

    // Were something injected, the policy of the page would not let it run.
    browser.ask("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned=9\">')");
    browser.post(
        "/execute/async",
        &json!({"script": "const s = document.createElement('script'); s.textContent = 'window.pwned=10'; \
                           document.body.append(s); setTimeout(arguments[0], 300)", "args": []}),
    );
    assert_eq!(browser.ask("typeof window.pwned"), "undefined");
    assert_ne!(browser.console(), json!([]), "the refusal is in the console");

    // On a narrow screen nothing has to be scrolled sideways.
    browser.post(
        "/goog/cdp/execute",
        &json!({"cmd": "Emulation.setDeviceMetricsOverride",
                "params": {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": true}}),
    );
    let wide = browser.ask("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 380, "{wide}");
}
