//! What was rehearsed, as a value and as a file, and whether reality still is that.
//!
//! The form of the file is `pum/rehearsal/1`. Its digest is that of everything else in it, so that a file that was edited
//! or cut off is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::RehearsalOptions;
use super::copy::Copied;
use super::crash::Crashes;
use super::evidence::Evidence;
use crate::catalog::{Catalog, Filter};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::expectation::{not_of_the_form, other_form};
use crate::file::{self, hexadecimal};
use crate::history::{History, TableName};
use crate::preflight::Preflight;
use crate::run::Run;
use crate::script::Variables;
use crate::target::Target;
use crate::upgrade::UpgradeOptions;

pub(super) const FORM: &str = "pum/rehearsal/1";

/// Settings that decide what statements do, or how long they take.
const SETTINGS: &[&str] = &[
    "check_function_bodies",
    "default_table_access_method",
    "default_tablespace",
    "default_toast_compression",
    "lc_collate",
    "search_path",
    "server_encoding",
    "session_preload_libraries",
    "session_replication_role",
    "shared_preload_libraries",
    "standard_conforming_strings",
    "transform_null_equals",
    "wal_level",
    "xmloption",
];

/// What was rehearsed: production and the deltas as they were, what came of it, and how long it took. Production is
/// upgraded while all of that still holds, and not otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// `pum/rehearsal/1`.
    pub schema: String,
    /// The version of pum.
    pub pum: String,
    /// Production as the user named it, without a password.
    pub production: String,
    /// Which database that was: its number, and the system identifier of its server (which a standby shares); empty when
    /// that could not be read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub database: String,
    /// Production's server.
    pub server: ServerFacts,
    /// When production was copied, in production's time: seconds since 1970.
    pub copied: i64,
    /// How it was copied.
    pub copy: Copied,
    /// Production's position in its write-ahead log then; none on a standby.
    pub position: Option<String>,
    /// The upgrades table, `schema.table`.
    pub table: String,
    /// The version that production is baselined at first, when it has no upgrades table.
    pub baseline: Option<String>,
    /// Production's version.
    pub from: Option<String>,
    /// The version after.
    pub to: Option<String>,
    /// The version beyond which nothing is applied.
    pub max_version: Option<String>,
    /// Whether all steps are one transaction.
    pub single_transaction: bool,
    /// Digest of the variables of the deltas.
    pub variables: String,
    /// What is applied, in order.
    pub steps: Vec<ContractStep>,
    /// Digest of production's structure.
    pub catalog: String,
    /// Production's structure, as `pum/snapshot/1`, for telling what was changed since.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// Digest of production's upgrades table.
    pub history: String,
    /// Whether the upgraded copy is what it must be.
    pub clean: bool,
    /// What is not compared.
    pub left_out: NotCompared,
    /// The upgraded copy compared with what it must be, as `pum/check/1`.
    pub comparison: Value,
    /// What came of killing the upgrade in each step; none when that was not asked for.
    pub crashes: Option<Crashes>,
    /// What was measured.
    pub evidence: Evidence,
    /// The structure of the upgraded copy, as `pum/snapshot/1`.
    pub upgraded: Value,
    /// What would have disturbed the upgrade of production when the rehearsal had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
}

/// A server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServerFacts {
    /// Its version, such as `15.18`.
    pub version: String,
    /// The same as a number, such as 150018.
    pub version_num: u32,
    /// Settings that decide what statements do, as a new session of production's user has them.
    pub settings: BTreeMap<String, String>,
}

/// A step that was rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContractStep {
    /// The step in words, such as `1.2.0 add_meters`.
    pub step: String,
    /// Its file, as it was named then.
    pub path: PathBuf,
    /// SHA-256 of the text with line feeds and without a byte-order mark.
    pub digest: String,
    /// How long it took on the copy, in milliseconds.
    pub milliseconds: u64,
}

/// What is left out of comparisons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NotCompared {
    /// Kinds and classes.
    pub ignored: Vec<String>,
    /// Schemas.
    pub schemas: Vec<String>,
    /// Patterns for objects.
    pub objects: Vec<String>,
    /// Patterns for columns.
    pub columns: Vec<String>,
}

/// How production is held to what was rehearsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How old the copy may be.
    pub max_age: Duration,
    /// A step may take so many times as long as on the copy, and never less than [`Terms::least`].
    pub factor: f64,
    /// What every step may take.
    pub least: Duration,
}

