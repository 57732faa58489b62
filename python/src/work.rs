//! Work of the library while Python goes on: in a thread of its own, without the GIL. What it tells, and Python deltas, come
//! back to the thread that called, which looks for Ctrl-C meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pum::{Event, Run};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::{exception, server};
use crate::objects::Cancel;

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Who is told, who may cancel, and who runs Python deltas.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Watch {
    /// Called with the JSON of an event.
    listener: Py<PyAny>,
    cancel: Option<Py<Cancel>>,
    /// Called with a request and the names and values of its environment; gives the JSON of the outcome, none when the delta
    /// was broken off, and what was raised meanwhile.
    python: Option<Py<PyAny>>,
    /// Whether a Python delta calls, that runs in this process.
    within_delta: bool,
}

type Answer = pum::Result<Option<String>>;

enum Told<T> {
    Event(Event),
    Python(pum::PythonCall, Sender<Answer>),
    Done(Option<pum::Result<T>>),
}

/// Does a job, and gives what comes of it.
pub(crate) fn work<T: Send + 'static>(
    py: Python<'_>,
    watch: &Watch,
    job: impl FnOnce(&Run) -> pum::Result<T> + Send,
) -> PyResult<T> {
    let (sender, mut receiver) = channel::<Told<T>>();
    // Its own: what is wrong here is nothing to others that the caller's handle cancels too.
    let cancel = match &watch.cancel {
        Some(cancel) => cancel.get().0.link(),
        None => pum::Cancel::default(),
    };
    let mut run = Run::new().cancelled_by(&cancel);
    if watch.within_delta {
        run = run.within_python_delta();
    }
    let events = sender.clone();
    run = run.on_event(move |event| drop(events.send(Told::Event(event))));
    if watch.python.is_some() {
        let calls = sender.clone();
        run = run.python_deltas_by(move |call| {
            let (answer, answered) = channel();
            let gone = || pum::Error::new(pum::ErrorKind::Program, "nobody runs Python deltas any more");
            calls.send(Told::Python(call, answer)).map_err(|_| gone())?;
            answered.recv().map_err(|_| gone())?
        });
    }
    let (done, interrupted) = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A fault of the library is no end of the process either.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&run))).ok();
            drop(sender.send(Told::Done(outcome)));
        });
        let mut interrupted: Option<PyErr> = None;
        loop {
            let told;
            (receiver, told) = py.detach(move || {
                let told = receiver.recv_timeout(LOOK);
                (receiver, told)
            });
            let heard = match told {
                Ok(Told::Done(outcome)) => return (outcome, interrupted),
                Err(RecvTimeoutError::Disconnected) => return (None, interrupted),
                // It is cancelled, and what it still tells is nobody's.
                Ok(Told::Event(_)) if interrupted.is_some() => Ok(()),
                Ok(Told::Event(event)) => {
                    told_as(&event).map_or(Ok(()), |event| watch.listener.call1(py, (event.to_string(),)).map(drop))
                }
                Ok(Told::Python(call, answer)) => {
                    let (outcome, raised) = if interrupted.is_some() || cancel.is_cancelled() {
                        (None, Ok(()))
                    } else {
                        delta(py, watch, &call)
                    };
                    if raised.is_err() {
                        // Before the answer, or the next step would begin.
                        cancel.cancel();
                    }
                    drop(answer.send(Ok(outcome)));
                    raised
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            if let Err(raised) = heard.and_then(|()| py.check_signals())
                && interrupted.is_none()
            {
                cancel.cancel();
                interrupted = Some(raised);
            }
        }
    });
    let outcome = match done {
        Some(outcome) => outcome.map_err(|error| exception(py, &error)),
        None => Err(PyRuntimeError::new_err("pum failed within; please report it")),
    };
    match (interrupted, outcome) {
        (None, outcome) => outcome,
        (Some(raised), Err(error)) => {
            raised.set_cause(py, Some(error));
            Err(raised)
        }
        (Some(raised), Ok(result)) => {
            // A server takes its time to stop.
            py.detach(|| drop(result));
            note(py, &raised, "pum had done its work already: nothing was rolled back");
            Err(raised)
        }
    }
}

/// Runs a Python delta here, in the thread that called: its outcome, and what was raised meanwhile.
fn delta(py: Python<'_>, watch: &Watch, call: &pum::PythonCall) -> (Option<String>, PyResult<()>) {
    let Some(python) = &watch.python else {
        return (None, Ok(()));
    };
    let told = python
        .call1(py, (&call.request, call.environment.clone()))
        .and_then(|told| told.extract::<(Option<String>, Option<Py<PyAny>>)>(py));
    match told {
        Ok((outcome, None)) => (outcome, Ok(())),
        Ok((outcome, Some(raised))) => (outcome, Err(PyErr::from_value(raised.into_bound(py)))),
        Err(raised) => (None, Err(raised)),
    }
}

/// Adds a note to an exception, where it is shown (Python 3.11 and later) and where it is not.
fn note(py: Python<'_>, raised: &PyErr, text: &str) {
    let value = raised.value(py);
    if value.call_method1("add_note", (text,)).is_err() {
        let _ = value.setattr("__notes__", vec![text]);
    }
}

/// An event as `pum.events` takes it.
fn told_as(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Phase { number, of, title } => json!({"event": "Phase", "number": number, "of": of, "title": title}),
        Event::Message(text) => json!({"event": "Message", "text": text}),
        Event::Warning(text) => json!({"event": "Warned", "text": text}),
        Event::StepStarted { number, of, step } => {
            json!({"event": "StepStarted", "number": number, "of": of, "step": step})
        }
        Event::StepFinished { milliseconds } => json!({"event": "StepFinished", "milliseconds": milliseconds}),
        Event::Progress { done, total, unit } => {
            json!({"event": "Progress", "done": done, "total": total, "unit": unit})
        }
        Event::Notice(said) => json!({"event": "Notice", "server": server(said)}),
        Event::Output { from, line } => json!({"event": "Output", "source": from, "line": line}),
        Event::Waiting(text) => json!({"event": "Waiting", "text": text}),
        // What a newer library tells and this package has no name for.
        _ => return None,
    })
}
