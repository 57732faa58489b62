//! One throw-away server per test binary, one database per test.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pum::{Run, Server, ServerOptions, Target};

/// `PUM_TEST_SERVER` names the directory of the server programs to test with; without it Debian's 15.
pub fn options() -> ServerOptions {
    ServerOptions {
        programs: std::env::var_os("PUM_TEST_SERVER").map(PathBuf::from),
        ..ServerOptions::default()
    }
}

/// The server of this test binary.
///
/// A static is never dropped: a child of the test process waits for its end and the next run removes what is left.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        stop_with_the_process();
        Server::start(&options(), &Run::new()).expect("a throw-away server for the tests")
    })
}

/// A new empty database.
pub fn database(name: &str) -> Target {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    server().create_database(&format!("{name}_{number}")).unwrap()
}

/// Statics are not dropped at the end of a process; a watching shell ends the server when our pipe closes.
fn stop_with_the_process() {
    use std::process::{Command, Stdio};
    let script = r#"cat >/dev/null
for d in "${TMPDIR:-/tmp}"/pum-server-*; do
  [ -f "$d/owner" ] || continue
  flock -n "$d/owner" true 2>/dev/null || continue
  kill -QUIT "$(head -n 1 "$d/data/postmaster.pid" 2>/dev/null)" 2>/dev/null
  sleep 0.3
  rm -rf "$d"
done"#;
    let child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(child) = child {
        // The pipe stays open as long as this process lives.
        std::mem::forget(child);
    }
}
