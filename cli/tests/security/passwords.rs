//! Passwords that are hostile to every notation, given in each way there is, to commands that end well, are refused, fail
//! and are killed: what they say, write and start holds nothing of them.
//!
//! `PUM_SECRETS=full cargo test -p pum-cli --test security passwords -- --nocapture` looks through hundreds of runs.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pum::Server;

use crate::secrets::{TYPED, Watch, files};
use crate::support::{Place, TABLE, sql, start, text};

/// Every part of a password holds it, so that it is found however little of the password is shown.
const CANARY: &str = "Kanari7";

/// `K` stands for the canary.
const PASSWORDS: [&str; 6] = [
    "K%41K%K K%00K",
    "K'K' K\\K\\\\K\\'K",
    "K\"K$(touch K)`K`;K&K|K<K>*K",
    "KпарольKñK\u{202e}K",
    "K:K@K/K?K#K&password=K",
    "K' host=K dbname='K",
];

/// How a password is given.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Uri,
    Conninfo,
    Variable,
    Passfile,
    Service,
    Config,
}

const WAYS: [Way; 6] = [
    Way::Uri,
    Way::Conninfo,
    Way::Variable,
    Way::Passfile,
    Way::Service,
    Way::Config,
];

/// A server with a role for each password, and production at 1.0.0.
struct Town {
    server: Server,
    rules: PathBuf,
    temporary: tempfile::TempDir,
}

fn password(number: usize) -> String {
    PASSWORDS[number].replace('K', CANARY)
}

