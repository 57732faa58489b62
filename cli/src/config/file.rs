//! The form of the configuration file. The JSON schema is made from these types, and so is every key's place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use pum::{Error, ErrorKind, Location, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

/// Configuration of pum. Every key gives the default of an option; the command line wins. Paths are relative to
/// this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pum.yaml", rename = "pum.yaml")]
pub(super) struct File {
    /// The table that records what is applied: `schema.table`.
    #[schemars(with = "Option<String>")]
    pub(super) upgrades_table: Option<Spanned<String>>,
    /// The directory that holds the deltas.
    #[schemars(with = "Option<String>")]
    pub(super) delta_dir: Option<Spanned<String>>,
    /// The directories that hold the deltas, in the order in which they are applied.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) delta_dirs: Option<Spanned<Vec<String>>>,
    /// Where test and test-and-upgrade write the backup of production.
    #[schemars(with = "Option<String>")]
    pub(super) backup_file: Option<Spanned<String>>,
    /// How test and test-and-upgrade copy production: auto, restore, template or physical.
    #[schemars(with = "Option<String>", extend("enum" = ["auto", "restore", "template", "physical"]))]
    pub(super) copy: Option<Spanned<String>>,
    /// How much of the rows of large tables test and test-and-upgrade copy, such as 5%; all without it.
    #[schemars(with = "Option<String>")]
    pub(super) sample: Option<Spanned<String>>,
    /// The kinds of objects and the classes of differences that are not compared.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) ignore_elements: Option<Spanned<Vec<String>>>,
    /// The classes of differences that count besides those that count by default; `all` for every one.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) include: Option<Spanned<Vec<String>>>,
    /// The objects that are not compared, as patterns such as `usr_*` or `import.*`.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) exclude: Option<Spanned<Vec<String>>>,
    /// The tables whose rows are compared too, as patterns such as `water.material`.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) data: Option<Spanned<Vec<String>>>,
    /// The file of differences that are known and do not count.
    #[schemars(with = "Option<String>")]
    pub(super) expect: Option<Spanned<String>>,
    /// The schemas that are left out.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) exclude_schemas: Option<Spanned<Vec<String>>>,
    /// The columns that are not compared, as patterns of SQL `LIKE`.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) exclude_field_patterns: Option<Spanned<Vec<String>>>,
    /// The program pg_dump. A name without a slash is looked for in PATH.
    #[schemars(with = "Option<String>")]
    pub(super) pg_dump_exe: Option<Spanned<String>>,
    /// The program pg_restore. A name without a slash is looked for in PATH.
    #[schemars(with = "Option<String>")]
    pub(super) pg_restore_exe: Option<Spanned<String>>,
    /// Variables of the deltas: a name and its value, a number or a text.
    #[schemars(with = "BTreeMap<String, VariableForm>")]
    #[serde(default)]
    pub(super) variables: BTreeMap<String, Spanned<Variable>>,
    /// A query that returns the version of a database without an upgrades table, such as
    /// `select version from app.about`.
    #[schemars(with = "Option<String>")]
    pub(super) version_query: Option<Spanned<String>>,
    /// How the expected database is built, with which the upgraded test database is compared.
    #[schemars(with = "Option<Expected>")]
    pub(super) expected: Option<Spanned<Expected>>,
    /// How long a delta waits for a lock before it is rolled back and tried again, with its unit: `5s`, `500ms`.
    #[schemars(with = "Option<String>")]
    pub(super) lock_timeout: Option<Spanned<String>>,
    /// How old a rehearsal may be when production is upgraded as it was rehearsed: `7d`.
    #[schemars(with = "Option<String>")]
    pub(super) max_age: Option<Spanned<String>>,
    /// A step of production is ended when it takes so many times as long as on the copy, and longer than 10 s.
    #[schemars(with = "Option<f64>")]
    pub(super) budget_factor: Option<Spanned<f64>>,
    /// The database of dump, restore, snapshot, baseline, info and upgrade: a service, a URI or a conninfo string.
    #[schemars(with = "Option<String>")]
    pub(super) pg_service: Option<Spanned<String>>,
    /// The databases of info, upgrade and test when there are many, instead of pg_service and pg_service_prod, and with
    /// --fleet of check: services, also by patterns such as `water_*`, URIs and conninfo strings.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) fleet: Option<Spanned<Vec<String>>>,
    /// The production database of test and test-and-upgrade.
    #[schemars(with = "Option<String>")]
    pub(super) pg_service_prod: Option<Spanned<String>>,
    /// The test database, into which production's backup is restored.
    #[schemars(with = "Option<String>")]
    pub(super) pg_service_test: Option<Spanned<String>>,
    /// The database with which the upgraded test database is compared.
    #[schemars(with = "Option<String>")]
    pub(super) pg_service_comp: Option<Spanned<String>>,
}

