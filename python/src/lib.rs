//! pum for Python: names and conversions, and the command.
//!
//! The package `pum` (python/pum) is what people import; it says what everything means. This module takes what it passes,
//! runs the library in a thread of its own, and gives back values. What is plain goes as JSON.
#![allow(clippy::needless_pass_by_value)] // arguments come from Python by value

mod error;
mod functions;
mod objects;
mod options;
mod work;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write;

use pyo3::prelude::*;

/// The command: the words of the command line, the program's name first, to the exit code. `itself` are the words that
/// start it once more.
#[pyfunction]
fn main(py: Python<'_>, words: Vec<OsString>, itself: Vec<OsString>) -> u8 {
    py.detach(|| {
        let code = pum_cli::main_as(Some(itself), words);
        // Nobody else does: the process is Python's.
        let _ = std::io::stdout().flush();
        code
    })
}

/// What the package `pum` is made of; it is not for others.
#[pymodule]
fn _pum(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DELTA_FILES", HashMap::from(pum::PYTHON_DELTA_FILES))?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_class::<objects::Cancel>()?;
    module.add_class::<objects::Snapshot>()?;
    module.add_class::<objects::Report>()?;
    module.add_class::<objects::Plan>()?;
    module.add_class::<objects::Rehearsal>()?;
    module.add_class::<objects::Server>()?;
    functions::add(module)
}
