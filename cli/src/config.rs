//! The configuration: what the file, the environment and the command line say, and which of them is in force.

mod file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use pum::{CopyMethod, Error, ErrorKind, Location, Result, Sample, Variables};
use serde_saphyr::Spanned;

pub(crate) use file::{Command, Expected};

/// The names under which the file is found in the current directory.
const NAMES: [&str; 2] = ["db_manager_config.yaml", "pum.yaml"];

/// A value in force and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Setting<T> {
    /// The same origin for what `change` makes of the value. An error gets the place in the file.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> Result<U>) -> Result<Setting<U>> {
        match change(self.value) {
            Ok(value) => Ok(Setting {
                value,
                origin: self.origin,
            }),
            Err(error) => Err(match self.origin {
                Origin::File(location) => error.at(location),
                Origin::Environment(name) => error.within(format!("in the environment variable {name}")),
                Origin::CommandLine | Origin::Default => error,
            }),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File(Location),
    /// An environment variable.
    Environment(&'static str),
    /// An option.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(place) => write!(f, "{}:{}", place.path.display(), place.line),
            Origin::Environment(name) => write!(f, "environment, {name}"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// One of the databases that a command can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `-p`
    Only,
    /// `-pp`
    Production,
    /// `-pt`
    Test,
    /// `-pc`
    Comparison,
}

impl Role {
    /// The key of the configuration.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Role::Only => "pg_service",
            Role::Production => "pg_service_prod",
            Role::Test => "pg_service_test",
            Role::Comparison => "pg_service_comp",
        }
    }

    /// The option.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Role::Only => "-p",
            Role::Production => "-pp",
            Role::Test => "-pt",
            Role::Comparison => "-pc",
        }
    }
}

/// One of the programs of PostgreSQL whose path can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    PgDump,
    PgRestore,
}

/// A variable of the deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// `int`, `float` or `str`.
    pub(crate) kind: String,
    /// The value as a text.
    pub(crate) value: String,
}

/// What the configuration file says. Without a file, nothing.
#[derive(Debug, Default)]
pub(crate) struct Config {
    path: Option<PathBuf>,
    text: String,
    file: file::File,
}

