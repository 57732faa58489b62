//! What a dump in the directory format may be made of: `pg_restore` opens every file that the contents name, so that a
//! name with a way in it, or a link, would make it read what lies elsewhere.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::archive::{Bytes, Header};

/// How much of a list of large objects is looked at in one line; a longer line is no such list.
const MAX_LIST: u64 = 64 << 20;

/// Why a directory is not restored; `None` where it holds and names nothing but its own files.
///
/// # Errors
/// It cannot be read.
pub(super) fn led_outside(directory: &Path, contents: &str) -> std::io::Result<Option<String>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_file() {
            return Ok(Some(format!("{name} in it is not a regular file")));
        }
        let named = if name == contents {
            files_of_contents(&fs::read(entry.path())?)
        } else if name.ends_with(".toc") {
            let mut list = String::new();
            File::open(entry.path())?.take(MAX_LIST).read_to_string(&mut list)?;
            files_of_list(&list)
        } else {
            continue;
        };
        if let Some(file) = named.into_iter().find(|file| file.contains('/')) {
            return Ok(Some(format!("{name} in it leads to another place, {file:?}")));
        }
    }
    Ok(None)
}

/// The files that a list of large objects names: a line each, an OID and the name.
fn files_of_list(list: &str) -> Vec<String> {
    let names = list.lines().filter_map(|line| line.split_once(' '));
    names.map(|(_, name)| name.trim().to_owned()).collect()
}

/// The files that `toc.dat` names, as far as it can be read (`ReadToc` in `pg_backup_archiver.c` of PostgreSQL, and
/// `_ReadExtraToc` in `pg_backup_directory.c`). Where it ends too early `pg_restore` says so.
fn files_of_contents(bytes: &[u8]) -> Vec<String> {
    let mut files = Vec::new();
    let _ = read_contents(bytes, &mut files);
    files
}

fn read_contents(bytes: &[u8], files: &mut Vec<String>) -> Option<()> {
    let size = usize::from(*bytes.get(8)?);
    let (header, mut bytes) = Header::read(bytes)?;
    let since = |minor: u8| header.version >= (1, minor);
    let text = |bytes: &mut Bytes<'_>| bytes.text_or_none(size);
    let entries = bytes.int(size)?;
    for _ in 0..entries {
        // Its number, and whether it has data; the OIDs of its catalog and of the object.
        bytes.int(size)?;
        bytes.int(size)?;
        if since(8) {
            text(&mut bytes)?;
        }
        text(&mut bytes)?;
        // Name and kind.
        text(&mut bytes)?;
        text(&mut bytes)?;
        if since(11) {
            bytes.int(size)?;
        }
        // What creates it, drops it, copies it; its schema, tablespace and access method.
        for known in [true, true, since(3), since(6), since(10), since(14)] {
            if known {
                text(&mut bytes)?;
            }
        }
        if since(16) {
            bytes.int(size)?;
        }
        // Its owner, and whether it has OIDs.
        text(&mut bytes)?;
        if since(9) {
            text(&mut bytes)?;
        }
        // What it depends on.
        while text(&mut bytes)?.is_some() {}
        files.extend(text(&mut bytes)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_large_objects_are_read() {
        assert_eq!(
            files_of_list("16385 blob_16385.dat\n1 ../../x y\n"),
            ["blob_16385.dat", "../../x y"]
        );
        assert_eq!(files_of_list("nothing\n"), [""; 0]);
    }

    #[test]
    fn what_is_no_table_of_contents_names_nothing() {
        for bytes in [&b""[..], b"PGDMP", b"PGDMP\x01\x0e\x00\x04\x08\x03"] {
            assert_eq!(files_of_contents(bytes), [""; 0]);
        }
    }
}
