//! Private directories, for servers and for files that nobody else may read, and what killed runs left of them.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{DATA, TABLESPACES};
use crate::error::{Error, ErrorKind, Result};

const PREFIX: &str = "pum-server-";

/// The file in which a program is noted that works in a directory.
const PROGRAM: &str = "program";

/// The user to run the server as: PostgreSQL refuses root.
pub(super) struct ServiceUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

pub(super) fn service_user() -> Result<Option<ServiceUser>> {
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

impl ServiceUser {
    fn enter(&self, directory: &Path) -> Result<()> {
        chown(directory, Some(self.uid), Some(self.gid))
            .map_err(|error| Error::io(format_args!("cannot give away \"{}\"", directory.display()), &error))
    }

    /// Hands over a directory with all that is in it.
    fn take_over(&self, path: &Path) -> Result<()> {
        let cannot = |error: std::io::Error| Error::io(format_args!("cannot give away \"{}\"", path.display()), &error);
        lchown(path, Some(self.uid), Some(self.gid)).map_err(cannot)?;
        if fs::symlink_metadata(path).map_err(cannot)?.is_dir() {
            for entry in fs::read_dir(path).map_err(cannot)? {
                self.take_over(&entry.map_err(cannot)?.path())?;
            }
        }
        Ok(())
    }
}

/// The directory in which private directories are made.
pub(crate) fn base() -> PathBuf {
    // Short, because a socket's path has at most 107 bytes.
    let base = std::env::temp_dir();
    if base.as_os_str().len() > 60 {
        PathBuf::from("/tmp")
    } else {
        base
    }
}

/// A directory for files that nobody else may read, removed with the value; what a killed process left of it is found
/// and removed, and a server or program that still works in it is ended before.
#[derive(Debug)]
pub(crate) struct PrivateDirectory {
    path: PathBuf,
    // Held while we live: who can take it knows that this directory is an orphan.
    _owned: File,
}

impl PrivateDirectory {
    pub(crate) fn new() -> Result<PrivateDirectory> {
        PrivateDirectory::of(None)
    }

    /// One that only the server's user may enter.
    pub(super) fn of(user: Option<&ServiceUser>) -> Result<PrivateDirectory> {
        remove_orphans();
        let base = base();
        let describe = |error: &std::io::Error| Error::io("cannot make a private directory", error);
        // Under another name until it is locked: who looks for orphans must not take it for one.
        let making = announce(&base);
        let directory = tempfile::Builder::new()
            .prefix(&format!(".{PREFIX}"))
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&base)
            .map_err(|error| describe(&error))?;
        let owned = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.path().join("owner"))
            .map_err(|error| describe(&error))?;
        flock(&owned, FlockOperation::NonBlockingLockExclusive).map_err(|error| describe(&error.into()))?;
        if let Some(user) = user {
            user.enter(directory.path())?;
        }
        let name = directory.path().file_name().unwrap_or_default().to_string_lossy();
        let path = base.join(name.trim_start_matches('.'));
        fs::rename(directory.path(), &path).map_err(|error| describe(&error))?;
        // Nothing is left under the first name.
        let _ = directory.keep();
        drop(making);
        Ok(PrivateDirectory { path, _owned: owned })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands the data in it over to the server's user, and then lets him in.
    pub(super) fn hand_over(&self, user: &ServiceUser) -> Result<()> {
        for name in [DATA, TABLESPACES] {
            let path = self.path.join(name);
            if path.is_dir() {
                user.take_over(&path)?;
            }
        }
        user.enter(&self.path)
    }

    /// Notes a program whose arguments name the directory: should we be killed, it does not go on alone for long.
    pub(crate) fn note(&self, process: u32) {
        // What cannot be noted ends by itself once its directory is gone.
        let _ = fs::write(self.path.join(PROGRAM), format!("{process}\n"));
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Ends and removes what is in directories whose process is gone: their owner file can be locked.
pub(crate) fn remove_orphans() {
    for base in [std::env::temp_dir(), PathBuf::from("/tmp")] {
        let Ok(entries) = fs::read_dir(&base) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) {
                remove_orphan(&entry.path());
            } else if name.strip_prefix('.').is_some_and(|name| name.starts_with(PREFIX)) {
                remove_unlocked(&base, &entry.path());
            }
        }
    }
}

/// Says that a directory is being made and not locked yet, as long as the value lives.
fn announce(base: &Path) -> Option<File> {
    let making = File::open(base).ok()?;
    // Who removes takes it for a moment. Should somebody else hold it for longer, it is done without.
    for _ in 0..100 {
        if flock(&making, FlockOperation::NonBlockingLockShared).is_ok() {
            return Some(making);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Removes a directory whose maker was killed before it was locked: while nobody is making one.
fn remove_unlocked(base: &Path, directory: &Path) {
    let Ok(making) = File::open(base) else {
        return;
    };
    if flock(&making, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    // Looked at only now: it may have been made, and got its name.
    if fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw()) {
        remove(directory);
    }
}

/// Removes a directory in which a program that is ending may still write.
fn remove(directory: &Path) {
    for _ in 0..20 {
        if fs::remove_dir_all(directory).is_ok() || !directory.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
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
    for file in [PROGRAM, "data/postmaster.pid"] {
        if let Some(pid) = process(directory, file) {
            end(pid);
        }
    }
    remove(directory);
}

fn end(pid: Pid) {
    let _ = kill_process(pid, Signal::QUIT);
    for _ in 0..300 {
        if rustix::process::test_kill_process(pid).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The process that a file of an orphan names, if that number still is the one: its command line names the directory.
fn process(directory: &Path, file: &str) -> Option<Pid> {
    let mut text = String::new();
    File::open(directory.join(file)).ok()?.read_to_string(&mut text).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let arguments = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .env_remove("PGPASSWORD")
        .output()
        .ok()?;
    let ours = String::from_utf8_lossy(&arguments.stdout).contains(&*directory.to_string_lossy());
    if ours { Pid::from_raw(pid) } else { None }
}
