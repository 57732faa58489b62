//! What an upgrade will do, decided without a database: the same value is shown, asked about and carried out.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::delta::{Delta, Deltas, Language, NearMiss, Stage, Surrounding, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{BASELINE, History};

/// One file to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A delta, which is recorded in the upgrades table.
    Delta(Delta),
    /// A `pre-all` or `post-all` file, which runs on every upgrade and is not recorded (pum 0.10).
    Surrounding(Surrounding),
}

impl Step {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Step::Delta(delta) => &delta.path,
            Step::Surrounding(surrounding) => &surrounding.path,
        }
    }

    /// The delta directory it came from.
    pub fn directory(&self) -> &Path {
        match self {
            Step::Delta(delta) => &delta.directory,
            Step::Surrounding(surrounding) => &surrounding.directory,
        }
    }

    /// What it is written in.
    pub fn language(&self) -> Language {
        match self {
            Step::Delta(delta) => delta.language,
            Step::Surrounding(surrounding) => surrounding.language,
        }
    }

    /// The delta, when it is one.
    pub fn delta(&self) -> Option<&Delta> {
        match self {
            Step::Delta(delta) => Some(delta),
            Step::Surrounding(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Delta(delta) => write!(f, "{delta}"),
            Step::Surrounding(surrounding) => {
                let stage = if surrounding.stage == Stage::Pre {
                    "pre-all"
                } else {
                    "post-all"
                };
                let language = if surrounding.language == Language::Python {
                    "py"
                } else {
                    "sql"
                };
                write!(f, "{stage} ({language})")
            }
        }
    }
}

/// What an upgrade will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where the database is.
    pub current: Option<Version>,
    /// Where it will be: the highest version among the steps, or the current one.
    pub reached: Option<Version>,
    /// The files in the order in which they run.
    pub steps: Vec<Step>,
    /// Files that look like deltas and are none.
    pub near_misses: Vec<NearMiss>,
}

impl Plan {
    /// Decides what is due: a delta that is not applied, whose version is not below the current one and not above
    /// `limit`. The rule is that of pum 0.10: late deltas of the current version are applied too. Where a run over several
    /// directories ended before the last of them, its own start counts in place of the current version.
    ///
    /// # Errors
    /// `limit` is below the current version.
    pub fn new(deltas: &Deltas, history: &History, limit: Option<Version>) -> Result<Plan> {
        let current = history.current_version();
        if let (Some(current), Some(limit)) = (current, limit)
            && limit < current
        {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the database is at version {current}, and the version to upgrade to is {limit}, which is below"
                ),
            )
            .with_hint("pum upgrades only; to go back, restore a backup")
            .with_state("nothing was changed"));
        }
        let floor = history.floor();
        let due = deltas
            .deltas
            .iter()
            .filter(|delta| status_of(delta, history, floor, limit) == Status::Pending);
        let mut steps: Vec<Step> = deltas.pre_all.iter().cloned().map(Step::Surrounding).collect();
        steps.extend(due.cloned().map(Step::Delta));
        let reached = steps
            .iter()
            .filter_map(Step::delta)
            .map(|delta| delta.version)
            .max()
            .max(current);
        steps.extend(deltas.post_all.iter().cloned().map(Step::Surrounding));
        Ok(Plan {
            current,
            reached,
            steps,
            near_misses: deltas.near_misses.clone(),
        })
    }

    /// For each step whether a delta behind it has a version below the one that is reached by then: with several directories
    /// each begins anew. What ends after such a step has more to do than the current version says.
    pub(crate) fn goes_back(&self) -> Vec<bool> {
        let version = |step: &Step| step.delta().map(|delta| delta.version);
        let (mut lowest, mut behind) = (None, Vec::new());
        for step in self.steps.iter().rev() {
            behind.push(lowest);
            lowest = lowest.into_iter().chain(version(step)).min();
        }
        let mut reached = self.current;
        let steps = self.steps.iter().zip(behind.into_iter().rev());
        let goes_back = steps.map(|(step, lowest)| {
            reached = reached.max(version(step));
            lowest.is_some() && lowest < reached
        });
        goes_back.collect()
    }

    /// Whether no delta is due. `pre-all` and `post-all` files run all the same.
    pub fn is_up_to_date(&self) -> bool {
        self.steps.iter().all(|step| step.delta().is_none())
    }
}

/// What stands to be said of one delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is recorded as applied.
    Applied,
    /// The next upgrade applies it.
    Pending,
    /// It is applied, and its file has changed since.
    Changed,
    /// It is not applied and will not be: its version is below the current one.
    Skipped,
    /// Its file looks like a delta and is none.
    Ignored,
}

