//! A real browser: headless Chromium, driven through chromedriver.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

/// A browser, ended when it goes out of scope.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _files: tempfile::TempDir,
}

impl Browser {
    /// None, with a word on standard error, where there is no chromedriver. In CI that is a failure.
    pub fn start() -> Option<Browser> {
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

    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
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

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.call("POST", path, body);
        assert!(answer["error"].is_null(), "{path} {body}: {answer}");
        answer
    }

    /// What a script returns.
    pub fn ask(&self, script: &str) -> Value {
        self.post(
            "/execute/sync",
            &json!({"script": format!("return {script}"), "args": []}),
        )
    }

    pub fn count(&self, selector: &str) -> u64 {
        let script = format!(
            "Array.from(document.querySelectorAll('{selector}')).filter((node) => node.checkVisibility()).length"
        );
        self.ask(&script).as_u64().unwrap()
    }

    /// Types into the filter box as a person does, and waits until the page has drawn.
    pub fn filter(&self, text: &str) {
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

    pub fn emulate(&self, media: &str, scheme: &str) {
        let params = json!({"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": "Emulation.setEmulatedMedia", "params": params}),
        );
    }

    pub fn screenshot(&self) -> Picture {
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

    /// Opens a page, as a file.
    pub fn open(&self, html: &str) {
        let file = self._files.path().join("page.html");
        std::fs::write(&file, html).unwrap();
        self.post("/url", &json!({"url": format!("file://{}", file.display())}));
    }

    /// Makes the screen so many pixels wide.
    pub fn width(&self, width: u32) {
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": "Emulation.setDeviceMetricsOverride",
                    "params": {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": true}}),
        );
    }

    /// What the console says; reading it empties it.
    pub fn console(&self) -> Value {
        self.post("/se/log", &json!({"type": "browser"}))
    }

    /// Nothing of what the databases and the files hold became more than text, and were something injected, the policy of
    /// the page would not let it run. Whatever could would set `window.pwned`.
    pub fn holds_nothing_but_text(&self) {
        assert_eq!(self.ask("typeof window.pwned"), "undefined");
        assert_eq!(self.ask("document.scripts.length"), 1);
        assert_eq!(
            self.ask("document.querySelectorAll('img, [onmouseover], [onerror], [onload]').length"),
            0
        );
        let alert = self.call("GET", "/alert/text", &Value::Null);
        assert_eq!(alert["error"], "no such alert");
        assert_eq!(self.console(), json!([]), "the console is empty at the end");

        self.ask("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned=9\">')");
        self.post(
            "/execute/async",
            &json!({"script": "const s = document.createElement('script'); s.textContent = 'window.pwned=10'; \
                               document.body.append(s); setTimeout(arguments[0], 300)", "args": []}),
        );
        assert_eq!(self.ask("typeof window.pwned"), "undefined");
        assert_ne!(self.console(), json!([]), "the refusal is in the console");
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

pub struct Picture {
    pub width: u32,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    pub fn colours(&self) -> usize {
        self.pixels.iter().collect::<BTreeSet<_>>().len()
    }

    pub fn brightness(&self) -> u64 {
        let sum: u64 = self.pixels.iter().flatten().map(|part| u64::from(*part)).sum();
        sum / (3 * self.pixels.len() as u64)
    }
}
