//! A file for each of many databases, in a directory.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pum::{Error, ErrorKind, Result};

use super::{Fleet, Member, refused};

/// What file systems take for a name, in bytes.
const LONGEST: usize = 255;

impl Member {
    /// The file of this member: its name, in which what a file's name should not hold is written as `%` and two digits,
    /// so that it stays in the directory and no two names have one file; a dot, and the ending.
    pub(crate) fn file(&self, directory: &Path, ending: &str) -> PathBuf {
        directory.join(file_name(&self.name, ending))
    }
}

impl Fleet {
    /// Makes the directories in which each member is to get a file, and refuses at once what could not be written in the
    /// end. `places` are a directory each, with the ending of the files and the option that names it.
    ///
    /// # Errors
    /// A directory cannot be made, a name is too long for a file, two files would be one.
    pub(crate) fn prepare_files(&self, places: &[(&Path, &str, &str)]) -> Result<()> {
        let mut known = HashSet::new();
        for &(directory, ending, option) in places {
            for member in &self.members {
                let name = file_name(&member.name, ending);
                if name.len() > LONGEST {
                    return Err(refused(
                        format!("\"{}\" is too long for the name of a file", member.name),
                        "define a service for it in pg_service.conf, and name that",
                    ));
                }
            }
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .and_then(|()| directory.canonicalize());
            let directory = made.map_err(|error| {
                Error::io(format!("cannot make the directory \"{}\"", directory.display()), &error)
                    .with_kind(ErrorKind::Usage)
                    .with_hint(format!(
                        "with many databases {option} names a directory, in which each gets a file"
                    ))
                    .with_state("nothing was done")
            })?;
            for member in &self.members {
                let file = member.file(&directory, ending);
                if let Some(file) = known.replace(file) {
                    return Err(refused(
                        format!("two databases would write \"{}\"", file.display()),
                        "name directories of their own, or define services with other names",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn file_name(name: &str, ending: &str) -> String {
    let mut file = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-=".contains(&byte) || byte == b'.' && !file.is_empty() {
            file.push(char::from(byte));
        } else {
            let _ = write!(file, "%{byte:02x}");
        }
    }
    file.push('.');
    file.push_str(ending);
    file
}

#[cfg(test)]
mod tests {
    use pum::Target;

    use super::*;

    fn fleet(names: &[&str]) -> Fleet {
        let member = |name: &&str| Member {
            name: (*name).to_owned(),
            target: Target::new("dbname=x").unwrap(),
        };
        Fleet {
            members: names.iter().map(member).collect(),
            at_once: 1,
        }
    }

    #[test]
    fn a_file_stays_in_its_directory() {
        for (name, expected) in [
            ("town_1.2", "town_1.2.txt"),
            ("../x", "%2e.%2fx.txt"),
            ("/etc/passwd", "%2fetc%2fpasswd.txt"),
            ("a b\n%", "a%20b%0a%25.txt"),
            ("ü\0", "%c3%bc%00.txt"),
            ("a%20b", "a%2520b.txt"),
        ] {
            assert_eq!(file_name(name, "txt"), expected);
        }
    }

    #[test]
    fn what_could_not_be_written_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("a/b");
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let places = |ending| [(&*new, ending, "-o")];
        fleet(&["x", "y", "X"]).prepare_files(&places("json")).unwrap();
        assert!(new.is_dir());
        let long = "ü".repeat(63);
        let said = |result: Result<()>| result.unwrap_err().to_string();
        assert!(said(fleet(&[&long]).prepare_files(&places("json"))).ends_with("is too long for the name of a file"));
        assert!(said(fleet(&["x", "x"]).prepare_files(&places("json"))).starts_with("two databases would write"));
        // The ending of one is the end of another's name.
        let crossing = [(&*new, "json", "--save"), (&*new.join("../b"), "backup.json", "-f")];
        assert!(said(fleet(&["x", "x.backup"]).prepare_files(&crossing)).ends_with("x.backup.json\""));
        let error = fleet(&["x"]).prepare_files(&[(&file, "json", "--save")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.hint().unwrap().contains("--save names a directory"), "{error:?}");
    }
}