pub(crate) fn status_of(delta: &Delta, history: &History, floor: Option<Version>, limit: Option<Version>) -> Status {
    if history.applied(delta).is_some() {
        Status::Applied
    } else if floor.is_some_and(|floor| delta.version < floor) || limit.is_some_and(|limit| delta.version > limit) {
        Status::Skipped
    } else {
        Status::Pending
    }
}

/// One line of `pum info`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeltaInfo {
    /// The version; none for a file that is no delta.
    pub version: Option<String>,
    /// The name; the file's name for a file that is no delta.
    pub name: String,
    /// `baseline`, `pre py`, `pre sql`, `delta py`, `delta sql`, `post py`, `post sql`; none for a file that is no delta.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The file; what the table says when the file is no longer there.
    pub path: String,
    /// What stands to be said of it.
    pub status: Status,
    /// When it was applied, in the server's time.
    pub installed_on: Option<String>,
    /// How long that took.
    pub execution_time_ms: Option<i64>,
    /// The rehearsal that stood behind it; see [`crate::Contract::id`].
    pub rehearsal: Option<String>,
    /// Why a file is ignored, or what else is to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// What `pum info` shows; its JSON form is `pum/info/1`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Info {
    /// `pum/info/1`.
    pub schema: &'static str,
    /// The highest version that is applied or baselined.
    pub current_version: Option<String>,
    /// Baselines and deltas in order, then what is ignored.
    pub deltas: Vec<DeltaInfo>,
}

impl Info {
    /// Joins files and rows. `changed` tells whether the file of an applied delta differs from what was applied.
    pub(crate) fn new(
        deltas: &Deltas,
        history: &History,
        mut changed: impl FnMut(&Delta, &crate::history::Entry) -> Result<bool>,
    ) -> Result<Info> {
        let (current, floor) = (history.current_version(), history.floor());
        let mut lines: Vec<(Version, usize, DeltaInfo)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (place, delta) in deltas.deltas.iter().enumerate() {
            let entry = history.applied(delta);
            let mut status = status_of(delta, history, floor, None);
            if let Some(entry) = entry {
                seen.insert(entry.id);
                if changed(delta, entry)? {
                    status = Status::Changed;
                }
            }
            let unfinished = history.unfinished(delta).filter(|_| entry.is_none());
            if let Some(entry) = unfinished {
                seen.insert(entry.id);
            }
            lines.push((
                delta.version,
                place + 1,
                DeltaInfo {
                    version: Some(delta.version.to_string()),
                    name: delta.name.clone(),
                    kind: Some(delta.kind().to_owned()),
                    path: delta.path.display().to_string(),
                    status,
                    installed_on: entry.map(|entry| entry.installed_on.clone()),
                    execution_time_ms: entry.map(|entry| entry.execution_time_ms),
                    rehearsal: entry.and_then(|entry| entry.rehearsal.clone()),
                    remark: unfinished.map(|entry| {
                        format!(
                            "begun by an earlier run and {}",
                            entry.state.as_deref().unwrap_or("not finished")
                        )
                    }),
                },
            ));
        }
        for entry in history
            .entries()
            .iter()
            .filter(|entry| entry.success && !seen.contains(&entry.id))
        {
            let baseline = entry.code == BASELINE;
            lines.push((
                entry.version,
                if baseline { 0 } else { usize::MAX },
                DeltaInfo {
                    version: Some(entry.version.to_string()),
                    name: entry.name.clone(),
                    kind: Some(kind_of(entry.code).to_owned()),
                    path: entry.script.clone(),
                    status: Status::Applied,
                    installed_on: Some(entry.installed_on.clone()),
                    execution_time_ms: Some(entry.execution_time_ms),
                    rehearsal: entry.rehearsal.clone(),
                    remark: (!baseline).then(|| "its file is not in the delta directories".to_owned()),
                },
            ));
        }
        lines.sort_by_key(|(version, place, _)| (*version, *place));
        let mut lines: Vec<DeltaInfo> = lines.into_iter().map(|(_, _, line)| line).collect();
        lines.extend(deltas.near_misses.iter().map(|near| {
            DeltaInfo {
                version: None,
                name: near
                    .path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                kind: None,
                path: near.path.display().to_string(),
                status: Status::Ignored,
                installed_on: None,
                execution_time_ms: None,
                rehearsal: None,
                remark: Some(near.reason.clone()),
            }
        }));
        Ok(Info {
            schema: "pum/info/1",
            current_version: current.map(|version| version.to_string()),
            deltas: lines,
        })
    }
}

fn kind_of(code: i32) -> &'static str {
    match code {
        0 => "baseline",
        4 => "delta py",
        5 => "pre py",
        6 => "post py",
        8 => "delta sql",
        9 => "pre sql",
        10 => "post sql",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
