//! Whose the environment of this process is. libpq and the programs that pum starts read it, and a Python delta that runs in
//! this process has it for itself meanwhile: whoever opens a session then would be led to the delta's database.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};

struct State {
    readers: usize,
    /// The run whose delta has it.
    taken_by: Option<uuid::Uuid>,
}

static STATE: Mutex<State> = Mutex::new(State {
    readers: 0,
    taken_by: None,
});
static CHANGED: Condvar = Condvar::new();

/// How often a run that waits looks whether it is cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// While it lives, no Python delta changes the environment.
pub(crate) struct Shared {
    counted: bool,
}

/// While it lives, the environment is that of a Python delta.
pub(crate) struct Taken(());

/// Waits until no Python delta of another run has the environment. The sessions of the delta's own run, and what is called
/// by the delta, are led where the delta is.
///
/// # Errors
/// The run is cancelled meanwhile.
pub(crate) fn shared(run: &Run) -> Result<Shared> {
    if run.is_within_python_delta() {
        return Ok(Shared { counted: false });
    }
    when(run, |state| match state.taken_by {
        Some(taken_by) => (taken_by == run.id()).then_some(Shared { counted: false }),
        None => {
            state.readers += 1;
            Some(Shared { counted: true })
        }
    })
}

/// Waits until nobody else uses the environment.
///
/// # Errors
/// The run is cancelled meanwhile, or it was called by a Python delta that would wait for itself.
pub(crate) fn take(run: &Run) -> Result<Taken> {
    if run.is_within_python_delta() {
        return Err(Error::new(
            ErrorKind::Usage,
            "a Python delta runs in this process already, and it called what runs another one",
        )
        .with_hint(
            "name an interpreter for that one (`python=sys.executable`): it runs in a process of its own then",
        ));
    }
    when(run, |state| {
        let free = state.readers == 0 && state.taken_by.is_none();
        free.then(|| {
            state.taken_by = Some(run.id());
            Taken(())
        })
    })
}

fn when<T>(run: &Run, mut attempt: impl FnMut(&mut State) -> Option<T>) -> Result<T> {
    let mut told = false;
    loop {
        let mut state = state();
        if let Some(had) = attempt(&mut state) {
            return Ok(had);
        }
        drop(
            CHANGED
                .wait_timeout(state, LOOK)
                .unwrap_or_else(PoisonError::into_inner),
        );
        run.go_on()?;
        if !std::mem::replace(&mut told, true) {
            run.emit(Event::Waiting(
                "a Python delta of another run has the environment of this process; waiting for its end".to_owned(),
            ));
        }
    }
}

/// Numbers only: whoever panicked left them whole.
fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.counted {
            state().readers -= 1;
            CHANGED.notify_all();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        state().taken_by = None;
        CHANGED.notify_all();
    }
}
