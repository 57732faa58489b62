//! What lives on between calls: reports, snapshots, plans, rehearsals, servers.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pum::{Catalog, Connection, Contract, Error, ErrorKind, HtmlOptions, Run, TextOptions};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::{exception, raised};
use crate::functions;
use crate::options::Terms;
use crate::work::{Watch, work};

/// Cancels work from another thread.
#[pyclass(frozen, module = "pum._pum")]
#[derive(Default)]
pub(crate) struct Cancel(pub(crate) pum::Cancel);

#[pymethods]
impl Cancel {
    #[new]
    fn new() -> Cancel {
        Cancel::default()
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The structure of a database.
#[pyclass(frozen, module = "pum._pum")]
pub(crate) struct Snapshot(pub(crate) Catalog);

#[pymethods]
impl Snapshot {
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Snapshot> {
        raised(py, py.detach(|| Catalog::load(&path))).map(Snapshot)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        raised(py, py.detach(|| self.0.save(&path)))
    }

    fn to_json(&self) -> String {
        self.0.to_json()
    }

    #[getter]
    fn target(&self) -> &str {
        self.0.target()
    }

    #[getter]
    fn server_version(&self) -> String {
        self.0.server_version().to_string()
    }

    #[getter]
    fn digest(&self) -> String {
        self.0.fingerprint().to_string()
    }
}

/// The outcome of a comparison.
#[pyclass(frozen, module = "pum._pum")]
pub(crate) struct Report(pub(crate) pum::Report);

#[pymethods]
impl Report {
    #[getter]
    fn same(&self) -> bool {
        self.0.same()
    }

    #[getter]
    fn behaves_the_same(&self) -> bool {
        self.0.behaves_the_same()
    }

    fn to_text(&self, verbosity: u8, width: usize, color: bool) -> String {
        self.0.to_text(&TextOptions {
            verbosity,
            width,
            color,
        })
    }

    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn to_html(&self) -> String {
        self.0.to_html(&now())
    }

    fn to_junit(&self) -> String {
        self.0.to_junit()
    }
}

pub(crate) fn now() -> HtmlOptions {
    HtmlOptions {
        moment: Some(SystemTime::now()),
    }
}

/// What an upgrade would do.
#[pyclass(frozen, module = "pum._pum")]
pub(crate) struct Plan {
    pub(crate) plan: pum::Plan,
    pub(crate) hazards: pum::Hazards,
}

#[pymethods]
impl Plan {
    fn to_json(&self) -> String {
        let mut document = functions::plan_json(&self.plan);
        document["hazards"] = json!(self.hazards.told);
        document["more_hazards"] = json!(self.hazards.more);
        document.to_string()
    }
}

/// An upgrade that was rehearsed.
#[pyclass(frozen, module = "pum._pum")]
pub(crate) struct Rehearsal {
    contract: Contract,
    report: pum::Report,
    facts: Value,
    // None when it is carried out or closed.
    rehearsal: Mutex<Option<pum::Rehearsal>>,
}

impl Rehearsal {
    pub(crate) fn new(rehearsal: pum::Rehearsal) -> Rehearsal {
        let facts = json!({
            "id": rehearsal.contract().id(),
            "clean": rehearsal.is_clean(),
            "verdict": rehearsal.verdict(),
            "copy": rehearsal.copy().name(),
            "baselines": rehearsal.baselines().map(|version| version.to_string()),
            "plan": functions::plan_json(rehearsal.plan()),
            "applied": functions::applied_json(rehearsal.applied()),
            "restored": functions::restored_json(rehearsal.restored()),
            "evidence": rehearsal.evidence(),
            "preflight": rehearsal.contract().preflight,
        });
        Rehearsal {
            contract: rehearsal.contract().clone(),
            report: rehearsal.report().clone(),
            facts,
            rehearsal: Mutex::new(Some(rehearsal)),
        }
    }

    fn take(&self) -> Option<pum::Rehearsal> {
        whole(&self.rehearsal).take()
    }
}

#[pymethods]
impl Rehearsal {
    fn facts(&self) -> String {
        self.facts.to_string()
    }

    #[getter]
    fn report(&self) -> Report {
        Report(self.report.clone())
    }

    fn to_json(&self) -> String {
        self.contract.to_json()
    }

    fn to_html(&self) -> String {
        self.contract.to_html(&now())
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        raised(py, py.detach(|| self.contract.save(&path)))
    }

    /// Production upgraded, as JSON, and compared with the copy.
    fn carry_out(&self, py: Python<'_>, terms: Terms, watch: Watch) -> PyResult<(String, Report)> {
        let terms = raised(py, terms.terms())?;
        let rehearsal = self.take().ok_or_else(|| {
            let error = Error::new(ErrorKind::Refused, "this rehearsal was carried out or closed already")
                .with_hint("rehearse again");
            exception(py, &error)
        })?;
        work(py, &watch, move |run| rehearsal.carry_out(&terms, run)).map(functions::carried_out)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.take()));
    }
}

/// A throw-away server.
#[pyclass(frozen, module = "pum._pum")]
pub(crate) struct Server {
    // None when it is stopped.
    server: Mutex<Option<pum::Server>>,
}

impl Server {
    pub(crate) fn new(server: pum::Server) -> Server {
        Server {
            server: Mutex::new(Some(server)),
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&pum::Server) -> pum::Result<T>) -> pum::Result<T> {
        match whole(&self.server).as_ref() {
            Some(server) => ask(server),
            None => Err(Error::new(ErrorKind::Usage, "the throw-away server is stopped already")
                .with_hint("use it inside its `with` block")),
        }
    }
}

#[pymethods]
impl Server {
    fn database(&self, py: Python<'_>, name: String) -> PyResult<String> {
        raised(py, py.detach(|| self.with(|server| Ok(server.target(&name).name()))))
    }

    fn create_database(&self, py: Python<'_>, name: String, template: Option<String>) -> PyResult<String> {
        let create = |server: &pum::Server| match &template {
            Some(template) => server.create_database_from(&name, template),
            None => server.create_database(&name),
        };
        raised(py, py.detach(|| self.with(create))).map(|target| target.name())
    }

    fn execute(&self, py: Python<'_>, database: String, sql: String) -> PyResult<()> {
        let execute = || {
            let target = self.with(|server| Ok(server.target(&database)))?;
            Connection::open(&target, &Run::new())?.execute(&sql)
        };
        raised(py, py.detach(execute))
    }

    fn version(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, py.detach(|| self.with(|server| Ok(server.version().to_string()))))
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| drop(whole(&self.server).take()));
    }
}

/// What a thread that failed left there is whole all the same: it is taken out or put in as one.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