impl Config {
    /// Reads the file that is given, or `db_manager_config.yaml` or `pum.yaml` in the current directory.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else than a configuration.
    pub(crate) fn read(given: Option<&Path>) -> Result<Config> {
        match given {
            Some(path) => Config::open(path.to_owned()),
            None => match NAMES.map(Path::new).map(|path| (path, path.exists())) {
                [(first, true), (second, true)] => Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "both {} and {} are in the current directory",
                        first.display(),
                        second.display()
                    ),
                )
                .with_hint("remove one, or name one with -c FILE")),
                [(path, true), _] | [_, (path, true)] => Config::open(path.to_owned()),
                _ => Ok(Config::default()),
            },
        }
    }

    fn open(path: PathBuf) -> Result<Config> {
        const LIMIT: u64 = 1 << 20;
        let cannot = |error: &std::io::Error| {
            if error.kind() == std::io::ErrorKind::InvalidData {
                return Error::new(
                    ErrorKind::Usage,
                    format!("the configuration \"{}\" is not UTF-8", path.display()),
                )
                .with_hint("convert it to UTF-8, for example: iconv -f ISO-8859-1 -t UTF-8");
            }
            Error::io(format!("cannot read the configuration \"{}\"", path.display()), error)
                .with_kind(ErrorKind::Usage)
                .with_hint("give the file with -c FILE")
        };
        let mut text = String::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text))
            .map_err(|error| cannot(&error))?;
        if text.len() as u64 > LIMIT {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "\"{}\" is no configuration: it holds more than {LIMIT} bytes",
                    path.display()
                ),
            ));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        Config::from_text(path, text)
    }

    fn from_text(path: PathBuf, text: String) -> Result<Config> {
        let file = file::parse(&path, &text)?;
        let config = Config {
            path: Some(path),
            text,
            file,
        };
        config.sound()?;
        Ok(config)
    }

    /// Refuses what each key alone cannot show.
    fn sound(&self) -> Result<()> {
        if let (Some(_), Some(dirs)) = (&self.file.delta_dir, &self.file.delta_dirs) {
            return Err(Error::new(
                ErrorKind::Usage,
                "in the configuration: both delta_dir and delta_dirs are set",
            )
            .at(self.place(dirs))
            .with_hint("keep the list delta_dirs"));
        }
        if let Some(expected) = &self.file.expected
            && expected.value == Expected::Deltas(false)
        {
            return Err(Error::new(
                ErrorKind::Usage,
                "in the configuration: \"expected: {deltas: false}\" says nothing",
            )
            .at(self.place(expected))
            .with_hint("leave the key out, or write {deltas: true}"));
        }
        self.lock_timeout(None)?;
        self.max_age(None)?;
        self.budget_factor(None)?;
        self.copy(None)?;
        self.sample(None)?;
        Ok(())
    }

    /// The file in use.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The table that records what is applied.
    pub(crate) fn upgrades_table(&self, given: Option<String>) -> Option<Setting<String>> {
        self.choose(given, self.file.upgrades_table.as_ref())
    }

    /// The directories of the deltas. Those of the file are relative to it.
    pub(crate) fn delta_dirs(&self, given: Vec<PathBuf>) -> Option<Setting<Vec<PathBuf>>> {
        let one = self.file.delta_dir.as_ref().map(|dir| Setting {
            value: vec![self.beside(&dir.value)],
            origin: self.origin(dir),
        });
        let several = self.file.delta_dirs.as_ref().map(|dirs| Setting {
            value: dirs.value.iter().map(|dir| self.beside(dir)).collect(),
            origin: self.origin(dirs),
        });
        on_command_line(given).or(several).or(one)
    }

    /// Where the backup of production goes.
    pub(crate) fn backup_file(&self, given: Option<PathBuf>) -> Option<Setting<PathBuf>> {
        let file = self.file.backup_file.as_ref().map(|file| Setting {
            value: self.beside(&file.value),
            origin: self.origin(file),
        });
        given.map(command_line).or(file)
    }

    /// The kinds and classes that are not compared.
    pub(crate) fn ignore_elements(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.ignore_elements.as_ref())
    }

    /// The classes of differences that count too.
    pub(crate) fn include(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.include.as_ref())
    }

    /// The objects that are not compared.
    pub(crate) fn exclude(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.exclude.as_ref())
    }

    /// The tables whose rows are compared too.
    pub(crate) fn data(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.data.as_ref())
    }

    /// The file of expected differences. That of the configuration file is relative to it.
    pub(crate) fn expect(&self, given: Option<PathBuf>) -> Option<Setting<PathBuf>> {
        let file = self.file.expect.as_ref().map(|file| Setting {
            value: self.beside(&file.value),
            origin: self.origin(file),
        });
        given.map(command_line).or(file)
    }

    /// The schemas that are left out.
    pub(crate) fn exclude_schemas(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.exclude_schemas.as_ref())
    }

    /// The columns that are not compared.
    pub(crate) fn exclude_field_patterns(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.exclude_field_patterns.as_ref())
    }

    /// The path of a program: the environment variable wins over the file.
    pub(crate) fn program(&self, program: Program) -> Option<Setting<PathBuf>> {
        self.program_in(program, |variable| std::env::var_os(variable))
    }

    fn program_in(&self, program: Program, environment: impl Fn(&str) -> Option<OsString>) -> Option<Setting<PathBuf>> {
        let (variable, key) = match program {
            Program::PgDump => ("PG_DUMP_EXE", &self.file.pg_dump_exe),
            Program::PgRestore => ("PG_RESTORE_EXE", &self.file.pg_restore_exe),
        };
        environment(variable)
            .filter(|value| !value.is_empty())
            .map(|value| Setting {
                value: PathBuf::from(value),
                origin: Origin::Environment(variable),
            })
            .or_else(|| {
                key.as_ref().map(|key| Setting {
                    value: if key.value.contains('/') {
                        self.beside(&key.value)
                    } else {
                        PathBuf::from(&key.value)
                    },
                    origin: self.origin(key),
                })
            })
    }

    /// The variables by name: words of the command line in groups of type, name and value, then the file's.
    pub(crate) fn variables(&self, given: &[String]) -> BTreeMap<String, Setting<Variable>> {
        let file = self.file.variables.iter().map(|(name, variable)| {
            let (kind, value) = match &variable.value {
                file::Variable::Int(value) => ("int", value.clone()),
                file::Variable::Float(value) => ("float", value.to_string()),
                file::Variable::Text(value) => ("str", value.clone()),
                file::Variable::Typed { kind, value } => (kind.as_str(), value.clone()),
            };
            let setting = Setting {
                value: Variable {
                    kind: kind.to_owned(),
                    value,
                },
                origin: self.origin(variable),
            };
            (name.clone(), setting)
        });
        let given = given.chunks_exact(3).map(|words| {
            let setting = command_line(Variable {
                kind: words[0].clone(),
                value: words[2].clone(),
            });
            (words[1].clone(), setting)
        });
        file.chain(given).collect()
    }

    /// The query that returns the version of a database without an upgrades table.
    pub(crate) fn version_query(&self) -> Option<Setting<String>> {
        self.choose(None, self.file.version_query.as_ref())
    }

    /// How the expected database is built. Paths are relative to the file.
    pub(crate) fn expected(&self) -> Option<Setting<Expected>> {
        let mut setting = self.choose(None, self.file.expected.as_ref())?;
        if let Expected::Sql(files) = &mut setting.value {
            for file in files {
                *file = self.beside(file).to_string_lossy().into_owned();
            }
        }
        Some(setting)
    }

    /// How long a delta waits for a lock.
    ///
    /// # Errors
    /// The file's value is no time.
    pub(crate) fn lock_timeout(&self, given: Option<Time>) -> Result<Option<Setting<Time>>> {
        self.time("lock_timeout", given, self.file.lock_timeout.as_ref())
    }

    /// How old a rehearsal may be.
    ///
    /// # Errors
    /// The file's value is no time.
    pub(crate) fn max_age(&self, given: Option<Time>) -> Result<Option<Setting<Time>>> {
        self.time("max_age", given, self.file.max_age.as_ref())
    }

    /// How many times as long as on the copy a step of production may take.
    ///
    /// # Errors
    /// The file's value is out of range.
    pub(crate) fn budget_factor(&self, given: Option<f64>) -> Result<Option<Setting<f64>>> {
        let factor = self.choose(given, self.file.budget_factor.as_ref());
        let factor = factor.map(|setting| {
            setting.map(|number| match number {
                number if BUDGET_FACTORS.contains(&number) => Ok(number),
                number => Err(Error::new(
                    ErrorKind::Usage,
                    format!("budget_factor: {number} is no number from 1 to 1000000"),
                )),
            })
        });
        factor.transpose()
    }

    fn time(&self, key: &str, given: Option<Time>, file: Option<&Spanned<String>>) -> Result<Option<Setting<Time>>> {
        match (given, self.choose(None, file)) {
            (Some(given), _) => Ok(Some(command_line(given))),
            (None, Some(file)) => file
                .map(|text| {
                    text.parse()
                        .map_err(|message: String| Error::new(ErrorKind::Usage, format!("{key}: {message}")))
                })
                .map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The name of a database.
    pub(crate) fn database(&self, which: Role, given: Option<String>) -> Option<Setting<String>> {
        let key = match which {
            Role::Only => &self.file.pg_service,
            Role::Production => &self.file.pg_service_prod,
            Role::Test => &self.file.pg_service_test,
            Role::Comparison => &self.file.pg_service_comp,
        };
        self.choose(given, key.as_ref())
    }

    /// How production is copied for a rehearsal.
    ///
    /// # Errors
    /// There is no such way.
    pub(crate) fn copy(&self, given: Option<String>) -> Result<Setting<CopyMethod>> {
        self.choose(given, self.file.copy.as_ref())
            .unwrap_or(Setting {
                value: CopyMethod::Auto.name().to_owned(),
                origin: Origin::Default,
            })
            .map(|name| name.parse())
    }

    /// How much of the rows of large tables is copied for a rehearsal; none is all.
    ///
    /// # Errors
    /// It is no part.
    pub(crate) fn sample(&self, given: Option<String>) -> Result<Option<Setting<Sample>>> {
        let chosen = self.choose(given, self.file.sample.as_ref());
        chosen.map(|setting| setting.map(|text| text.parse())).transpose()
    }

    /// The names of the databases of a command that takes many.
    pub(crate) fn fleet(&self, given: Vec<String>) -> Setting<Vec<String>> {
        self.list(given, self.file.fleet.as_ref())
    }

    /// The snapshot file that stands in the place of a database: a name that ends with `.json`.
    pub(crate) fn snapshot_file(&self, name: &Setting<String>) -> Option<PathBuf> {
        let text = &name.value;
        is_snapshot(text).then(|| match name.origin {
            Origin::File(_) => self.beside(text),
            _ => PathBuf::from(text),
        })
    }

    /// The name of a database that the command cannot do without.
    ///
    /// # Errors
    /// Nobody names it.
    pub(crate) fn needed_database(&self, which: Role, given: Option<String>) -> Result<Setting<String>> {
        let setting = self.database(which, given);
        needed(setting, which.option(), which.key())
    }

    /// The variables, each read as its type says.
    ///
    /// # Errors
    /// A type, name or value is none.
    pub(crate) fn script_variables(&self, given: &[String]) -> Result<Variables> {
        let mut variables = Variables::new();
        for (name, setting) in self.variables(given) {
            setting.map(|variable| variables.insert(&variable.kind, &name, &variable.value))?;
        }
        Ok(variables)
    }

    fn choose<T: Clone>(&self, given: Option<T>, file: Option<&Spanned<T>>) -> Option<Setting<T>> {
        given.map(command_line).or_else(|| {
            file.map(|file| Setting {
                value: file.value.clone(),
                origin: self.origin(file),
            })
        })
    }

    fn list(&self, given: Vec<String>, file: Option<&Spanned<Vec<String>>>) -> Setting<Vec<String>> {
        on_command_line(given)
            .or_else(|| self.choose(None, file))
            .unwrap_or(Setting {
                value: Vec::new(),
                origin: Origin::Default,
            })
    }

    fn origin<T>(&self, value: &Spanned<T>) -> Origin {
        Origin::File(self.place(value))
    }

    fn place<T>(&self, value: &Spanned<T>) -> Location {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        file::location(path, &self.text, &value.referenced)
    }

    /// A path of the file, seen from the current directory.
    fn beside(&self, path: &str) -> PathBuf {
        match self.path.as_deref().and_then(Path::parent) {
            Some(directory) => directory.join(path),
            None => PathBuf::from(path),
        }
    }
}

/// How many times as long as on the copy a step of production may take.
pub(crate) const BUDGET_FACTORS: std::ops::RangeInclusive<f64> = 1.0..=1e6;

/// The setting, or a sentence that says how to give it.
///
/// # Errors
/// There is none.
pub(crate) fn needed<T>(setting: Option<Setting<T>>, option: &str, key: &str) -> Result<Setting<T>> {
    setting.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("{option} is missing"))
            .with_hint(format!("give {option}, or {key} in the configuration file"))
    })
}

