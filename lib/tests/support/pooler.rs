//! A pooler before a server.
#![allow(unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program, or `None` with a word about it where it is not there; `CI` wants it.
#[allow(clippy::print_stdout)]
pub fn pgbouncer() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no pgbouncer");
    if found.is_none() {
        println!("pgbouncer is not there: poolers are not tried");
    }
    found
}

/// A pooler at work, ended with the value.
pub struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pools every database of the server whose socket and port 5432 are in the directory, for the user postgres, on another port
/// of the same directory. `more` are lines of its configuration.
pub fn pool(program: &Path, base: &Path, mode: &str, port: &str, more: &str) -> Pooler {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let file = base.join(format!("{port}.ini"));
    std::fs::write(
        &file,
        format!(
            "[databases]\n* = host={0} port=5432 user=postgres\n[pgbouncer]\npool_mode = {mode}\nlisten_port = {port}\n\
             listen_addr =\nunix_socket_dir = {0}\nauth_type = any\nlogfile = {0}/{port}.log\n\
             ignore_startup_parameters = extra_float_digits\n{more}",
            base.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let mut command = Command::new(program);
    command
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    let owner = base.metadata().unwrap();
    // It refuses root.
    if owner.uid() != 0 {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let pooler = Pooler(command.spawn().unwrap());
    let socket = base.join(format!(".s.PGSQL.{port}"));
    for _ in 0..100 {
        if socket.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    pooler
}
