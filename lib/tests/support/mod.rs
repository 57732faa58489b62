//! One throw-away server per test binary, one database per test.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod pooler;
pub mod standby;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pum::{Run, Server, ServerOptions, Target};

/// The columns of a kind's query that are no attributes: the identity, and what ties annotations to the object.
pub const NO_ATTRIBUTES: [&str; 4] = ["schema", "relation", "name", "address"];

/// `PUM_TEST_SERVER` names the directory of the server programs to test with; without it the newest that is found.
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

/// The directory that support/servers.sh fills: `PUM_SERVERS`, or its own default.
pub fn servers_directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("PUM_SERVERS") {
        return directory.into();
    }
    let root = PathBuf::from("/var/cache/pum/servers");
    if std::fs::create_dir_all(&root).is_ok() {
        return root;
    }
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| home.join(".cache"), PathBuf::from)
        .join("pum/servers")
}

/// The server programs of every major version in that directory, the oldest first.
pub fn majors() -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(servers_directory()) else {
        return Vec::new();
    };
    let mut majors: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("postgres").is_file())
        .collect();
    majors.sort();
    majors
}

/// A server with the programs of a directory, gone with the value.
pub fn start(programs: &std::path::Path) -> Server {
    let options = ServerOptions {
        programs: Some(programs.to_owned()),
        ..ServerOptions::default()
    };
    Server::start(&options, &Run::new()).expect("a throw-away server for the tests")
}

/// Whether a script fails because the server was built without a library, which no version is to blame for.
pub fn is_not_built_in(error: &pum::Error) -> bool {
    let words = error.to_string();
    words.contains("not supported in this build") || words.contains("compression method lz4 not supported")
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

/// Accepts connections at a port, passes on to the server, and stops passing on when told.
pub fn network_that_can_stall() -> (u16, std::sync::Arc<AtomicBool>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stalled = std::sync::Arc::new(AtomicBool::new(false));
    let stalls = std::sync::Arc::clone(&stalled);
    let socket = server().socket_directory().join(".s.PGSQL.5432");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (
                client.unwrap(),
                std::os::unix::net::UnixStream::connect(&socket).unwrap(),
            );
            let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
            let (mut from_server, mut to_server) = (server.try_clone().unwrap(), server);
            let pass = |from: &mut dyn Read, to: &mut dyn Write, stalls: &AtomicBool| {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut bytes) {
                    while stalls.load(Ordering::SeqCst) {
                        std::thread::sleep(std::time::Duration::from_millis(10));
                    }
                    if to.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
            };
            let (one, other) = (std::sync::Arc::clone(&stalls), std::sync::Arc::clone(&stalls));
            std::thread::spawn(move || pass(&mut from_client, &mut to_server, &one));
            std::thread::spawn(move || pass(&mut from_server, &mut to_client, &other));
        }
    });
    (port, stalled)
}

pub fn through(port: u16, name: &str) -> Target {
    database(name).with("host", "127.0.0.1").with("port", &port.to_string())
}
