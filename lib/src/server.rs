//! A throw-away PostgreSQL server: for rehearsals, the demo and tests.
//!
//! It listens on a socket in a private directory only, writes without fsync, and is gone with the value. What a
//! killed process left is found by the next one and removed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::connection::{Connection, ServerVersion, quote_identifier};
use crate::error::{Error, ErrorKind, Result};
use crate::programs::{find_program, program_version};
use crate::run::Run;
use crate::target::Target;

/// What a throw-away server is made of.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The major version; without it the newest that is installed.
    pub major: Option<u32>,
    /// Settings of `postgresql.conf`, such as `("work_mem", "64MB")`.
    pub settings: Vec<(String, String)>,
    /// The directory of `initdb` and `postgres`; without it the places of the packages, then PATH.
    pub programs: Option<PathBuf>,
}

/// A running server, stopped and removed when dropped.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    process: Child,
    version: ServerVersion,
    programs: PathBuf,
    run: Run,
    // Held while we live: who can take it knows that this server is an orphan.
    _owned: File,
}

const PREFIX: &str = "pum-server-";
const PORT: &str = "5432";
const SUPERUSER: &str = "postgres";

impl Server {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// The programs are missing (the hint says how to get them), or the server does not start (its own words).
    ///
    /// ```no_run
    /// let run = pum::Run::new();
    /// let server = pum::Server::start(&pum::ServerOptions::default(), &run)?;
    /// let target = server.create_database("water")?;
    /// let mut connection = pum::Connection::open(&target, &run)?;
    /// connection.execute("create table public.pipe (id int primary key)")?;
    /// # Ok::<(), pum::Error>(())
    /// ```
    pub fn start(options: &ServerOptions, run: &Run) -> Result<Server> {
        run.go_on()?;
        remove_orphans();
        let (initdb, postgres) = server_programs(options)?;
        let user = service_user()?;
        let (directory, owned) = private_directory(user.as_ref())?;
        let started = start_in(&directory, &initdb, &postgres, options, user.as_ref(), run);
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                return Err(error);
            }
        };
        match wait_until_ready(&directory, &mut process, run) {
            Ok(version) => Ok(Server {
                directory,
                process,
                version,
                programs: postgres.parent().map(Path::to_owned).unwrap_or_default(),
                run: run.clone(),
                _owned: owned,
            }),
            Err(error) => {
                stop(&mut process);
                let _ = fs::remove_dir_all(&directory);
                Err(error)
            }
        }
    }

    /// A database of this server, whether it exists or not, as its superuser.
    pub fn target(&self, database: &str) -> Target {
        target(&self.directory, database)
    }

    /// Creates an empty database in UTF-8.
    ///
    /// # Errors
    /// One with that name exists.
    pub fn create_database(&self, name: &str) -> Result<Target> {
        self.create_database_from(name, "template0")
    }

    /// Creates a database as a copy of another of this server, to which nobody may be connected.
    ///
    /// # Errors
    /// What the server says.
    pub fn create_database_from(&self, name: &str, template: &str) -> Result<Target> {
        // Its own run: a cancelled run still stops its server, but a new database of it is refused by the caller.
        let mut connection = Connection::open(&self.target("postgres"), &self.run)?;
        connection.execute(&format!(
            "create database {} template {}",
            quote_identifier(name),
            quote_identifier(template)
        ))?;
        Ok(self.target(name))
    }

    /// The version of the server.
    pub fn version(&self) -> &ServerVersion {
        &self.version
    }

    /// The directory of the server's programs; `pg_dump` may be there too.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The directory that holds the socket.
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }

    /// Ends the server at once as a crash would (`immediate` mode) and starts it again on the same data.
    ///
    /// # Errors
    /// It does not start again.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        stop(&mut self.process);
        let user = service_user()?;
        self.process = spawn(&self.directory, &self.programs.join("postgres"), user.as_ref())?;
        wait_until_ready(&self.directory, &mut self.process, &Run::new()).map(|_| ())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.process);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn target(directory: &Path, database: &str) -> Target {
    Target::default()
        .with("host", &directory.to_string_lossy())
        // Else PGHOSTADDR would lead to another server, and what is meant for this one would be done there.
        .with("hostaddr", "")
        .with("port", PORT)
        .with("user", SUPERUSER)
        .with("dbname", database)
        .with("sslmode", "disable")
}

