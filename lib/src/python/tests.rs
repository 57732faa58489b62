use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::server::{Server, ServerOptions};
use crate::target::Target;

/// A delta in a directory of its own, run by `python3` or what `PUM_TEST_PYTHON` names.
struct Case {
    directory: tempfile::TempDir,
    variables: Variables,
    environment: Environment,
    python: Option<PathBuf>,
    run: Run,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Case {
    fn new(body: &str) -> Case {
        let case = Case::file(&format!("from pum.core.deltapy import DeltaPy\n{body}"));
        assert!(body.contains("DeltaPy"));
        case
    }

    /// A delta whose `run` consists of the given lines.
    fn running(lines: &str) -> Case {
        let lines = lines.replace('\n', "\n        ");
        Case::new(&format!(
            "import os, sys\nclass Delta(DeltaPy):\n    def run(self):\n        {lines}\n"
        ))
    }

    fn file(text: &str) -> Case {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("delta_1.1.0_test.py"), text).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&lines);
        let run = Run::new().on_event(move |event| match event {
            Event::Output { from, line } => {
                assert_eq!(from, "delta_1.1.0_test.py");
                told.lock().unwrap().push(line);
            }
            Event::Warning(text) => told.lock().unwrap().push(format!("warning: {text}")),
            _ => {}
        });
        Case {
            directory,
            variables: Variables::new(),
            environment: Vec::new(),
            python: std::env::var_os("PUM_TEST_PYTHON").map(PathBuf::from),
            run,
            lines,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("delta_1.1.0_test.py")
    }

    fn delta<'a>(&'a self, path: &'a Path, directories: &'a [PathBuf]) -> PythonDelta<'a> {
        PythonDelta {
            path,
            directory: self.directory.path(),
            directories,
            current_version: Some("1.0.0".to_owned()),
            upgrades_table: "water_sys.upgrades",
            variables: &self.variables,
            python: self.python.as_deref(),
        }
    }

    fn run(&self) -> Result<()> {
        let private = PrivateDirectory::create().unwrap();
        let directories = [self.directory.path().to_owned(), PathBuf::from("/elsewhere")];
        let path = self.path();
        let delta = self.delta(&path, &directories);
        run_in(&delta, &private, "water_prod", &self.environment, &self.run)
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn said(&self) -> String {
        self.lines().join("\n")
    }
}

#[test]
fn classes_run_once_each_in_the_order_of_their_names() {
    let case = Case::new(
        r#"
class Second(DeltaPy):
    def run(self):
        self.write_message("two")
class First(Second):
    def run(self):
        self.write_message("one")
Zero = First
AgainSecond = Second
"#,
    );
    case.run().unwrap();
    assert_eq!(case.lines(), ["Message from Second: two", "Message from First: one"]);
}

