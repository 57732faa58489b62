//! Files that appear under their name when they are whole.

use std::fs::{FileType, OpenOptions, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, Result};

/// Why what is under a name may not be replaced by a file, and what to do: a name must not lead elsewhere, and a device or
/// a FIFO is there for a reason. Of directories nothing is said.
pub(crate) fn in_the_way(kind: FileType) -> Option<(&'static str, &'static str)> {
    if kind.is_symlink() {
        Some(("is a symbolic link", "name the file itself"))
    } else if !kind.is_file() && !kind.is_dir() {
        Some(("is not a regular file", "give another name"))
    } else {
        None
    }
}

/// Writes a file that is new or takes the place of a regular file.
///
/// # Errors
/// Something else is in its place, or it cannot be written. What was there before is there still.
pub(crate) fn replace(
    path: &Path,
    what: &str,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> std::io::Result<()>,
) -> Result<()> {
    let found = std::fs::symlink_metadata(path).ok();
    let kind = found.as_ref().map(std::fs::Metadata::file_type);
    let obstacle = match kind {
        Some(kind) if kind.is_dir() => Some(("is a directory", "give the name of a file")),
        Some(kind) => in_the_way(kind),
        None => None,
    };
    if let Some((why, hint)) = obstacle {
        return Err(Error::new(ErrorKind::Refused, format!("\"{}\" {why}", path.display()))
            .with_hint(hint)
            .with_state("nothing was written"));
    }
    // It tells of somebody's data: its owner says who else may read it. What was there stays as open as it was.
    let permissions = found.map_or(Permissions::from_mode(0o600), |found| found.permissions());
    put(path, permissions, write)
        .map_err(|error| Error::io(format!("cannot write {what}\"{}\"", path.display()), &error))
}

fn put(
    path: &Path,
    permissions: Permissions,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".pum-")
        .permissions(permissions)
        .tempfile_in(directory)?;
    let mut writer = BufWriter::new(file);
    write(&mut writer)?;
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Writes a text into a file. A new file, and one in place of a regular file, appears when it is whole; a symbolic link is
/// followed, and a device or a FIFO written to.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    let cannot = |error: &std::io::Error| Error::io(format!("cannot write \"{}\"", path.display()), error);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return std::fs::write(path, text).map_err(|error| cannot(&error)),
        // A file that nobody may write to is not replaced either.
        Ok(_) => drop(
            OpenOptions::new()
                .write(true)
                .open(path)
                .map_err(|error| cannot(&error))?,
        ),
        Err(_) => {}
    }
    replace(path, "", |writer| writer.write_all(text.as_bytes()))
}

/// Bytes of a digest as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn fifo(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    #[test]
    fn only_a_regular_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "before").unwrap();
        std::fs::set_permissions(at("file"), Permissions::from_mode(0o600)).unwrap();
        fifo(&at("fifo"));
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        for (name, why) in [
            ("fifo", "is not a regular file"),
            ("link", "is a symbolic link"),
            ("directory", "is a directory"),
        ] {
            let error = replace(&at(name), "", |writer| writer.write_all(b"x")).unwrap_err();
            assert!(error.message().ends_with(why), "{error}");
        }
        let failed = replace(&at("file"), "", |_| Err(std::io::Error::other("full"))).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Io);
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "before");
        write_file(&at("link"), "through").unwrap();
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "through");
        write_file(&at("file"), "after").unwrap();
        assert_eq!(std::fs::read_to_string(at("link")).unwrap(), "after");
        assert_eq!(
            std::fs::metadata(at("file")).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_fifo_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        fifo(&path);
        let reader = path.clone();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            std::fs::File::open(reader).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        write_file(&path, "told").unwrap();
        assert_eq!(reader.join().unwrap(), "told");
    }
}
