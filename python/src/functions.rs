//! The functions of the library.

use std::path::{Path, PathBuf};

use pum::{Catalog, Connection, Contract, DatabaseId, Origin, Result, Target};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::raised;
use crate::objects::{Plan, Rehearsal, Report, Server, Snapshot};
use crate::options::{self, Database, Terms};
use crate::work::{Watch, work};

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_function(wrap_pyfunction!(same_database, module)?)?;
    module.add_function(wrap_pyfunction!(snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(dump, module)?)?;
    module.add_function(wrap_pyfunction!(restore, module)?)?;
    module.add_function(wrap_pyfunction!(deltas, module)?)?;
    module.add_function(wrap_pyfunction!(baseline, module)?)?;
    module.add_function(wrap_pyfunction!(create_upgrades_table, module)?)?;
    module.add_function(wrap_pyfunction!(current_version, module)?)?;
    module.add_function(wrap_pyfunction!(info, module)?)?;
    module.add_function(wrap_pyfunction!(plan, module)?)?;
    module.add_function(wrap_pyfunction!(plan_rehearsed, module)?)?;
    module.add_function(wrap_pyfunction!(preflight, module)?)?;
    module.add_function(wrap_pyfunction!(upgrade, module)?)?;
    module.add_function(wrap_pyfunction!(upgrade_rehearsed, module)?)?;
    module.add_function(wrap_pyfunction!(rehearse, module)?)?;
    module.add_function(wrap_pyfunction!(start_server, module)?)?;
    module.add_function(wrap_pyfunction!(name, module)?)
}

/// A side of a comparison.
#[derive(FromPyObject)]
enum Side {
    Snapshot(Py<Snapshot>),
    Database(Database),
}

enum Compared<'a> {
    Catalog(&'a Catalog),
    Target(Target),
}

impl Side {
    fn compared(&self) -> Result<Compared<'_>> {
        match self {
            Side::Snapshot(snapshot) => Ok(Compared::Catalog(&snapshot.get().0)),
            Side::Database(database) => database.target().map(Compared::Target),
        }
    }
}

impl<'a> From<&'a Compared<'a>> for Origin<'a> {
    fn from(compared: &'a Compared<'a>) -> Origin<'a> {
        match compared {
            Compared::Catalog(catalog) => Origin::Catalog(catalog),
            Compared::Target(target) => Origin::Database(target),
        }
    }
}

#[pyfunction]
fn check(py: Python<'_>, left: Side, right: Side, filter: options::Filter, watch: Watch) -> PyResult<Report> {
    let filter = raised(py, filter.filter())?;
    let (left, right) = (raised(py, left.compared())?, raised(py, right.compared())?);
    work(py, &watch, |run| pum::check(&left, &right, &filter, run)).map(Report)
}

#[pyfunction]
fn snapshot(py: Python<'_>, database: Database, filter: options::Filter, watch: Watch) -> PyResult<Snapshot> {
    let (target, filter) = (raised(py, database.target())?, raised(py, filter.filter())?);
    let read = |run: &_| Catalog::read(&mut Connection::open(&target, run)?, &filter);
    work(py, &watch, read).map(Snapshot)
}

/// Whether two names lead to one database.
#[pyfunction]
fn same_database(py: Python<'_>, left: Database, right: Database, watch: Watch) -> PyResult<bool> {
    let (left, right) = (raised(py, left.target())?, raised(py, right.target())?);
    work(py, &watch, |run| {
        Ok(DatabaseId::read(&left, run)? == DatabaseId::read(&right, run)?)
    })
}

#[pyfunction]
fn dump(py: Python<'_>, database: Database, file: PathBuf, options: options::Dump, watch: Watch) -> PyResult<String> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let dumped = work(py, &watch, |run| pum::dump(&target, &file, &options, run))?;
    Ok(json!({
        "path": dumped.path.to_string_lossy(),
        "bytes": dumped.bytes,
        "milliseconds": dumped.milliseconds,
        "checksums": dumped.checksums.to_string_lossy(),
    })
    .to_string())
}

#[pyfunction]
fn restore(
    py: Python<'_>,
    file: PathBuf,
    database: Database,
    options: options::Restore,
    watch: Watch,
) -> PyResult<String> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let restored = work(py, &watch, |run| pum::restore(&file, &target, &options, run))?;
    Ok(restored_json(&restored).to_string())
}