#[test]
fn a_delta_is_told_what_pum_0_10_told() {
    let mut case = Case::running(
        r#"print(repr(self.delta_dir), self.delta_dirs, self.pg_service, self.upgrades_table)
print(sorted(self.variables.items()))
print(str(self.current_db_version), __file__)"#,
    );
    for (kind, name, value) in [
        ("int", "SRID", "2056"),
        ("int", "large", "-123456789012345678901234567890"),
        ("float", "price", "1.85"),
        ("float", "tiny", "5e-324"),
        ("str", "town", "Arvel 'o\\x' \u{e9}\n%s"),
    ] {
        case.variables.insert(kind, name, value).unwrap();
    }
    case.run().unwrap();
    let directory = case.directory.path().display();
    assert_eq!(
        case.lines(),
        [
            format!("'{directory}/' ['{directory}', '/elsewhere'] water_prod water_sys.upgrades"),
            "[('SRID', 2056), ('large', -123456789012345678901234567890), ('price', 1.85), ('tiny', 5e-324), \
             ('town', \"Arvel 'o\\\\x' \u{e9}\\n%s\")]"
                .to_owned(),
            format!("1.0.0 {}", case.path().display()),
        ]
    );
    let left: Vec<_> = fs::read_dir(case.directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is written beside the delta: {left:?}");
}

#[test]
fn versions_compare_with_those_of_other_libraries() {
    let case = Case::running(
        r#"v = self.current_db_version
from pkg_resources import get_distribution, parse_version, DistributionNotFound
assert parse_version("0.9.9") < v < parse_version("1.0.1") and parse_version("1.0.1") > v >= parse_version("1.0")
assert v == parse_version("1.0.0") and v != parse_version("1.0.0rc1") and v > parse_version("1.0.0rc1")
assert parse_version("1.10.0") > parse_version("1.9.0")
assert get_distribution("pum").parsed_version >= parse_version("0.10.0")
try:
    get_distribution("no-such-package")
except DistributionNotFound:
    print("not found")
try:
    from packaging.version import Version, parse
    assert isinstance(v, Version) and parse("0.9") < v < parse("1.1") and v == Version("1")
except ImportError:
    pass
try:
    v < 3
except TypeError:
    print("not comparable")"#,
    );
    case.run().unwrap_or_else(|error| panic!("{error}\n{}", case.said()));
    assert!(case.said().ends_with("not found\nnot comparable"), "{}", case.said());
}

#[test]
fn an_exception_names_the_line_of_the_delta() {
    let case = Case::running("import json\nprint('before')\njson.loads('{')");
    let error = case.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    assert!(
        error
            .message()
            .starts_with("delta_1.1.0_test.py failed: JSONDecodeError: Expecting property name"),
        "{error}"
    );
    let location = error.location().unwrap();
    assert_eq!((location.line, location.text.as_str()), (7, "        json.loads('{')"));
    assert_eq!(location.path, case.path());
    let said = case.said();
    assert!(
        said.starts_with("before\nTraceback (most recent call last):\n  File "),
        "{said}"
    );
    assert!(!said.contains("run_delta.py"), "{said}");
}

#[test]
fn a_syntax_error_has_its_place() {
    let error = Case::file("import os\nclass Delta(:\n").run().unwrap_err();
    assert!(
        error.message().starts_with("delta_1.1.0_test.py failed: SyntaxError: "),
        "{error}"
    );
    let location = error.location().unwrap();
    assert_eq!((location.line, location.text.as_str()), (2, "class Delta(:"));
}

#[test]
fn ways_to_end_python_are_told_apart() {
    for (body, message) in [
        ("sys.exit()", "ended with sys.exit() before it was finished"),
        ("sys.exit(0)", "ended with sys.exit(0) before it was finished"),
        (
            "sys.exit('enough')",
            "ended with sys.exit(enough) before it was finished",
        ),
        ("os._exit(0)", "ended Python with code 0 before it was finished"),
        ("os._exit(3)", "ended Python with code 3 before it was finished"),
        (
            "os.kill(os.getpid(), 9)",
            "was ended by signal 9 before it was finished",
        ),
        ("os.abort()", "was ended by signal 6 before it was finished"),
        ("raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
        (
            "raise ValueError('caf\u{e9} \\ud800')",
            "failed: ValueError: caf\u{e9} \\ud800",
        ),
    ] {
        let error = Case::running(body).run().unwrap_err();
        assert!(error.message().contains(message), "{body}: {error}");
        assert_eq!(error.kind(), ErrorKind::Program);
    }
}

#[test]
fn a_file_without_a_delta_is_refused() {
    let error = Case::file("from pum.core.deltapy import DeltaPy\nprint('loaded')\n")
        .run()
        .unwrap_err();
    assert_eq!(
        error.message(),
        "delta_1.1.0_test.py cannot be run: it defines no subclass of pum.core.deltapy.DeltaPy"
    );
    let error = Case::new("class Half(DeltaPy):\n    pass\n").run().unwrap_err();
    assert!(error.message().contains("abstract"), "{error}");
}

#[test]
fn missing_modules_come_with_the_way_to_get_them() {
    let error = Case::running("import no_such_module.part").run().unwrap_err();
    assert!(
        error
            .message()
            .contains("ModuleNotFoundError: No module named 'no_such_module'")
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("-m pip install no_such_module,"), "{hint}");
    assert_eq!(
        missing_module("psycopg2", "/usr/bin/python3"),
        "/usr/bin/python3 -m pip install psycopg2-binary, or run pum in the virtual environment that has it"
    );
}

#[test]
fn python_may_be_missing() {
    let mut case = Case::running("pass");
    case.python = Some(PathBuf::from("/nowhere/python3"));
    let error = case.run().unwrap_err();
    assert!(
        error
            .message()
            .starts_with("delta_1.1.0_test.py is a Python delta, and cannot run \"/nowhere/python3\""),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("python3"));
}

#[test]
fn a_delta_may_do_what_it_likes_with_its_streams() {
    Case::running("sys.stdout.close()\nsys.stderr.close()\nos.close(1)\nos.close(2)\nos.closerange(3, 100)")
        .run()
        .unwrap();
    let case = Case::running("print(repr(sys.stdin.read()))\ninput('> ')");
    let error = case.run().unwrap_err();
    assert!(error.message().contains("failed: EOFError"), "{error}");
    assert_eq!(case.lines()[0], "''");
}

#[test]
fn output_keeps_its_order_and_survives_any_bytes() {
    let case = Case::running(
        "print('one')\nsys.stderr.write('two\\n')\nos.system('echo three; echo four >&2')\nprint('five \\ud800')\n\
         sys.stdout.flush()\nos.write(1, b'six \\xff\\r\\n')\nos.write(1, b'x' * 200000)",
    );
    case.run().unwrap();
    let lines = case.lines();
    assert_eq!(
        lines[..6],
        ["one", "two", "three", "four", "five \\ud800", "six \u{fffd}"]
    );
    assert_eq!(lines[6..].iter().map(String::len).sum::<usize>(), 200_000);
}

#[test]
fn what_a_forked_child_meets_is_not_the_outcome() {
    let case = Case::running(
        "for end in ['sys.exit(0)', 'os._exit(1)', 'raise ValueError', 'pass']:\n    if os.fork() == 0:\n        \
         exec(end)\n        return\n    print(os.wait()[1] >> 8)",
    );
    case.run().unwrap();
    let lines: Vec<String> = case.lines().into_iter().filter(|line| line.len() == 1).collect();
    assert_eq!(lines, ["0", "1", "1", "0"]);
}

#[test]
fn the_end_waits_for_threads() {
    let case = Case::running(
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.3), print('late'))).start()",
    );
    case.run().unwrap();
    assert_eq!(case.lines(), ["late"]);
}

