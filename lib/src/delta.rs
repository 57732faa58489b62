//! Delta files: their names, their order, and what only looks like one. No database here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result, system_words};

/// A version of a data model: three numbers, compared as numbers, so that 1.10.0 comes after 1.9.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
}

/// Without leading zeros, as the upgrades table has it (pum 0.10: `100.002.9999` is `100.2.9999`).
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As one text, so that a width given by the caller counts for the whole.
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

impl FromStr for Version {
    type Err = Error;

    /// Three numbers of digits joined by dots, leading zeros allowed. Each must fit in 64 bits.
    fn from_str(text: &str) -> Result<Version> {
        let wrong = || {
            Error::new(ErrorKind::Usage, format!("{text:?} is not a version"))
                .with_hint("a version is three numbers joined by dots, such as 1.2.0")
        };
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for number in &mut numbers {
            let part = parts.next().ok_or_else(wrong)?;
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong());
            }
            *number = part.parse().map_err(|_| {
                Error::new(ErrorKind::Usage, format!("the number {part} in a version is too large"))
                    .with_hint(format!("the largest is {}", u64::MAX))
            })?;
        }
        match parts.next() {
            Some(_) => Err(wrong()),
            None => Ok(Version {
                major: numbers[0],
                minor: numbers[1],
                patch: numbers[2],
            }),
        }
    }
}

/// When a delta runs among those of its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Before the others: `.pre.py`, `.pre.sql`, and for every upgrade `pre-all`.
    Pre,
    /// `.py`, `.sql`.
    Normal,
    /// After the others: `.post.py`, `.post.sql`, and for every upgrade `post-all`.
    Post,
}

/// What a delta is written in. Python runs before SQL of the same stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// A Python module with classes derived from `DeltaPy`.
    Python,
    /// A SQL file, see [`Script`](crate::Script).
    Sql,
}

/// The endings of delta files, with what they mean.
const ENDINGS: [(&str, Stage, Language); 6] = [
    ("pre.sql", Stage::Pre, Language::Sql),
    ("sql", Stage::Normal, Language::Sql),
    ("post.sql", Stage::Post, Language::Sql),
    ("pre.py", Stage::Pre, Language::Python),
    ("py", Stage::Normal, Language::Python),
    ("post.py", Stage::Post, Language::Python),
];

/// The files that run before or after all deltas of an upgrade.
const SURROUNDINGS: [(&str, Stage, Language); 4] = [
    ("pre-all.py", Stage::Pre, Language::Python),
    ("pre-all.sql", Stage::Pre, Language::Sql),
    ("post-all.py", Stage::Post, Language::Python),
    ("post-all.sql", Stage::Post, Language::Sql),
];

/// The upgrades table holds no longer name (`description varchar(200)`).
const LONGEST_NAME: usize = 200;

/// A file `delta_X.Y.Z_name.KIND`, where `_name` may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The version that the database has after it.
    pub version: Version,
    /// Letters, digits and `_`, not beginning with `_`; may be empty.
    pub name: String,
    /// When it runs among those of its version.
    pub stage: Stage,
    /// What it is written in.
    pub language: Language,
    /// The file: the directory as it was given, joined with the file name.
    pub path: PathBuf,
    /// The directory, as it was given.
    pub directory: PathBuf,
}

impl Delta {
    /// The column `type` of the upgrades table (pum 0.10).
    pub fn code(&self) -> i32 {
        match (self.stage, self.language) {
            (Stage::Normal, Language::Python) => 4,
            (Stage::Pre, Language::Python) => 5,
            (Stage::Post, Language::Python) => 6,
            (Stage::Normal, Language::Sql) => 8,
            (Stage::Pre, Language::Sql) => 9,
            (Stage::Post, Language::Sql) => 10,
        }
    }

    /// The same in words: `pre py`, `delta sql`, ...
    pub fn kind(&self) -> &'static str {
        match (self.stage, self.language) {
            (Stage::Normal, Language::Python) => "delta py",
            (Stage::Pre, Language::Python) => "pre py",
            (Stage::Post, Language::Python) => "post py",
            (Stage::Normal, Language::Sql) => "delta sql",
            (Stage::Pre, Language::Sql) => "pre sql",
            (Stage::Post, Language::Sql) => "post sql",
        }
    }
}

/// `1.2.0 add_meters (pre sql)`.
impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.version)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        write!(f, " ({})", self.kind())
    }
}

/// A file `pre-all` or `post-all`, which runs on every upgrade and is not recorded (pum 0.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surrounding {
    /// The file: the directory as it was given, joined with the file name.
    pub path: PathBuf,
    /// What it is written in.
    pub language: Language,
    /// [`Stage::Pre`] or [`Stage::Post`].
    pub stage: Stage,
    /// The directory, as it was given.
    pub directory: PathBuf,
}

