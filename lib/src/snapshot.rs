//! Snapshot files: a whole catalog as stable text that `diff` and version control can show, with a digest.
//!
//! The form is `pum/snapshot/1`: a line an object, kinds and objects in order, attributes that an object does not have
//! left out. The digest is the catalog's fingerprint; a file that was edited is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::catalog::{Catalog, IDENTITY, Kind, Objects};
use crate::connection::ServerVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::expectation::{not_of_the_form, other_form};
use crate::file;

const FORM: &str = "pum/snapshot/1";

impl Catalog {
    /// Writes the catalog into a file, from which [`Catalog::load`] reads it. The file appears under its name when it is
    /// whole.
    ///
    /// ```
    /// # use pum::{Catalog, Connection, Filter, Run, Server, ServerOptions};
    /// # let run = Run::new();
    /// # let server = Server::start(&ServerOptions::default(), &run)?;
    /// # let water = server.create_database("water")?;
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let file = directory.path().join("water-1.3.0.json");
    /// Catalog::read(&mut Connection::open(&water, &run)?, &Filter::default())?.save(&file)?;
    /// let release = Catalog::load(&file)?;
    /// assert!(pum::check(&water, &release, &Filter::default(), &run)?.same());
    /// # Ok::<(), pum::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written, or its name is that of something else than a file, as of a device or a symbolic link.
    pub fn save(&self, path: &Path) -> Result<()> {
        file::replace(path, "the snapshot ", |writer| self.write_json(writer))
    }

    /// The text of a snapshot file.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        // Writing into memory cannot fail, and what is written is made of texts.
        let _ = self.write_json(&mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    fn write_json(&self, writer: &mut impl Write) -> std::io::Result<()> {
        let text = |value: &str| serde_json::Value::from(value);
        let version = self.server_version();
        writeln!(writer, "{{\"schema\": {},", text(FORM))?;
        writeln!(writer, "\"pum\": {},", text(env!("CARGO_PKG_VERSION")))?;
        writeln!(writer, "\"server_version\": {},", text(&version.to_string()))?;
        writeln!(writer, "\"server_version_num\": {},", version.number())?;
        writeln!(writer, "\"digest\": {},", text(&self.fingerprint().to_string()))?;
        write!(writer, "\"kinds\": {{")?;
        for (number, (kind, objects)) in self.kinds().enumerate() {
            let attributes = serde_json::Value::from(objects.attributes());
            let comma = if number == 0 { "" } else { "," };
            write!(
                writer,
                "{comma}\n{}: {{\"attributes\": {attributes}, \"objects\": [",
                text(kind.name())
            )?;
            let names: Vec<String> = IDENTITY
                .into_iter()
                .chain(objects.attributes().iter().map(String::as_str))
                .map(|name| text(name).to_string())
                .collect();
            for (number, object) in objects.iter().enumerate() {
                write!(writer, "{}\n{{", if number == 0 { "" } else { "," })?;
                let values = names.iter().zip(object.values()).filter(|(_, value)| !value.is_empty());
                for (place, (name, value)) in values.enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(writer, "{comma}{name}: {}", text(value))?;
                }
                write!(writer, "}}")?;
            }
            write!(writer, "]}}")?;
        }
        writeln!(writer, "\n}}}}")
    }

    /// A catalog from the JSON of [`Catalog::to_json`], which is known to be whole.
    ///
    /// # Errors
    /// It is of another form, or holds what this version of pum does not know.
    pub(crate) fn from_json(name: &str, document: serde_json::Value) -> Result<Catalog> {
        let document: Document = serde_json::from_value(document)
            .map_err(|error| Error::new(ErrorKind::Usage, format!("{name} cannot be read: {error}")))?;
        Ok(document.catalog(name.to_owned()))
    }