/// Whether a name stands for a snapshot file, and not for a database.
pub(crate) fn is_snapshot(name: &str) -> bool {
    name.ends_with(".json") && !name.contains("://") && !name.contains('=')
}

/// A value of the command line.
pub(crate) fn command_line<T>(value: T) -> Setting<T> {
    Setting {
        value,
        origin: Origin::CommandLine,
    }
}

fn on_command_line<T>(value: Vec<T>) -> Option<Setting<Vec<T>>> {
    (!value.is_empty()).then(|| command_line(value))
}

/// A time with its unit: `500ms`, `5s`, `2min`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Time, String> {
        let wrong = || format!("\"{text}\" is no time; write a number and its unit: 500ms, 5s, 2min, 1h");
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = match unit.trim() {
            "" if number == 0 => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
        };
        let milliseconds = number.checked_mul(unit).ok_or_else(wrong)?;
        // What PostgreSQL can hold in a setting (documentation, "Setting Parameters": 32 bits, in milliseconds).
        if milliseconds > u64::from(i32::MAX.unsigned_abs()) {
            return Err(format!("\"{text}\" is too long; 24d is the most"));
        }
        Ok(Time(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (name, unit) = UNITS
            .iter()
            .rev()
            .find(|(_, unit)| milliseconds.is_multiple_of(*unit) && milliseconds >= *unit)
            .unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", milliseconds / unit)
    }
}

#[cfg(test)]
mod tests;