/// Something in a delta directory whose name begins like that of a delta and that is none. pum 0.10 passed
/// over it in silence, and projects lost deltas so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The file or directory.
    pub path: PathBuf,
    /// Why it is no delta, as the end of a sentence that begins with the path.
    pub reason: String,
}

/// The deltas of some directories, in the order in which they run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deltas {
    /// The directories that were read, each once, in the order given.
    pub directories: Vec<PathBuf>,
    /// Directory by directory; in each by version, then pre, normal, post, then Python before SQL, then by
    /// name (pum 0.10).
    pub deltas: Vec<Delta>,
    /// In the order in which they run: directories in reverse order, Python before SQL (pum 0.10).
    pub pre_all: Vec<Surrounding>,
    /// In the order in which they run: directories in order, Python before SQL (pum 0.10).
    pub post_all: Vec<Surrounding>,
    /// What looks like a delta and is none, in the order of directories and names.
    pub near_misses: Vec<NearMiss>,
}

impl Deltas {
    /// Reads the names in the directories, not in those below them. No file's content is read. A directory
    /// that is given twice counts once.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when a directory does not exist or is none, when the same delta (version, name
    /// and kind) is there twice, and when names in one directory differ only in upper and lower case, which
    /// are one file on some systems; [`ErrorKind::Io`] when a directory cannot be read.
    pub fn read(directories: &[PathBuf]) -> Result<Deltas> {
        let mut deltas = Deltas::default();
        let mut seen = BTreeSet::new();
        for directory in directories {
            let refused = |error| {
                Error::io(
                    format!("cannot read the delta directory \"{}\"", directory.display()),
                    &error,
                )
            };
            if seen.insert(real_directory(directory)?) {
                let mut names = fs::read_dir(directory)
                    .and_then(|entries| {
                        entries
                            .map(|entry| entry.map(|entry| entry.file_name()))
                            .collect::<std::io::Result<Vec<_>>>()
                    })
                    .map_err(refused)?;
                names.sort();
                deltas.directories.push(directory.clone());
                for name in names {
                    deltas.add(directory, &name);
                }
            }
        }
        let order = |directory: &Path| {
            let mut all = deltas.directories.iter();
            all.position(|other| other == directory)
        };
        deltas.deltas.sort_by_cached_key(|delta| {
            let name = delta.name.clone();
            (
                order(&delta.directory),
                delta.version,
                delta.stage,
                delta.language,
                name,
            )
        });
        deltas
            .pre_all
            .sort_by_key(|file| (std::cmp::Reverse(order(&file.directory)), file.language));
        deltas
            .post_all
            .sort_by_key(|file| (order(&file.directory), file.language));
        deltas.refuse_twins()?;
        Ok(deltas)
    }

    /// The directories in which there is no delta.
    pub fn empty_directories(&self) -> impl Iterator<Item = &Path> {
        let empty = |directory: &&PathBuf| !self.deltas.iter().any(|delta| delta.directory == **directory);
        self.directories.iter().filter(empty).map(PathBuf::as_path)
    }

    fn add(&mut self, directory: &Path, file_name: &std::ffi::OsStr) {
        let path = directory.join(file_name);
        let name = file_name.to_string_lossy();
        let surrounding = SURROUNDINGS.iter().find(|(known, ..)| *known == name);
        let parsed = match surrounding {
            Some(_) => Ok(None),
            None if begins_like_surrounding(&name) => {
                Err("is none of pre-all.py, pre-all.sql, post-all.py and post-all.sql".to_owned())
            }
            None if begins_like_delta(&name) => match file_name.to_str() {
                Some(name) => parse(name).map(Some),
                None => Err("has a name that is not UTF-8".to_owned()),
            },
            None => return,
        };
        let parsed = match parsed.and_then(|parsed| readable(&path).map(|()| parsed)) {
            Ok(parsed) => parsed,
            Err(reason) => return self.near_misses.push(NearMiss { path, reason }),
        };
        let directory = directory.to_path_buf();
        if let Some((version, name, stage, language)) = parsed {
            self.deltas.push(Delta {
                version,
                name,
                stage,
                language,
                path,
                directory,
            });
        } else if let Some(&(_, stage, language)) = surrounding {
            let list = match stage {
                Stage::Pre => &mut self.pre_all,
                _ => &mut self.post_all,
            };
            list.push(Surrounding {
                path,
                language,
                stage,
                directory,
            });
        }
    }