impl Default for Terms {
    /// A week; ten times as long as on the copy, and at least ten seconds.
    fn default() -> Terms {
        Terms {
            max_age: Duration::from_secs(7 * 24 * 3600),
            factor: 10.0,
            least: Duration::from_secs(10),
        }
    }
}

impl Contract {
    /// Reads a file that [`Contract::save`] wrote.
    ///
    /// # Errors
    /// It cannot be read, is of another form, was cut off or edited.
    pub fn load(path: &Path) -> Result<Contract> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(format_args!("cannot read the rehearsal \"{}\"", path.display()), &error))?;
        let described = |error: serde_json::Error| {
            not_of_the_form(path, &text, &error, FORM).with_hint("`pum test --save FILE` writes one")
        };
        let mut document: Value = serde_json::from_str(&text).map_err(described)?;
        let form = document.get("schema").and_then(Value::as_str).unwrap_or_default();
        if form != FORM {
            return Err(other_form(path, form, FORM));
        }
        let told = document.as_object_mut().and_then(|object| object.remove("digest"));
        if told.as_ref().and_then(Value::as_str) != Some(&*digest(&document)) {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the rehearsal \"{}\" was changed after it was written: its digest does not fit what it holds",
                    path.display()
                ),
            )
            .with_hint("take the file as pum wrote it, or rehearse again"));
        }
        serde_json::from_value(document).map_err(described)
    }

    /// Writes it into a file, which appears under its name when it is whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = self.to_json();
        file::replace(path, "the rehearsal ", |writer| {
            std::io::Write::write_all(writer, text.as_bytes())
        })
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut document = self.document();
        let digest = digest(&document);
        if let Some(object) = document.as_object_mut() {
            object.insert("digest".to_owned(), Value::from(digest));
        }
        format!("{document:#}\n")
    }

    /// By what it is known: the beginning of its digest.
    pub fn id(&self) -> String {
        digest(&self.document()).chars().take(12).collect()
    }

    fn document(&self) -> Value {
        // Texts, numbers and lists only: this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What the options say of a rehearsal; the rest is to be filled in.
    pub(super) fn of(options: &RehearsalOptions) -> Contract {
        let upgrade = &options.upgrade;
        let filter = &options.filter;
        let kinds = filter.ignore.iter().map(|kind| kind.name());
        let classes = filter.ignore_classes.iter().map(|class| class.name());
        let mut ignored: Vec<String> = kinds.chain(classes).map(str::to_owned).collect();
        ignored.sort();
        ignored.dedup();
        Contract {
            schema: FORM.to_owned(),
            pum: env!("CARGO_PKG_VERSION").to_owned(),
            table: upgrade.table.to_string(),
            max_version: upgrade.max_version.map(|version| version.to_string()),
            single_transaction: upgrade.single_transaction,
            variables: variables_digest(&upgrade.variables),
            left_out: NotCompared {
                ignored,
                schemas: [&filter.exclude_schemas[..], &options.exclude_schemas].concat(),
                objects: filter.exclude.iter().map(ToString::to_string).collect(),
                columns: filter.exclude_fields.clone(),
            },
            ..Contract::default()
        }
    }

    /// The verdict in a sentence without its full stop.
    pub fn verdict(&self) -> &'static str {
        let converges = self.crashes.as_ref().is_none_or(Crashes::converge);
        match (self.clean, converges) {
            (true, _) => "The rehearsal is clean",
            (false, true) => "The upgraded copy is not what it must be",
            (false, false) => {
                "An upgrade that is killed and run again does not come to the same, or the copy is not what it must be"
            }
        }
    }

    /// How long each step may take.
    pub(super) fn budgets(&self, terms: &Terms) -> Vec<Duration> {
        if self.copy.lacks().is_some() {
            // Without the rows nothing is known of the time.
            return vec![Duration::MAX; self.steps.len()];
        }
        let budget = |step: &ContractStep| {
            let allowed = Duration::from_millis(step.milliseconds).as_secs_f64() * terms.factor;
            Duration::try_from_secs_f64(allowed)
                .unwrap_or(Duration::MAX)
                .max(terms.least)
        };
        self.steps.iter().map(budget).collect()
    }

    /// The digests of the files, in the order of the plan.
    pub(super) fn digests(&self) -> Vec<(PathBuf, String)> {
        self.steps
            .iter()
            .map(|step| (step.path.clone(), step.digest.clone()))
            .collect()
    }

    /// What is compared after the upgrade.
    ///
    /// # Errors
    /// A kind or class that this version of pum does not know.
    pub(super) fn filter(&self) -> Result<Filter> {
        let table: TableName = self.table.parse()?;
        let patterns = self.left_out.objects.iter().map(|pattern| pattern.parse());
        let mut filter = Filter {
            exclude_schemas: self.left_out.schemas.clone(),
            exclude_fields: self.left_out.columns.clone(),
            exclude: patterns.collect::<Result<_>>()?,
            upgrades_table: Some((table.schema, table.name)),
            ..Filter::default()
        };
        filter.ignore_words(&self.left_out.ignored)?;
        Ok(filter)
    }

    /// The structure of the upgraded copy.
    pub(super) fn upgraded(&self) -> Result<Catalog> {
        Catalog::from_json("the upgraded copy", self.upgraded.clone())
    }
}