/// How the expected database is built.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expected {
    /// A program, run in the directory of this file with the connection in PGHOST, PGPORT, PGDATABASE, PGUSER: a text for
    /// the shell or a list of words.
    Command(Command),
    /// SQL files, run in this order.
    Sql(Vec<String>),
    /// The deltas, applied to an empty database.
    Deltas(bool),
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    /// A text for the shell.
    Shell(String),
    /// The program and its arguments, without a shell.
    Words(Vec<String>),
}

/// A variable as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Variable {
    /// A bare scalar, and what YAML takes it for. The text of a number is in the source.
    Int(String),
    Float(f64),
    Text(String),
    /// `{type: ..., value: ...}`
    Typed {
        kind: String,
        value: String,
    },
}

/// What the schema says of a variable.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum VariableForm {
    /// A number or a text.
    Int(i64),
    Float(f64),
    Text(String),
    /// A value whose type is said.
    Typed(TypedForm),
}

/// A variable whose type is said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TypedForm {
    /// `int`, `float` or `str`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["int", "float", "str"]))]
    kind: String,
    /// The value.
    #[schemars(schema_with = "scalar")]
    value: String,
}

fn scalar(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "description": "The value.", "type": ["string", "number"] })
}

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Variable, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Variable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text, or a type and a value")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Variable, E> {
                Ok(Variable::Int(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Variable, E> {
                Ok(Variable::Int(value.to_string()))
            }

            fn visit_i128<E: de::Error>(self, value: i128) -> Result<Variable, E> {
                Ok(Variable::Int(value.to_string()))
            }

            fn visit_u128<E: de::Error>(self, value: u128) -> Result<Variable, E> {
                Ok(Variable::Int(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Variable, E> {
                Ok(Variable::Float(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Variable, E> {
                Ok(Variable::Text(value.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Variable, E> {
                Err(E::custom(
                    "YAML reads true, false, yes, no, on and off as truth values; put a text in quotes",
                ))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Variable, E> {
                Err(E::custom("a value is needed here; the empty text is \"\""))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Variable, A::Error> {
                let typed = TypedForm::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Variable::Typed {
                    kind: typed.kind,
                    value: typed.value,
                })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Reads the text of a file. Errors point into it.
pub(super) fn parse(path: &Path, text: &str) -> Result<File> {
    // An empty file, or one of comments only, is an empty mapping.
    let says_something = |line: &&str| !line.is_empty() && *line != "---" && !line.starts_with('#');
    if !lines(text).map(str::trim).any(|line| says_something(&line)) {
        return Ok(File::default());
    }
    no_tabs(path, text)?;
    let file: File = serde_saphyr::from_str(text).map_err(|error| explained(path, text, &error))?;
    for (name, variable) in &file.variables {
        unambiguous(name, variable, text).map_err(|error| error.at(location(path, text, &variable.referenced)))?;
    }
    Ok(file)
}

/// Refuses a tab where a line is indented, which parsers understand in different ways.
fn no_tabs(path: &Path, text: &str) -> Result<()> {
    for (number, line) in lines(text).enumerate() {
        if line.starts_with('\t') && !line.trim().is_empty() {
            return Err(Error::new(
                ErrorKind::Usage,
                "in the configuration: a tab indents this line, and YAML allows spaces only",
            )
            .with_hint("replace the tab by spaces")
            .at(Location {
                path: path.to_owned(),
                line: number + 1,
                column: 1,
                text: without_passwords(line),
            }));
        }
    }
    Ok(())
}

/// Refuses a bare number that is not written as it reads: `1.10` would become `1.1`.
fn unambiguous(name: &str, variable: &Spanned<Variable>, text: &str) -> Result<()> {
    let (read, kind) = match &variable.value {
        Variable::Int(read) => (vec![read.clone()], "int"),
        Variable::Float(read) => (vec![format!("{read}"), format!("{read:?}")], "float"),
        Variable::Text(_) | Variable::Typed { .. } => return Ok(()),
    };
    let written = source(text, &variable.defined).unwrap_or_default();
    if read.iter().any(|read| read == written) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!(
            "the variable \"{name}\" reads {written}, which YAML takes for the number {}",
            read[0]
        ),
    )
    .with_hint(format!(
        "quote it when it is a text: \"{written}\", or say its type: {{type: {kind}, value: {written}}}"
    )))
}

/// The scalar as it is written.
fn source<'a>(text: &'a str, place: &serde_saphyr::Location) -> Option<&'a str> {
    let span = place.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(text.get(start..start + length)?.trim_end())
}

/// An error of the parser, in our form.
fn explained(path: &Path, text: &str, error: &serde_saphyr::Error) -> Error {
    use serde_saphyr::Error as Yaml;
    let error = error.without_snippet();
    let place = error.location().map(|place| location(path, text, &place));
    let (message, hint) = match error {
        Yaml::SerdeUnknownField { field, expected, .. } => (format!("unknown key \"{field}\""), known(field, expected)),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown key \"{variant}\""), known(variant, expected))
        }
        Yaml::DuplicateMappingKey { key: Some(key), .. } => (
            format!("the key \"{key}\" stands twice"),
            "leave one of them".to_owned(),
        ),
        other => {
            let options = serde_saphyr::RenderOptions::new(&serde_saphyr::UserMessageFormatter);
            in_plain_words(plain(other, options))
        }
    };
    let mut out = Error::new(ErrorKind::Usage, format!("in the configuration: {message}"));
    if let Some(place) = place {
        out = out.at(place);
    }
    if hint.is_empty() { out } else { out.with_hint(hint) }
}

/// What a parser says, for somebody who writes a configuration.
fn in_plain_words(message: String) -> (String, String) {
    let (message, hint) = match message.as_str() {
        "expected string scalar" => (
            "a text is needed here, not a list",
            "several directories go under delta_dirs",
        ),
        "expected sequence start" => ("a list is needed here", "write [a, b], or a line with \"- a\" for each"),
        "expected mapping start" => (
            "a key and its value are needed here",
            "write them as \"delta_dir: deltas\"",
        ),
        "expected end of mapping after enum variant value" => (
            "only one way to build the expected database can be given",
            "keep one key",
        ),
        _ if message.contains("mapping values") || message.contains("unexpected character") => {
            return (
                message,
                "a line reads \"key: value\"; put a text with other signs into quotes".to_owned(),
            );
        }
        _ if message.starts_with("unclosed") => return (message, "it begins here and is not closed".to_owned()),
        _ => return (message, String::new()),
    };
    (message.to_owned(), hint.to_owned())
}

fn plain(error: &serde_saphyr::Error, mut options: serde_saphyr::RenderOptions<'_>) -> String {
    options.snippets = serde_saphyr::SnippetMode::Off;
    let message = error.render_with_options(options);
    // The place is told apart from the sentence.
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// Which key was meant, or all there are.
fn known(given: &str, expected: &[&'static str]) -> String {
    let folded = given.to_lowercase().replace('-', "_");
    match similar::get_close_matches(folded.as_str(), expected, 1, 0.6).first() {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known are: {}", expected.join(", ")),
    }
}

/// The lines as YAML counts them: a carriage return ends one also by itself.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

pub(super) fn location(path: &Path, text: &str, place: &serde_saphyr::Location) -> Location {
    let line = usize::try_from(place.line()).unwrap_or(1).max(1);
    Location {
        path: path.to_owned(),
        line,
        column: usize::try_from(place.column()).unwrap_or(1).max(1),
        text: without_passwords(lines(text).nth(line - 1).unwrap_or_default()),
    }
}

/// A line as it may be shown. For each character of what may be a password an asterisk stands, so that places stay.
pub(super) fn without_passwords(line: &str) -> String {
    let folded = line.to_ascii_lowercase();
    let mut secret = vec![false; line.len()];
    let mut hide = |range: std::ops::Range<usize>| secret[range].fill(true);
    // Of a URI, what stands between the user and the host.
    for (start, scheme) in folded.match_indices("://") {
        let rest = &folded[start + scheme.len()..];
        let rest = rest.split_whitespace().next().unwrap_or_default();
        if let (Some(user), Some(host)) = (rest.find(':'), rest.rfind('@'))
            && user < host
        {
            let authority = folded.len() - folded[start + scheme.len()..].trim_start().len();
            hide(authority + user + 1..authority + host);
        }
    }
    for word in ["password", "oauth_client_secret"] {
        for (start, _) in folded.match_indices(word) {
            let after = folded[start + word.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
            let Some(value) = after.strip_prefix([':', '=']).map(str::trim_start) else {
                continue;
            };
            let end = match value.strip_prefix('\'') {
                Some(quoted) => quoted.rfind('\'').map(|end| end + 2),
                None => value.find(|c: char| c.is_whitespace() || c == '&'),
            };
            let begin = folded.len() - value.len();
            hide(begin..begin + end.unwrap_or(value.len()));
        }
    }
    line.char_indices()
        .map(|(place, character)| if secret[place] { '*' } else { character })
        .collect()
}