impl Town {
    fn new() -> Town {
        let temporary = tempfile::Builder::new().prefix("pt-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let rules = std::env::temp_dir().join(format!("pum-password-rules-{}", std::process::id()));
        fs::write(&rules, "local all postgres trust\nlocal all all scram-sha-256\n").unwrap();
        fs::set_permissions(&rules, PermissionsExt::from_mode(0o644)).unwrap();
        let server = start(&[("hba_file", text(&rules))]);
        for number in 0..PASSWORDS.len() {
            let quoted = password(number).replace('\'', "''");
            sql(
                &server.target("postgres"),
                &format!(
                    "set standard_conforming_strings = on; create role water_{number} login superuser password '{quoted}';\nselect ''"
                ),
            );
        }
        let production = server.create_database("prod").unwrap();
        sql(
            &production,
            "create table public.pipe(id int primary key, name text);
             insert into public.pipe select n, md5(n::text) from generate_series(1, 5000) n;\nselect ''",
        );
        let options = pum::BaselineOptions::new(TABLE.parse().unwrap(), "1.0.0".parse().unwrap());
        pum::baseline(&production, &options, &pum::Run::new()).unwrap();
        server.create_database("other").unwrap();
        Town {
            server,
            rules,
            temporary,
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.rules);
    }
}

/// A place in which a password is given in one way.
struct Given<'a> {
    town: &'a Town,
    place: Place,
    way: Way,
    /// Host, user and what else every connection string holds.
    host: String,
    role: String,
    password: String,
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn conninfo(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl<'a> Given<'a> {
    fn new(town: &'a Town, number: usize, way: Way, password: String) -> Given<'a> {
        let place = Place::with_deltas(&[("delta_1.1.0_wrong.sql", "select 1/0;\n")]);
        let role = format!("water_{number}");
        let host = text(town.server.socket_directory()).to_owned();
        let place = match way {
            Way::Variable => place.set("PGPASSWORD", &password),
            Way::Passfile => {
                let line = password.replace('\\', "\\\\").replace(':', "\\:");
                let passes = place.write("passes", format!("*:*:*:{role}:{line}\n"));
                fs::set_permissions(&passes, PermissionsExt::from_mode(0o600)).unwrap();
                place.set("PGPASSFILE", text(&passes))
            }
            Way::Service => {
                let services: String = ["prod", "other"]
                    .iter()
                    .map(|name| {
                        format!(
                            "[{name}]\nhost={host}\ndbname={name}\nuser={role}\npassword={password}\nsslmode=disable\n"
                        )
                    })
                    .collect();
                place.write(".pg_service.conf", services);
                place
            }
            _ => place,
        };
        let given = Given {
            town,
            place,
            way,
            host,
            role,
            password,
        };
        if way == Way::Config {
            let line = given.target("prod").replace('\'', "''");
            given.place.write("pum.yaml", format!("pg_service: '{line}'\n"));
        }
        given
    }

    /// What names a database.
    fn target(&self, database: &str) -> String {
        let Given { host, role, .. } = self;
        let bare = format!("host={host} dbname={database} user={role} sslmode=disable");
        match self.way {
            Way::Uri => format!(
                "postgresql://{role}:{}@/{database}?host={}&sslmode=disable",
                percent(&self.password),
                percent(host)
            ),
            Way::Conninfo | Way::Config => format!("{bare} password={}", conninfo(&self.password)),
            Way::Variable | Way::Passfile => bare,
            Way::Service => database.to_owned(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.program("/usr/bin/setsid");
        command
            .args(["-w", env!("CARGO_BIN_EXE_pum")])
            .args(words)
            .env("TMPDIR", self.town.temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if matches!(self.way, Way::Uri | Way::Conninfo) {
            command.env(TYPED, "yes");
        }
        command
    }

    /// Words with the name of production, where the configuration does not have it.
    fn on_production(&self, words: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        if self.way != Way::Config {
            words.extend(["-p".to_owned(), self.target("prod")]);
        }
        words
    }

    fn run(&self, words: &[String], code: i32) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.command(&words).output().unwrap();
        self.look_through(&words, &output);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{:?} {words:?}: {said}", self.way);
    }

    /// Neither what was said nor what was written holds anything of the password.
    fn look_through(&self, words: &[&str], output: &Output) {
        for stream in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(stream);
            assert!(!said.contains(CANARY), "{:?} {words:?}: {said}", self.way);
        }
        let mut found = Vec::new();
        files(&self.place.path(""), &mut found);
        files(self.town.temporary.path(), &mut found);
        for file in found {
            // Where the operator wrote it.
            if [".pg_service.conf", "passes", "pum.yaml"]
                .iter()
                .any(|name| file.ends_with(name))
            {
                continue;
            }
            let bytes = fs::read(&file).unwrap_or_default();
            let holds = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!holds, "{:?} {words:?}: {}", self.way, file.display());
        }
    }
}

const ON: [&str; 4] = ["-t", TABLE, "-d", "deltas"];

/// The runs of one password, given in one way; how many.
fn runs(given: &Given<'_>, number: usize, full: bool) -> usize {
    let with = |words: &[&str]| given.on_production(&[words, &ON].concat());
    let mut count = 0;
    let mut run = |given: &Given<'_>, words: &[String], code: i32| {
        given.run(words, code);
        count += 1;
    };
    run(given, &with(&["info"]), 0);
    run(given, &with(&["upgrade"]), 1);
    // The same, and more: the server refuses it.
    let wrong = Given::new(given.town, number, given.way, format!("{}{CANARY}", given.password));
    run(&wrong, &wrong.on_production(&[&["info"][..], &ON].concat()), 6);
    if !full {
        return count;
    }
    run(given, &with(&["info", "--format", "json"]), 0);
    run(given, &with(&["upgrade", "-vv", "--format", "json"]), 1);
    run(given, &given.on_production(&["dump", "town.backup"]), 0);
    run(given, &given.on_production(&["snapshot", "-o", "town.json"]), 0);
    run(&wrong, &wrong.on_production(&["dump", "town.backup"]), 6);
    if given.way == Way::Config {
        run(given, &["config".to_owned()], 0);
        let whole = fs::read_to_string(given.place.path("pum.yaml")).unwrap();
        given
            .place
            .write("pum.yaml", whole.replace("pg_service: ", "pg_servce: "));
        run(given, &["config".to_owned()], 2);
        given.place.write("pum.yaml", whole.trim_end().to_owned() + " x\n");
        run(given, &["config".to_owned()], 2);
        given.place.write("pum.yaml", whole);
    } else {
        let (prod, other) = (given.target("prod"), given.target("other"));
        let check = |report: &str| ["check", "-p1", &prod, "-p2", &other, "-o", report].map(str::to_owned);
        run(given, &check("report.html"), 1);
        run(given, &check("report.json"), 1);
    }
    for moment in 1..4 {
        let words = given.on_production(&["dump", "killed.backup"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = given.command(&words).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(40 * moment));
        child.kill().unwrap();
        given.look_through(&words, &child.wait_with_output().unwrap());
        count += 1;
    }
    count
}

/// What is no connection string, because the password is not written as its notation wants it.
fn mistyped(town: &Town, number: usize) -> usize {
    let given = Given::new(town, number, Way::Conninfo, password(number));
    let Given { host, password, .. } = &given;
    let targets = [
        format!("postgresql://water_{number}:{password}@localhost:x/prod"),
        format!("postgresql://water_{number}:{password}@[::1/prod"),
        format!("host={host} dbname=prod user=water_{number} password={password} nonsense"),
        format!("pasword={} host={host} dbname=prod", conninfo(password)),
    ];
    for target in &targets {
        let words = ["info", "-t", TABLE, "-d", "deltas", "-p", target];
        let output = given.command(&words).output().unwrap();
        given.look_through(&words, &output);
        assert!(!output.status.success(), "{target}");
    }
    targets.len()
}

/// A rehearsal, its copy and its page; the password comes by the environment.
fn rehearsed(town: &Town, number: usize) -> usize {
    let given = Given::new(town, number, Way::Variable, password(number));
    given.place.write("deltas/delta_1.1.0_wrong.sql", "select 1;\n");
    given
        .place
        .write("pum.yaml", "expected: {command: [sh, -c, 'env; true']}\n");
    let production = given.target("prod");
    let test = [
        "test",
        "-pp",
        &production,
        "--save",
        "saved.json",
        "--report",
        "saved.html",
    ];
    let words: Vec<String> = test.iter().chain(&ON).map(|&word| word.to_owned()).collect();
    // Production has a table that is not expected.
    given.run(&words, 1);
    1
}

/// At the question, which waits for what is typed.
fn prompted(town: &Town, number: usize, typed: &str, code: i32) -> usize {
    let given = Given::new(town, number, Way::Passfile, "of nobody".to_owned());
    fs::remove_file(given.place.path("passes")).unwrap();
    let line = format!(
        "{} info -W -t {TABLE} -d deltas -p '{}'",
        env!("CARGO_BIN_EXE_pum"),
        given.target("prod")
    );
    let mut child = given
        .place
        .program("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TMPDIR", town.temporary.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !shown.ends_with(b": ") && stdout.read(&mut byte).unwrap() > 0 {
        shown.extend(byte);
    }
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{typed}\n").as_bytes()).unwrap();
    stdout.read_to_end(&mut shown).unwrap();
    let status = child.wait().unwrap();
    let output = Output {
        status,
        stdout: shown,
        stderr: Vec::new(),
    };
    given.look_through(&[&line], &output);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        status.code() == Some(code) && said.contains("Password for "),
        "{status}: {said}"
    );
    1
}

#[test]
fn hostile_passwords_are_nowhere_however_they_are_given() {
    let begun = Instant::now();
    let full = std::env::var("PUM_SECRETS").as_deref() == Ok("full");
    let town = Town::new();
    let watch = Watch::begin(town.temporary.path(), &[CANARY]);
    let mut count = 0;
    for (turn, way) in WAYS.into_iter().enumerate() {
        for number in 0..PASSWORDS.len() {
            // In the short form each password in one way, and each way with one password.
            if full || number == turn {
                let given = Given::new(&town, number, way, password(number));
                count += runs(&given, number, full);
            }
        }
    }
    for number in 0..PASSWORDS.len() {
        if full || number == 0 {
            count += mistyped(&town, number);
            count += prompted(&town, number, &password(number), 0);
        }
        if full {
            count += rehearsed(&town, number);
            count += prompted(&town, number, &format!("{CANARY} wrong"), 6);
        }
    }
    let seen = watch.end();
    assert_eq!(seen.leaks, [""; 0]);
    assert!(seen.programs.contains_key("pum"), "{:?}", seen.programs);
    let looks: usize = seen.programs.values().sum();
    println!(
        "secrets: {count} runs looked through, their programs {looks} times; {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(!full || count >= 200, "{count}");
}