impl ServerFacts {
    pub(super) fn read(connection: &mut Connection) -> Result<ServerFacts> {
        let version = connection.server_version();
        let list = format!("{{{}}}", SETTINGS.join(","));
        // What this session has set itself does not count.
        let rows = connection.query(
            "select name, coalesce(reset_val, '') from pg_settings where name = any ($1::text[])",
            &[Some(&list)],
        )?;
        let settings = rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned()));
        Ok(ServerFacts {
            version: version.to_string(),
            version_num: version.number(),
            settings: settings.collect(),
        })
    }
}

/// Which database this is, also after a restart and on a standby; empty where the server does not say.
pub(super) fn identity(connection: &mut Connection) -> Result<String> {
    let asked = connection.query(
        "select format('%s/%s', (select system_identifier from pg_control_system()), \
         (select oid from pg_database where datname = current_database()))",
        &[],
    );
    match asked {
        Ok(rows) => Ok(rows.value(0, 0).unwrap_or_default().to_owned()),
        // Some providers keep it to themselves.
        Err(error) if error.sqlstate() == Some("42501") => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// When, in the time and the write-ahead log of a server.
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) position: Option<String>,
}

impl Moment {
    pub(super) fn read(connection: &mut Connection) -> Result<Moment> {
        let rows = connection.query(
            "select floor(extract(epoch from clock_timestamp()))::bigint::text, \
             case when not pg_is_in_recovery() then pg_current_wal_lsn()::text end",
            &[],
        )?;
        Ok(Moment {
            seconds: rows.value(0, 0).and_then(|text| text.parse().ok()).unwrap_or(0),
            position: rows.value(0, 1).map(str::to_owned),
        })
    }
}

/// Everything counts for "is it still the same", save for the upgrades table, whose rows are compared.
pub(super) fn structure_filter(table: &TableName) -> Filter {
    Filter {
        upgrades_table: Some((table.schema.clone(), table.name.clone())),
        ..Filter::default()
    }
}

pub(super) fn variables_digest(variables: &Variables) -> String {
    sha256(&format!("{variables:?}"))
}

/// Of all that the rows say; the same for a table that is not there.
pub(super) fn history_digest(history: Option<&History>) -> String {
    let rows = history.map(History::entries).unwrap_or_default();
    let row = |entry: &crate::history::Entry| {
        format!(
            "{:?}",
            (
                entry.id,
                entry.version.to_string(),
                &entry.name,
                entry.code,
                &entry.checksum,
                &entry.digest,
                &entry.installed_on,
                entry.success,
                &entry.state,
                entry.statements_done,
            )
        )
    };
    sha256(&rows.iter().map(row).collect::<Vec<_>>().join("\n"))
}

fn digest(document: &Value) -> String {
    sha256(&document.to_string())
}

fn sha256(text: &str) -> String {
    hexadecimal(&Sha256::digest(text))
}

/// A duration in words: the two largest units.
pub(super) fn told(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Upgrades production when it and the deltas still are what was rehearsed, within the time that the rehearsal gives, and
/// compares it with the upgraded copy.
///
/// # Errors
/// What is otherwise than rehearsed; those of an upgrade.
pub fn upgrade_rehearsed(
    production: &Target,
    options: &UpgradeOptions,
    contract: &Contract,
    terms: &Terms,
    run: &Run,
) -> Result<super::CarriedOut> {
    let upgraded = contract.upgraded()?;
    super::carry_out(
        production,
        options,
        contract,
        terms,
        (&upgraded).into(),
        &contract.filter()?,
        run,
    )
}