#[test]
fn a_failure_after_the_end_is_a_warning() {
    let case = Case::running("import atexit\natexit.register(os._exit, 7)");
    case.run().unwrap();
    assert_eq!(
        case.lines(),
        ["warning: delta_1.1.0_test.py was finished, then Python failed: exit status: 7"]
    );
}

#[test]
fn a_program_left_behind_does_not_hold_us_up() {
    let started = Instant::now();
    let case = Case::running("import subprocess\nprint(subprocess.Popen(['sleep', '30']).pid)");
    case.run().unwrap();
    assert!(started.elapsed() < Duration::from_secs(15));
    let sleeper = Pid::from_raw(case.lines()[0].parse().unwrap()).unwrap();
    kill_process(sleeper, Signal::KILL).unwrap();
}

#[test]
fn cancelling_ends_the_delta_and_what_it_started() {
    let case = Case::running(
        "import subprocess\nprocess = subprocess.Popen(['sleep', '60'])\nprint(process.pid)\nprocess.wait()",
    );
    let cancel = case.run.cancel().clone();
    let lines = Arc::clone(&case.lines);
    let canceller = std::thread::spawn(move || {
        while lines.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        cancel.cancel();
    });
    let error = case.run().unwrap_err();
    canceller.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(is_gone(case.lines()[0].parse().unwrap()));
}