#[pyfunction]
fn deltas(py: Python<'_>, directories: Vec<PathBuf>) -> PyResult<String> {
    let found = raised(py, py.detach(|| pum::Deltas::read(&directories)))?;
    let surroundings = |files: Vec<pum::Surrounding>| -> Vec<Value> {
        files
            .into_iter()
            .map(|file| step_json(&pum::Step::Surrounding(file)))
            .collect()
    };
    let deltas = found
        .deltas
        .into_iter()
        .map(|delta| step_json(&pum::Step::Delta(delta)));
    Ok(json!({
        "deltas": deltas.collect::<Vec<_>>(),
        "pre_all": surroundings(found.pre_all),
        "post_all": surroundings(found.post_all),
        "near_misses": near_misses(&found.near_misses),
    })
    .to_string())
}

#[pyfunction]
fn baseline(py: Python<'_>, database: Database, options: options::Baseline, watch: Watch) -> PyResult<String> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let done = work(py, &watch, |run| pum::baseline(&target, &options, run))?;
    Ok(json!({
        "table_created": done.table_created,
        "schema_created": done.schema_created,
        "marked": done.marked,
    })
    .to_string())
}

/// Whether the table was missing.
#[pyfunction]
fn create_upgrades_table(py: Python<'_>, database: Database, table: String, watch: Watch) -> PyResult<bool> {
    let (target, table) = (raised(py, database.target())?, raised(py, table.parse())?);
    work(py, &watch, |run| pum::create_upgrades_table(&target, &table, run))
}

/// Whether there is an upgrades table, and the version that it tells.
#[pyfunction]
fn current_version(
    py: Python<'_>,
    database: Database,
    table: String,
    watch: Watch,
) -> PyResult<(bool, Option<String>)> {
    let (target, table) = (raised(py, database.target())?, raised(py, table.parse())?);
    let history = work(py, &watch, |run| pum::history(&target, &table, run))?;
    Ok((
        history.is_some(),
        version(history.and_then(|history| history.current_version())),
    ))
}

#[pyfunction]
fn info(
    py: Python<'_>,
    database: Database,
    table: String,
    directories: Vec<PathBuf>,
    watch: Watch,
) -> PyResult<String> {
    let (target, table) = (raised(py, database.target())?, raised(py, table.parse())?);
    work(py, &watch, |run| pum::info(&target, &table, &directories, run)).map(|info| json!(info).to_string())
}

#[pyfunction]
fn plan(py: Python<'_>, database: Database, options: options::Upgrade, watch: Watch) -> PyResult<Plan> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    work(py, &watch, |run| {
        let plan = pum::plan(&target, &options, run)?;
        let hazards = pum::hazards(&plan, &options)?;
        Ok(Plan { plan, hazards })
    })
}

#[pyfunction]
fn preflight(
    py: Python<'_>,
    database: Database,
    plan: Py<Plan>,
    options: options::Upgrade,
    watch: Watch,
) -> PyResult<String> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let options = pum::PreflightOptions::new(options);
    let plan = &plan.get().plan;
    work(py, &watch, |run| pum::preflight(&target, plan, &options, run)).map(|found| json!(found).to_string())
}

#[pyfunction]
fn upgrade(
    py: Python<'_>,
    database: Database,
    options: options::Upgrade,
    plan: Option<Py<Plan>>,
    watch: Watch,
) -> PyResult<String> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let plan = plan.as_ref().map(|plan| &plan.get().plan);
    work(py, &watch, |run| pum::upgrade(&target, &options, plan, run)).map(|done| applied_json(&done).to_string())
}

#[pyfunction]
fn upgrade_rehearsed(
    py: Python<'_>,
    database: Database,
    file: PathBuf,
    options: options::Upgrade,
    terms: Terms,
    watch: Watch,
) -> PyResult<(String, Report)> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let terms = raised(py, terms.terms())?;
    let done = work(py, &watch, |run| {
        let (contract, options) = rehearsed(&file, options)?;
        pum::upgrade_rehearsed(&target, &options, &contract, &terms, run)
    })?;
    Ok(carried_out(done))
}

