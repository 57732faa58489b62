//! A throw-away PostgreSQL server: for rehearsals, the demo and tests.
//!
//! It listens on a socket in a private directory only, writes without fsync, and is gone with the value. What a
//! killed process left is found by the next one and removed.

mod private;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::connection::{Connection, ServerVersion, quote_identifier};
use crate::environment;
use crate::error::{Error, ErrorKind, Result};
use crate::programs::{find_program, program_version};
use crate::run::Run;
use crate::target::Target;

pub(crate) use private::{PrivateDirectory, base, remove_orphans};
use private::{ServiceUser, service_user};

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
    process: Child,
    version: ServerVersion,
    programs: PathBuf,
    user: String,
    run: Run,
    // After the process: the directory is removed when the server has ended.
    directory: PrivateDirectory,
}

/// Where a server's data lies in its private directory.
pub(crate) const DATA: &str = "data";
/// Where tablespaces of copied data lie.
pub(crate) const TABLESPACES: &str = "tablespaces";
const PORT: &str = "5432";
const SUPERUSER: &str = "postgres";

/// What keeps copied data from acting as the cluster that it was copied from.
const COPIED: [(&str, &str); 6] = [
    ("archive_mode", "off"),
    ("restore_command", ""),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    // Without its launcher no subscription runs.
    ("max_logical_replication_workers", "0"),
    ("ssl", "off"),
];

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
        let (initdb, postgres) = server_programs(options)?;
        let user = service_user()?;
        let directory = PrivateDirectory::of(user.as_ref())?;
        make_cluster(&directory, &initdb, user.as_ref(), run)?;
        run.go_on()?;
        configure(directory.path(), &options.settings)?;
        Server::open(directory, &postgres, [SUPERUSER, "postgres"], run)
    }

    /// Starts a server on another cluster's data, which `fill` puts under [`DATA`] and [`TABLESPACES`] of the directory:
    /// as it stands, with its roles. Its configuration is replaced, so that it reaches nobody and nobody but us reaches
    /// it. Sessions are opened as `user`, the first of them on `database`.
    ///
    /// # Errors
    /// As [`Server::start`], and those of `fill`.
    pub(crate) fn start_on(
        options: &ServerOptions,
        [user, database]: [&str; 2],
        run: &Run,
        fill: impl FnOnce(&PrivateDirectory) -> Result<()>,
    ) -> Result<Server> {
        run.go_on()?;
        let (_, postgres) = server_programs(options)?;
        let owner = service_user()?;
        // Nobody else may enter before it is complete: what is given away then is what was put there.
        let directory = PrivateDirectory::new()?;
        fill(&directory)?;
        run.go_on()?;
        let data = directory.path().join(DATA);
        let io =
            |path: &Path, error: &std::io::Error| Error::io(format_args!("cannot write \"{}\"", path.display()), error);
        for (name, text) in [
            ("postgresql.conf", ""),
            ("pg_hba.conf", "local all all trust\n"),
            ("pg_ident.conf", ""),
        ] {
            let file = data.join(name);
            fs::write(&file, text).map_err(|error| io(&file, &error))?;
        }
        for name in ["standby.signal", "recovery.signal"] {
            // It may not be there.
            let _ = fs::remove_file(data.join(name));
        }
        let settings: Vec<(String, String)> = COPIED
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .chain(options.settings.iter().cloned())
            .collect();
        configure(directory.path(), &settings)?;
        if let Some(owner) = &owner {
            directory.hand_over(owner)?;
        }
        Server::open(directory, &postgres, [user, database], run)
    }

    /// Starts the server of a directory whose data and configuration are there.
    fn open(directory: PrivateDirectory, postgres: &Path, session: [&str; 2], run: &Run) -> Result<Server> {
        let [user, database] = session;
        let mut process = spawn(directory.path(), postgres, service_user()?.as_ref(), run)?;
        // Until its own file with its number is there.
        directory.note(process.id());
        let first = target(directory.path(), user, database);
        match wait_until_ready(directory.path(), &first, &mut process, run) {
            Ok(version) => Ok(Server {
                process,
                version,
                programs: postgres.parent().map(Path::to_owned).unwrap_or_default(),
                user: user.to_owned(),
                run: run.clone(),
                directory,
            }),
            Err(error) => {
                stop(&mut process);
                Err(error)
            }
        }
    }

    /// A database of this server, whether it exists or not, as its superuser.
    pub fn target(&self, database: &str) -> Target {
        target(self.directory.path(), &self.user, database)
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
        self.create_database_under(name, template, &self.run)
    }

    /// The same as a part of another run than that which started the server.
    ///
    /// # Errors
    /// What the server says, and the run being cancelled.
    pub fn create_database_under(&self, name: &str, template: &str, run: &Run) -> Result<Target> {
        let mut connection = Connection::open(&self.target("postgres"), run)?;
        // The other way writes all of it into the write-ahead log, for the sake of servers at work.
        let strategy = if self.version.major() >= 15 {
            " strategy file_copy"
        } else {
            ""
        };
        connection.execute(&format!(
            "create database {} template {}{strategy}",
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
        self.directory.path()
    }

    /// Ends the server at once as a crash would (`immediate` mode) and starts it again on the same data.
    ///
    /// # Errors
    /// It does not start again.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        stop(&mut self.process);
        let user = service_user()?;
        let directory = self.directory.path();
        let run = Run::new();
        self.process = spawn(directory, &self.programs.join("postgres"), user.as_ref(), &run)?;
        let first = target(directory, &self.user, "postgres");
        wait_until_ready(directory, &first, &mut self.process, &run).map(|_| ())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn target(directory: &Path, user: &str, database: &str) -> Target {
    Target::default()
        .with("host", &directory.to_string_lossy())
        // Else PGHOSTADDR would lead to another server, and what is meant for this one would be done there.
        .with("hostaddr", "")
        // And PGPASSWORD would go on to every program that works with this one, which asks for none.
        .with("password", "")
        .with("port", PORT)
        .with("user", user)
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

fn make_cluster(directory: &PrivateDirectory, initdb: &Path, user: Option<&ServiceUser>, run: &Run) -> Result<()> {
    let environment = environment::shared(run)?;
    let output = command(initdb, user)
        .args(["-N", "-A", "trust", "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "-D"])
        .arg(directory.path().join(DATA))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|process| {
            drop(environment);
            directory.note(process.id());
            process.wait_with_output()
        })
        .map_err(|error| Error::io(format_args!("cannot run \"{}\"", initdb.display()), &error))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(
        ErrorKind::Program,
        format!("initdb could not make a throw-away server: {}", last_lines(&words, 3)),
    ))
}

/// Writes the settings that every throw-away server has, and then these.
fn configure(directory: &Path, settings: &[(String, String)]) -> Result<()> {
    let mut text = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nport = {PORT}\nmax_connections = 200\n\
         fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nwal_level = minimal\nmax_wal_senders = 0\n\
         autovacuum_naptime = '1d'\nlog_destination = 'stderr'\n",
        directory.display()
    );
    for (name, value) in settings {
        text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
    }
    let file = directory.join(DATA).join("postgresql.auto.conf");
    fs::write(&file, text).map_err(|error| Error::io(format_args!("cannot write \"{}\"", file.display()), &error))
}

fn spawn(directory: &Path, postgres: &Path, user: Option<&ServiceUser>, run: &Run) -> Result<Child> {
    let _environment = environment::shared(run)?;
    let log = directory.join("log");
    let file =
        File::create(&log).map_err(|error| Error::io(format_args!("cannot write \"{}\"", log.display()), &error))?;
    let second = file
        .try_clone()
        .map_err(|error| Error::io("cannot open the server's log", &error))?;
    command(postgres, user)
        .arg("-D")
        .arg(directory.join(DATA))
        .stdout(file)
        .stderr(second)
        .spawn()
        .map_err(|error| Error::io(format_args!("cannot run \"{}\"", postgres.display()), &error))
}

fn wait_until_ready(directory: &Path, first: &Target, process: &mut Child, run: &Run) -> Result<ServerVersion> {
    let mut deadline = Instant::now() + Duration::from_secs(60);
    loop {
        run.go_on()?;
        let refused = match Connection::open(first, run) {
            Ok(connection) => return Ok(connection.server_version()),
            Err(error) => error,
        };
        // It replays what was written while its data was copied: that ends, however long it takes.
        if refused.message().contains("the database system is starting up") {
            deadline = Instant::now() + Duration::from_secs(60);
        }
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
