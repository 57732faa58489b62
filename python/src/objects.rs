//! What lives on between calls: reports, snapshots, plans, rehearsals, servers.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pum::{Catalog, Connection, Contract, Error, ErrorKind, HtmlOptions, TextOptions};
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

    fn to_json(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_json())
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
    fn digest(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.fingerprint().to_string())
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

    fn to_text(&self, py: Python<'_>, verbosity: u8, width: usize, color: bool) -> String {
        let options = TextOptions {
            verbosity,
            width,
            color,
        };
        py.detach(|| self.0.to_text(&options))
    }

    fn to_json(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_json())
    }

    fn to_html(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_html(&now()))
    }

    fn to_junit(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_junit())
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
        functions::plan_json(&self.plan, &self.hazards).to_string()
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
    pub(crate) fn new(rehearsal: pum::Rehearsal, hazards: &pum::Hazards) -> Rehearsal {
        let facts = json!({
            "id": rehearsal.contract().id(),
            "clean": rehearsal.is_clean(),
            "verdict": rehearsal.verdict(),
            "copy": rehearsal.copy().name(),
            "baselines": rehearsal.baselines().map(|version| version.to_string()),
            "plan": functions::plan_json(rehearsal.plan(), hazards),
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

    fn to_json(&self, py: Python<'_>) -> String {
        py.detach(|| self.contract.to_json())
    }

    fn to_html(&self, py: Python<'_>) -> String {
        py.detach(|| self.contract.to_html(&now()))
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

impl Drop for Rehearsal {
    fn drop(&mut self) {
        let rehearsal = self.take();
        Python::attach(|py| py.detach(|| drop(rehearsal)));
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

    fn uri(&self, py: Python<'_>, name: String) -> PyResult<String> {
        raised(py, py.detach(|| self.with(|server| Ok(server.target(&name).uri()))))
    }

    fn create_database(
        &self,
        py: Python<'_>,
        name: String,
        template: Option<String>,
        watch: Watch,
    ) -> PyResult<String> {
        let template = template.as_deref().unwrap_or("template0");
        let created = work(py, &watch, |run| {
            self.with(|server| server.create_database_under(&name, template, run))
        });
        created.map(|target| target.name())
    }

    fn execute(&self, py: Python<'_>, database: String, sql: String, watch: Watch) -> PyResult<()> {
        work(py, &watch, |run| {
            let target = self.with(|server| Ok(server.target(&database)))?;
            Connection::open(&target, run)?.execute(&sql)
        })
    }

    fn version(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, py.detach(|| self.with(|server| Ok(server.version().to_string()))))
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| drop(whole(&self.server).take()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let server = whole(&self.server).take();
        Python::attach(|py| py.detach(|| drop(server)));
    }
}

/// What a thread that failed left there is whole all the same: it is taken out or put in as one.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