fn server_programs(options: &ServerOptions) -> Result<(PathBuf, PathBuf)> {
    let find = |name: &str| match &options.programs {
        Some(directory) => find_program(name, options.major, Some(&directory.join(name))),
        None => find_program(name, options.major, None),
    };
    // `postgres` lies beside `initdb` in every package, but not in PATH on Debian.
    let initdb = find("initdb").map_err(|error| error.within("a throw-away server cannot be started"))?;
    let real = fs::canonicalize(&initdb).unwrap_or_else(|_| initdb.clone());
    let beside = real.with_file_name("postgres");
    let postgres = if beside.is_file() { beside } else { find("postgres")? };
    if let Some(major) = options.major {
        let (found, text) = program_version(&postgres)?;
        if found != major {
            return Err(Error::new(
                ErrorKind::Program,
                format!(
                    "a server of PostgreSQL {major} is needed, and {} is {text}",
                    postgres.display()
                ),
            ));
        }
    }
    Ok((real, postgres))
}

/// The user to run the server as: PostgreSQL refuses root.
struct ServiceUser {
    uid: u32,
    gid: u32,
}

fn service_user() -> Result<Option<ServiceUser>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| Error::io("cannot read \"/etc/passwd\"", &error))?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(Some(ServiceUser {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            }))
        })
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Program,
                "PostgreSQL does not run as root, and there is no other user to run it as",
            )
            .with_hint("run pum as another user, or create the user postgres")
        })
}

/// A new directory that only the server's user may enter, and the lock that says that we live.
fn private_directory(user: Option<&ServiceUser>) -> Result<(PathBuf, File)> {
    // Short, because a socket's path has at most 107 bytes.
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > 60 {
        PathBuf::from("/tmp")
    } else {
        base
    };
    let describe =
        |error: &std::io::Error| Error::io("cannot make a private directory for the throw-away server", error);
    // Under another name until it is locked: who looks for orphans must not take it for one.
    let directory = tempfile::Builder::new()
        .prefix(&format!(".{PREFIX}"))
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&base)
        .map_err(|error| describe(&error))?;
    let lock = File::create(directory.path().join("owner")).map_err(|error| describe(&error))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| describe(&error.into()))?;
    if let Some(user) = user {
        chown(directory.path(), Some(user.uid), Some(user.gid)).map_err(|error| describe(&error))?;
    }
    let name = directory.path().file_name().unwrap_or_default().to_string_lossy();
    let locked = base.join(name.trim_start_matches('.'));
    fs::rename(directory.path(), &locked).map_err(|error| describe(&error))?;
    // Nothing is left under the first name.
    let _ = directory.keep();
    Ok((locked, lock))
}

/// A directory for files that nobody else may read, removed with the value; what a killed process left of it is found
/// and removed as an orphaned server is.
pub(crate) struct PrivateDirectory {
    path: PathBuf,
    _owned: File,
}