    /// Reads a snapshot file. Its target is the name of the file.
    ///
    /// # Errors
    /// It cannot be read, is no snapshot, was written by a newer version of pum, is cut off or was edited.
    pub fn load(path: &Path) -> Result<Catalog> {
        let cannot =
            |error: &std::io::Error| Error::io(format_args!("cannot read the snapshot \"{}\"", path.display()), error);
        let bytes = std::fs::read(path).map_err(|error| cannot(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::new(
                ErrorKind::Usage,
                format!("\"{}\" is no snapshot: it is not UTF-8", path.display()),
            )
        })?;
        let described = |error: serde_json::Error| {
            not_of_the_form(path, &text, &error, FORM)
                .with_hint("write one with `pum snapshot`; one that was cut off must be fetched again")
        };
        // What it is comes first: a newer form may hold anything.
        let form: Form = serde_json::from_str(&text).map_err(described)?;
        if form.schema != FORM {
            return Err(other_form(path, &form.schema, FORM));
        }
        let document: Document = serde_json::from_str(&text).map_err(described)?;
        let digest = document.digest.clone();
        let catalog = document.catalog(path.display().to_string());
        if catalog.fingerprint().to_string() != digest {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the snapshot \"{}\" was changed after it was written: its digest does not fit what it holds",
                    path.display()
                ),
            )
            .with_hint(
                "take the file as `pum snapshot` wrote it; differences that are right belong into a file for --expect",
            ));
        }
        Ok(catalog)
    }
}

#[derive(Deserialize)]
struct Form {
    schema: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "schema")]
    _schema: String,
    #[serde(rename = "pum")]
    _pum: String,
    server_version: String,
    server_version_num: u32,
    digest: String,
    kinds: Kinds,
}

impl Document {
    fn catalog(self, name: String) -> Catalog {
        let version = ServerVersion::told(self.server_version_num, self.server_version);
        Catalog::from_parts(name, version, self.kinds.0)
    }
}

/// The kinds of a file, read without an intermediate form: a database may hold a hundred thousand objects.
struct Kinds(BTreeMap<Kind, Objects>);

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Kinds, D::Error> {
        deserializer.deserialize_map(KindsVisitor)
    }
}

struct KindsVisitor;

impl<'de> Visitor<'de> for KindsVisitor {
    type Value = Kinds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kinds of a snapshot")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Kinds, M::Error> {
        let mut kinds = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let kind: Kind = name.parse().map_err(|_| {
                M::Error::custom(format_args!(
                    "this version of pum does not know the kind \"{}\", a newer one may",
                    name.escape_debug()
                ))
            })?;
            kinds.insert(kind, map.next_value_seed(KindVisitor)?);
        }
        Ok(Kinds(kinds))
    }
}

struct KindVisitor;

impl<'de> DeserializeSeed<'de> for KindVisitor {
    type Value = Objects;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Objects, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Objects;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the attributes and then the objects of a kind")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Objects, M::Error> {
        next_is(&mut map, "attributes")?;
        let attributes: Vec<String> = map.next_value()?;
        let written = |name: &String| {
            let letter = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            !name.is_empty() && name.bytes().all(letter)
        };
        if let Some(name) = attributes.iter().find(|name| !written(name)) {
            return Err(M::Error::custom(format_args!(
                "\"{}\" is no name of an attribute",
                name.escape_debug()
            )));
        }
        next_is(&mut map, "objects")?;
        let objects = map.next_value_seed(ObjectsVisitor(Objects::new(attributes)))?;
        match map.next_key::<String>()? {
            None => Ok(objects),
            Some(key) => Err(M::Error::custom(format_args!("unknown key \"{}\"", key.escape_debug()))),
        }
    }
}

fn next_is<'de, M: MapAccess<'de>>(map: &mut M, wanted: &str) -> std::result::Result<(), M::Error> {
    match map.next_key::<String>()? {
        Some(key) if key == wanted => Ok(()),
        _ => Err(M::Error::custom(format_args!("\"{wanted}\" is missing"))),
    }
}

struct ObjectsVisitor(Objects);

impl<'de> DeserializeSeed<'de> for ObjectsVisitor {
    type Value = Objects;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Objects, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ObjectsVisitor {
    type Value = Objects;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut sequence: S) -> std::result::Result<Objects, S::Error> {
        while sequence.next_element_seed(ObjectVisitor(&mut self.0))?.is_some() {}
        self.0.sort();
        Ok(self.0)
    }
}

struct ObjectVisitor<'a>(&'a mut Objects);

impl<'de> DeserializeSeed<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with its attributes")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<(), M::Error> {
        let mut values = vec![String::new(); IDENTITY.len() + self.0.attributes().len()];
        while let Some(key) = map.next_key::<String>()? {
            let mut names = IDENTITY
                .into_iter()
                .chain(self.0.attributes().iter().map(String::as_str));
            let Some(place) = names.position(|name| name == key) else {
                return Err(M::Error::custom(format_args!(
                    "unknown attribute \"{}\"",
                    key.escape_debug()
                )));
            };
            values[place] = map.next_value()?;
        }
        self.0
            .push(values.iter().map(String::as_str))
            .map_err(|error| M::Error::custom(error.message()))
    }
}
