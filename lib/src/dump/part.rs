//! A file or directory under a temporary name until it is good: `.NAME.pum-1a2b.part` beside its final place.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::error::{Error, ErrorKind, Result};
use crate::file::in_the_way;

/// The unfinished dump. Dropped before [`Part::put_in_place`], it is removed.
pub(super) struct Part {
    path: PathBuf,
    place: PathBuf,
    directory: bool,
    // Held while we live, on a descriptor that no child inherits: who can take it knows that the part is an orphan.
    _owned: File,
}

impl Part {
    /// Makes it for its final place, and removes what killed runs left there for the same name.
    ///
    /// # Errors
    /// Something is in the way that must not be replaced, or the directory cannot be written.
    pub(super) fn create(place: &Path, directory: bool) -> Result<Part> {
        may_be_replaced(place, directory)?;
        let prefix = prefix(place)?;
        remove_orphans(place, &prefix);
        loop {
            let mut name = prefix.clone();
            name.push(&uuid::Uuid::new_v4().simple().to_string()[..8]);
            name.push(SUFFIX);
            let path = place.with_file_name(name);
            let made = if directory {
                DirBuilder::new().mode(0o700).create(&path).and_then(|()| open(&path))
            } else {
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .custom_flags(no_follow())
                    .open(&path)
            };
            let owned = made.map_err(|error| {
                Error::io(format_args!("cannot write \"{}\"", place.display()), &error)
                    .with_hint("the directory must exist, and you must be allowed to write there")
            })?;
            // Another run that looks for orphans may have been faster than our lock: then the part is gone.
            let locked = flock(&owned, FlockOperation::NonBlockingLockExclusive).is_ok();
            if locked && is_the_file(&owned, &path) {
                return Ok(Part {
                    path,
                    place: place.to_owned(),
                    directory,
                    _owned: owned,
                });
            }
        }
    }

    /// Where it is now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes it to the disk and gives it its name, replacing what an earlier run made.
    pub(super) fn put_in_place(self) -> Result<()> {
        let describe =
            |error: &std::io::Error| Error::io(format_args!("cannot write \"{}\"", self.place.display()), error);
        for path in self.files().map_err(|error| describe(&error))? {
            open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| describe(&error))?;
        }
        if self.directory && fs::symlink_metadata(&self.place).is_ok() {
            // A directory cannot be replaced by renaming onto it: the two change places, and the older one goes.
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                &self.path,
                rustix::fs::CWD,
                &self.place,
                rustix::fs::RenameFlags::EXCHANGE,
            )
            .map_err(|error| describe(&error.into()))?;
        } else {
            fs::rename(&self.path, &self.place).map_err(|error| describe(&error))?;
        }
        sync_parent(&self.place).map_err(|error| describe(&error))
    }

    /// The file itself, or the files of the directory and then the directory.
    fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        if self.directory {
            for entry in fs::read_dir(&self.path)? {
                files.push(entry?.path());
            }
        }
        files.push(self.path.clone());
        Ok(files)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After put_in_place nothing has this name, or the dump that was replaced.
        remove(&self.path);
    }
}

const SUFFIX: &str = ".part";

fn prefix(place: &Path) -> Result<OsString> {
    let name = place.file_name().ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("\"{}\" is not the name of a file", place.display()),
        )
    })?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".pum-");
    Ok(prefix)
}

/// An earlier dump may be replaced, as pum 0.10 did; anything else in the way may not.
fn may_be_replaced(place: &Path, directory: bool) -> Result<()> {
    let refuse = |what: &str, hint: &str| {
        Err(
            Error::new(ErrorKind::Refused, format!("\"{}\" {what}", place.display()))
                .with_hint(hint)
                .with_state("nothing was dumped or changed"),
        )
    };
    if place == Path::new("-") {
        return Err(Error::new(
            ErrorKind::Usage,
            "a dump is written to a file, not to the standard output",
        )
        .with_hint("give the name of a file"));
    }
    let Ok(found) = fs::symlink_metadata(place) else {
        return Ok(());
    };
    let kind = found.file_type();
    if let Some((what, hint)) = in_the_way(kind) {
        refuse(what, hint)
    } else if kind.is_dir() && !directory {
        refuse(
            "is a directory",
            "give the name of a file, or dump in the directory format",
        )
    } else if kind.is_dir() {
        let empty = fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
        if empty || place.join("toc.dat").is_file() {
            Ok(())
        } else {
            refuse("is a directory that holds no dump", "give another name, or remove it")
        }
    } else if directory {
        refuse(
            "is a file, and the directory format makes a directory",
            "give another name, or remove it",
        )
    } else {
        Ok(())
    }
}

/// Removes the parts of killed runs: those whose lock can be had.
fn remove_orphans(place: &Path, prefix: &OsStr) {
    let Ok(entries) = fs::read_dir(parent(place)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (name, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
        if !name.starts_with(prefix) || !name.ends_with(SUFFIX.as_bytes()) {
            continue;
        }
        let path = place.with_file_name(entry.file_name());
        let orphan = open(&path).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
        if orphan {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        let _ = fs::remove_dir_all(path);
    } else {
        let _ = fs::remove_file(path);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(no_follow()).open(path)
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits() as i32
}

fn is_the_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

pub(super) fn parent(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(super) fn sync_parent(place: &Path) -> std::io::Result<()> {
    File::open(parent(place))?.sync_all()
}
