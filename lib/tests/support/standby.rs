//! A standby beside a server, and other programs of PostgreSQL that run as its owner.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use pum::{Server, Target};

/// A program of the server, ended with the value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

/// As the owner of a directory, because the programs refuse root.
pub fn as_owner(program: &Path, directory: &Path) -> Command {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let owner = directory.metadata().unwrap();
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}

/// A standby of a server, in a directory inside its own, on port 5433.
pub fn standby(server: &Server, name: &str) -> (Running, Target) {
    let base = server.socket_directory();
    let data = base.join(name);
    // One of a later version copies an older server too.
    let beside = Some(server.programs().join("pg_basebackup")).filter(|program| program.is_file());
    let program = pum::find_program("pg_basebackup", None, beside.as_deref()).unwrap();
    let copied = as_owner(&program, base)
        .args([
            "-h",
            base.to_str().unwrap(),
            "-p",
            "5432",
            "-U",
            "postgres",
            "-X",
            "stream",
            "-c",
            "fast",
            "-R",
            "-D",
        ])
        .arg(&data)
        .status()
        .unwrap();
    assert!(copied.success());
    let mut settings = std::fs::read_to_string(data.join("postgresql.auto.conf")).unwrap();
    settings.push_str(&format!(
        "port = 5433\nprimary_conninfo = 'host={} port=5432 user=postgres application_name={name}'\n",
        base.display()
    ));
    std::fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
    let child = as_owner(&server.programs().join("postgres"), base)
        .arg("-D")
        .arg(&data)
        .spawn()
        .unwrap();
    (Running(child), server.target("postgres").with("port", "5433"))
}