/// What `upgrade_rehearsed` would do.
#[pyfunction]
fn plan_rehearsed(
    py: Python<'_>,
    database: Database,
    file: PathBuf,
    options: options::Upgrade,
    terms: Terms,
    watch: Watch,
) -> PyResult<Plan> {
    let (target, options) = (raised(py, database.target())?, raised(py, options.options())?);
    let terms = raised(py, terms.terms())?;
    work(py, &watch, |run| {
        let (contract, options) = rehearsed(&file, options)?;
        let plan = contract.plan(&target, &options, &terms, run)?;
        let hazards = pum::hazards(&plan, &options)?;
        Ok(Plan { plan, hazards })
    })
}

/// A rehearsal of a file, and the options with what it says.
fn rehearsed(file: &Path, options: pum::UpgradeOptions) -> Result<(Contract, pum::UpgradeOptions)> {
    let contract = Contract::load(file)?;
    let options = pum::UpgradeOptions {
        max_version: contract.max_version.as_deref().map(str::parse).transpose()?,
        // The question about files that nearly are deltas was answered at the rehearsal.
        allow_near_misses: true,
        ..options
    };
    Ok((contract, options))
}

#[pyfunction]
fn rehearse(py: Python<'_>, production: Database, options: options::Rehearsal, watch: Watch) -> PyResult<Rehearsal> {
    let (target, options) = (raised(py, production.target())?, raised(py, options.options())?);
    let (rehearsal, hazards) = work(py, &watch, |run| {
        let rehearsal = pum::rehearse(&target, &options, run)?;
        // Files that cannot be read any more are told when it is carried out.
        let hazards = pum::hazards(rehearsal.plan(), &options.upgrade).unwrap_or_default();
        Ok((rehearsal, hazards))
    })?;
    Ok(Rehearsal::new(rehearsal, &hazards))
}

#[pyfunction]
fn start_server(py: Python<'_>, options: options::Server, watch: Watch) -> PyResult<Server> {
    let options = raised(py, options.options())?;
    work(py, &watch, |run| pum::Server::start(&options, run)).map(Server::new)
}

/// How a database is shown: without its password.
#[pyfunction]
fn name(py: Python<'_>, database: Database) -> PyResult<String> {
    raised(py, database.target()).map(|target| target.name())
}

fn step_json(step: &pum::Step) -> Value {
    let delta = step.delta();
    json!({
        "version": delta.map(|delta| delta.version.to_string()),
        "name": delta.map_or_else(|| step.to_string(), |delta| delta.name.clone()),
        "type": delta.map(|delta| delta.kind()),
        "path": step.path().to_string_lossy(),
    })
}

fn near_misses(found: &[pum::NearMiss]) -> Vec<Value> {
    let near_miss = |near: &pum::NearMiss| json!({"path": near.path.to_string_lossy(), "reason": near.reason});
    found.iter().map(near_miss).collect()
}

fn version(version: Option<pum::Version>) -> Option<String> {
    version.map(|version| version.to_string())
}

pub(crate) fn plan_json(plan: &pum::Plan, hazards: &pum::Hazards) -> Value {
    json!({
        "current": version(plan.current),
        "reached": version(plan.reached),
        "steps": plan.steps.iter().map(step_json).collect::<Vec<_>>(),
        "near_misses": near_misses(&plan.near_misses),
        "hazards": hazards.told,
        "more_hazards": hazards.more,
    })
}

pub(crate) fn applied_json(applied: &pum::Applied) -> Value {
    let steps = applied.steps.iter().map(|done| {
        let mut step = step_json(&done.step);
        step["milliseconds"] = json!(done.milliseconds);
        step["left_behind"] = json!(done.left_behind);
        step
    });
    json!({
        "before": version(applied.from),
        "after": version(applied.to),
        "steps": steps.collect::<Vec<_>>(),
    })
}

pub(crate) fn restored_json(restored: &pum::Restored) -> Value {
    let passed_over = restored.passed_over.iter().map(|errors| {
        json!({
            "kind": errors.class,
            "harmless": errors.harmless,
            "count": errors.count,
            "first": errors.first,
        })
    });
    json!({
        "passed_over": passed_over.collect::<Vec<_>>(),
        "milliseconds": restored.milliseconds,
    })
}

pub(crate) fn carried_out(done: pum::CarriedOut) -> (String, Report) {
    let missing = done
        .missing_rows
        .iter()
        .map(|missing| json!({"table": missing.table, "rehearsed": missing.rehearsed, "rows": missing.rows}));
    let facts = json!({
        "applied": applied_json(&done.applied),
        "missing_rows": missing.collect::<Vec<_>>(),
    });
    (facts.to_string(), Report(done.report))
}
