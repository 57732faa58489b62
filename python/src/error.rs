//! Errors of the library as exceptions.

use pyo3::prelude::*;
use serde_json::{Value, json};

/// The exception of an error: of the class that `pum._errors` has for its kind, with all its fields.
pub(crate) fn exception(py: Python<'_>, error: &pum::Error) -> PyErr {
    let made = || -> PyResult<Bound<'_, PyAny>> {
        py.import("pum._errors")?
            .getattr("of")?
            .call1((fields(error).to_string(),))
    };
    match made() {
        Ok(exception) => PyErr::from_value(exception),
        Err(broken) => broken,
    }
}

/// The same where a result is at hand.
pub(crate) fn raised<T>(py: Python<'_>, result: pum::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

fn fields(error: &pum::Error) -> Value {
    json!({
        "kind": format!("{:?}", error.kind()),
        "message": error.message(),
        "hint": error.hint(),
        "state": error.state(),
        "location": error.location().map(|place| json!({
            "path": place.path.to_string_lossy(),
            "line": place.line,
            "column": place.column,
            "text": place.text,
        })),
        "server": error.server().map(server),
    })
}

/// What a server said, in an error or a notice.
pub(crate) fn server(said: &pum::ServerError) -> Value {
    json!({
        "severity": said.severity,
        "sqlstate": said.sqlstate,
        "message": said.message,
        "detail": said.detail,
        "hint": said.hint,
        "context": said.context,
        "position": said.position,
    })
}