    /// pum 0.10 passed over the second of two equal deltas in silence.
    fn refuse_twins(&self) -> Result<()> {
        let mut same = BTreeMap::new();
        let mut folded = BTreeMap::new();
        for delta in &self.deltas {
            let key = (delta.version, delta.stage, delta.language);
            if let Some(other) = same.insert((key, &delta.name), &delta.path) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "the delta {delta} is there twice: \"{}\" and \"{}\"",
                        other.display(),
                        delta.path.display()
                    ),
                )
                .with_hint("remove one of them, or give it another name"));
            }
            let name = delta.name.to_lowercase();
            if let Some(other) = folded.insert((&delta.directory, key, name), &delta.path) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "\"{}\" and \"{}\" differ only in upper and lower case",
                        other.display(),
                        delta.path.display()
                    ),
                )
                .with_hint("they are one file on some systems: rename one of them"));
            }
        }
        Ok(())
    }
}

/// The directory by its one true path.
fn real_directory(directory: &Path) -> Result<PathBuf> {
    let wrong = |what: &str| {
        Error::new(
            ErrorKind::Usage,
            format!("the delta directory \"{}\" {what}", directory.display()),
        )
    };
    match directory.canonicalize() {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => Err(wrong("is not a directory").with_hint("name the directory that holds the delta files")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(wrong("does not exist").with_hint("name the directory that holds the delta files"))
        }
        Err(error) => Err(Error::io(
            format!("cannot read the delta directory \"{}\"", directory.display()),
            &error,
        )),
    }
}

/// Whether it is a file that can be opened. Named pipes and devices are not opened: that can wait for ever.
fn readable(path: &Path) -> Result<(), String> {
    let link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err("is a directory".into()),
        Ok(metadata) if !metadata.is_file() => Err("is not a regular file".into()),
        Ok(_) => match File::open(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot be read: {}", system_words(&error))),
        },
        Err(_) if link => Err("is a symbolic link to nothing".into()),
        Err(error) => Err(format!("cannot be read: {}", system_words(&error))),
    }
}

fn begins_like_surrounding(name: &str) -> bool {
    let letters: String = name.chars().filter(|c| !"-_ ".contains(*c)).collect();
    let letters = letters.to_lowercase();
    letters.starts_with("preall.") || letters.starts_with("postall.") || letters == "preall" || letters == "postall"
}

/// `delta` in any case, not as the beginning of a longer word.
fn begins_like_delta(name: &str) -> bool {
    let begins = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("delta"));
    begins && !name[5..].starts_with(char::is_alphabetic)
}

/// The parts of a file name that begins like a delta's, or why it is none.
fn parse(file_name: &str) -> Result<(Version, String, Stage, Language), String> {
    let Some(rest) = file_name.strip_prefix("delta_") else {
        return Err("does not begin with delta_".into());
    };
    let version_end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (version, rest) = rest.split_at(version_end);
    // The dot before the ending is not of the version: delta_1.0.0.sql.
    let (version, rest) = match version.strip_suffix('.') {
        Some(version) => (version, format!(".{rest}")),
        None => (version, rest.to_owned()),
    };
    if version.is_empty() {
        return Err("has no version X.Y.Z after delta_".into());
    }
    let version: Version = version.parse().map_err(|error: Error| match error.hint() {
        Some(hint) => format!("has no version X.Y.Z: {}; {hint}", error.message()),
        None => format!("has no version X.Y.Z: {}", error.message()),
    })?;
    let Some((name, ending)) = rest.split_once('.') else {
        return Err(format!("has no ending; {ENDINGS_KNOWN}"));
    };
    // As pum 0.10 reads it: delta_1.0.0.sql, delta_1.0.0_.sql, delta_1.0.0__x.sql.
    let name = name.trim_start_matches('_');
    if let Some(c) = name.chars().find(|c| !c.is_alphanumeric() && *c != '_') {
        return Err(format!(
            "has {c:?} in its name, where only letters, digits and _ may stand"
        ));
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(format!("has a name longer than {LONGEST_NAME} characters"));
    }
    let known = ENDINGS.iter().find(|(known, ..)| *known == ending);
    if let Some(&(_, stage, language)) = known {
        return Ok((version, name.to_owned(), stage, language));
    }
    let before = ENDINGS.iter().any(|(known, ..)| ending.ends_with(&format!(".{known}")));
    Err(if before {
        "has a dot in its name".into()
    } else {
        format!("ends with {:?}; {ENDINGS_KNOWN}", format!(".{ending}"))
    })
}

const ENDINGS_KNOWN: &str = "the endings are .sql, .pre.sql, .post.sql, .py, .pre.py and .post.py, in lower case";

#[cfg(test)]
mod tests;