#[test]
fn without_pum_a_delta_does_not_go_on() {
    let case = Case::running(
        "import subprocess\nprocess = subprocess.Popen(['sleep', '60'])\nprint(process.pid, flush=True)\nprocess.wait()",
    );
    let private = PrivateDirectory::create().unwrap();
    let path = case.path();
    private.write_files().unwrap();
    let mut runner = Command::new("python3")
        .arg(private.path().join("run_delta.py"))
        .args(["--result", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut stdin = runner.stdin.take().unwrap();
    writeln!(stdin, "{}", request(&case.delta(&path, &[]), "water").unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(runner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    drop(stdin);
    assert!(!runner.wait().unwrap().success());
    assert!(is_gone(line.trim().parse().unwrap()));
}

fn is_gone(pid: i32) -> bool {
    for _ in 0..200 {
        // A zombie waits for its new parent only.
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn an_installed_pum_is_used_unless_it_has_no_python_deltas() {
    let site = tempfile::tempdir().unwrap();
    let core = site.path().join("pum/core");
    fs::create_dir_all(&core).unwrap();
    fs::write(site.path().join("pum/__init__.py"), "").unwrap();
    let mut case = Case::running(
        "import pum\nassert getattr(self, 'variable', dict().get)('none', None) is None\nprint(os.path.dirname(pum.__file__), type(self).__mro__[1].__module__)",
    );
    case.environment = vec![("PYTHONPATH".to_owned(), Some(text_of(site.path()).unwrap().to_owned()))];
    // As pum 1.x: a package without core.deltapy. Ours has what deltas of before 0.10 call, too.
    case.run().unwrap();
    assert!(case.said().contains("/package/pum pum.core.deltapy"), "{}", case.said());

    fs::write(core.join("__init__.py"), "").unwrap();
    fs::write(core.join("deltapy.py"), include_str!("package/pum/core/deltapy.py")).unwrap();
    case.run().unwrap();
    assert_eq!(
        case.lines()[1],
        format!("{} pum.core.deltapy", site.path().join("pum").display())
    );
}

#[test]
fn nothing_is_left_and_nobody_else_may_look() {
    let case = Case::running(
        "root = os.path.dirname(sys.argv[0])\nprint(root)\nfor place, _, names in os.walk(root):\n    \
         for name in ['.'] + names:\n        path = os.path.join(place, name)\n        \
         assert os.stat(path).st_mode & 0o077 == 0, path",
    );
    case.run().unwrap();
    let root = PathBuf::from(&case.lines()[0]);
    assert!(root.file_name().unwrap().to_string_lossy().starts_with("pum-server-"));
    assert!(!root.exists());
}

#[test]
fn the_service_reaches_the_database_of_the_session() {
    let server = Server::start(&ServerOptions::default(), &Run::new()).unwrap();
    let target = server
        .create_database("wa=ter '1")
        .unwrap()
        .with("password", "s3cret #1");
    let case = Case::running(
        "import subprocess\nask = ['psql', '-X', '-At', '-c', 'select current_database()']\n\
         print(self.pg_service, subprocess.check_output(ask + ['-d', 'service=' + self.pg_service]), subprocess.check_output(ask))\n\
         print(open(os.environ['PGSERVICEFILE']).read())\nprint(os.environ['PGPASSWORD'] == 's3cret #1', 'PGHOST' in os.environ)",
    );
    let connection = Connection::open(&target, &case.run).unwrap();
    let path = case.path();
    run_python_delta(&case.delta(&path, &[]), &connection, &case.run).unwrap();
    let said = case.said();
    assert!(
        said.starts_with("pum b\"wa=ter '1\\n\" b\"wa=ter '1\\n\"\n[pum]\nhost=/"),
        "{said}"
    );
    assert!(!said.contains("password="), "{said}");
    assert!(said.ends_with("\nTrue False"), "{said}");
}

#[test]
fn a_value_that_no_service_file_can_hold_is_refused() {
    let error = service_line("dbname", "water ").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(service_line("dbname", "a\nb").is_err());
    assert_eq!(service_line("dbname", "a = b").unwrap(), "dbname=a = b\n");
}

#[test]
fn private_files_are_private() {
    let private = PrivateDirectory::create().unwrap();
    let path = private.write("deep/in/file", b"x").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(private.write("deep/in/file", b"y").is_err(), "nothing is overwritten");
}

#[test]
fn a_target_is_a_service_only_when_nothing_else_is_given() {
    let target = Target::new("water_prod").unwrap();
    assert_eq!(target.service(), Some(target.name().as_str()));
    let target = target.with("password", "x");
    assert_eq!(target.service(), Some(target.name().as_str()));
    let target = target.with("dbname", "copy");
    assert_ne!(target.service(), Some(target.name().as_str()));
}