impl PrivateDirectory {
    pub(crate) fn new() -> Result<PrivateDirectory> {
        remove_orphans();
        let (path, owned) = private_directory(None)?;
        Ok(PrivateDirectory { path, _owned: owned })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Without the environment's PG* variables, which would reach the server too, and as the server's user.
fn command(program: &Path, user: Option<&ServiceUser>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").stdin(Stdio::null()).current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    // A group of its own: Ctrl-C reaches us, and we end it in order.
    command.process_group(0);
    command
}

fn start_in(
    directory: &Path,
    initdb: &Path,
    postgres: &Path,
    options: &ServerOptions,
    user: Option<&ServiceUser>,
    run: &Run,
) -> Result<Child> {
    let data = directory.join("data");
    let output = command(initdb, user)
        .args(["-N", "-A", "trust", "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "-D"])
        .arg(&data)
        .output()
        .map_err(|error| Error::io(format_args!("cannot run \"{}\"", initdb.display()), &error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(
            ErrorKind::Program,
            format!("initdb could not make a throw-away server: {}", last_lines(&words, 3)),
        ));
    }
    run.go_on()?;
    let mut settings = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nport = {PORT}\nmax_connections = 200\n\
         fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nwal_level = minimal\nmax_wal_senders = 0\n\
         autovacuum_naptime = '1d'\nlog_destination = 'stderr'\n",
        directory.display()
    );
    for (name, value) in &options.settings {
        settings.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
    }
    let file = data.join("postgresql.auto.conf");
    fs::write(&file, settings)
        .map_err(|error| Error::io(format_args!("cannot write \"{}\"", file.display()), &error))?;
    spawn(directory, postgres, user)
}

fn spawn(directory: &Path, postgres: &Path, user: Option<&ServiceUser>) -> Result<Child> {
    let log = directory.join("log");
    let file =
        File::create(&log).map_err(|error| Error::io(format_args!("cannot write \"{}\"", log.display()), &error))?;
    let second = file
        .try_clone()
        .map_err(|error| Error::io("cannot open the server's log", &error))?;
    command(postgres, user)
        .arg("-D")
        .arg(directory.join("data"))
        .stdout(file)
        .stderr(second)
        .spawn()
        .map_err(|error| Error::io(format_args!("cannot run \"{}\"", postgres.display()), &error))
}

fn wait_until_ready(directory: &Path, process: &mut Child, run: &Run) -> Result<ServerVersion> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let target = target(directory, "postgres");
    loop {
        run.go_on()?;
        let refused = match Connection::open(&target, run) {
            Ok(connection) => return Ok(connection.server_version()),
            Err(error) => error,
        };
        let ended = process.try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > deadline {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            let words = if log.trim().is_empty() {
                refused.to_string()
            } else {
                last_lines(log.trim(), 5)
            };
            return Err(Error::new(
                ErrorKind::Program,
                format!("the throw-away server did not start: {words}"),
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("; ")
}

/// Ends a server at once: its data is thrown away.
fn stop(process: &mut Child) {
    if let Some(pid) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::QUIT);
        for _ in 0..500 {
            if !matches!(process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let _ = process.kill();
    let _ = process.wait();
}

/// Ends and removes the servers whose process is gone: their owner file can be locked.
fn remove_orphans() {
    for base in [std::env::temp_dir(), PathBuf::from("/tmp")] {
        let Ok(entries) = fs::read_dir(base) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                remove_orphan(&entry.path());
            }
        }
    }
}

fn remove_orphan(directory: &Path) {
    // What belongs to somebody else is left alone, and what is no file is not opened: a pipe would wait for ever.
    let owner = directory.join("owner");
    let ours = |file: &fs::Metadata| file.is_file() && file.uid() == geteuid().as_raw();
    if !fs::symlink_metadata(&owner).is_ok_and(|file| ours(&file)) {
        return;
    }
    let Ok(lock) = File::open(owner) else {
        return;
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    if let Some(pid) = postmaster(directory) {
        let _ = kill_process(pid, Signal::QUIT);
        for _ in 0..300 {
            if rustix::process::test_kill_process(pid).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let _ = fs::remove_dir_all(directory);
}

/// The server process of an orphan, if that number still is the one: its command line names the directory.
fn postmaster(directory: &Path) -> Option<Pid> {
    let mut text = String::new();
    let mut file = File::open(directory.join("data/postmaster.pid")).ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let arguments = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let ours = String::from_utf8_lossy(&arguments.stdout).contains(&*directory.to_string_lossy());
    if ours { Pid::from_raw(pid) } else { None }
}
