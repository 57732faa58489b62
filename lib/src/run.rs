//! One run of pum: its identity, where its events go, how it is cancelled.

use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{Error, ErrorKind, Result, ServerError};

/// Something worth telling while work goes on. Texts that come from a server, a file or a program
/// are untrusted: escape them for where they are shown.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A phase of a longer flow begins, such as `3 of 7: restore the backup`.
    Phase {
        /// Counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is done, imperative, without a full stop.
        title: String,
    },
    /// A phase, or an operation without phases, did something worth a line.
    Message(String),
    /// Something is not as it should be, and the work goes on.
    Warning(String),
    /// A step of an upgrade begins.
    StepStarted {
        /// Counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// The step in words, such as `1.2.0 add_meters`.
        step: String,
    },
    /// The step that began last is applied and recorded.
    StepFinished {
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// How far the work has come.
    Progress {
        /// Done so far.
        done: u64,
        /// In all, when known.
        total: Option<u64>,
        /// What is counted: `bytes`, `statements`, `objects`.
        unit: &'static str,
    },
    /// The server sent a notice or a warning.
    Notice(ServerError),
    /// A program or a Python delta wrote a line.
    Output {
        /// Who wrote.
        from: String,
        /// One line without its end.
        line: String,
    },
    /// The work waits for somebody else.
    Waiting(String),
}

type Listener = Arc<dyn Fn(Event) + Send + Sync>;
type PythonRunner = Arc<dyn Fn(PythonCall) -> Result<Option<String>> + Send + Sync>;

/// A Python delta that somebody else is to run; see [`Run::python_deltas_by`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonCall {
    /// What `run_delta.py` of [`PYTHON_DELTA_FILES`](crate::PYTHON_DELTA_FILES) reads as its request, in JSON.
    pub request: String,
    /// Variables of the environment that lead the delta and its programs to the database; without a value, one to remove.
    pub environment: Vec<(String, Option<String>)>,
}

/// One run of pum. It is passed to every operation that takes time; clones are the same run.
#[derive(Clone)]
pub struct Run {
    id: uuid::Uuid,
    listener: Listener,
    cancel: Cancel,
    python: Option<PythonRunner>,
    within_python_delta: bool,
    // What servers have said to new sessions.
    greetings: Arc<Mutex<Vec<ServerError>>>,
    // The poolers that were found to keep sessions apart.
    pools: Arc<Mutex<Vec<Pool>>>,
}

/// Where a pooler is, and the database and the user there: host, its address, port, database, user.
pub(crate) type Pool = [Option<String>; 5];

/// So many greetings are told at the most.
const GREETINGS: usize = 100;

impl Default for Run {
    fn default() -> Run {
        Run::new()
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Run {
    /// A run that nobody listens to.
    pub fn new() -> Run {
        Run {
            id: uuid::Uuid::new_v4(),
            listener: Arc::new(|_| {}),
            cancel: Cancel::default(),
            python: None,
            within_python_delta: false,
            greetings: Arc::default(),
            pools: Arc::default(),
        }
    }

    /// The same run with a listener for its events. It may be called from several threads.
    pub fn on_event(mut self, listener: impl Fn(Event) + Send + Sync + 'static) -> Run {
        self.listener = Arc::new(listener);
        self
    }

    /// The same run, cancelled by a handle that is there already, which may be that of other runs too.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Run {
        self.cancel = cancel.clone();
        self
    }

    /// The same run with Python deltas run by somebody else than a `python3` of their own: by a program that is Python
    /// itself. What is called gives the outcome in JSON, as `run_delta.py` of
    /// [`PYTHON_DELTA_FILES`](crate::PYTHON_DELTA_FILES) does, or none when the delta was broken off.
    pub fn python_deltas_by(
        mut self,
        runner: impl Fn(PythonCall) -> Result<Option<String>> + Send + Sync + 'static,
    ) -> Run {
        self.python = Some(Arc::new(runner));
        self
    }

    /// The same run, called by a Python delta that runs in this process: it has the environment of that delta, and does not
    /// wait for its end.
    pub fn within_python_delta(mut self) -> Run {
        self.within_python_delta = true;
        self
    }

    pub(crate) fn is_within_python_delta(&self) -> bool {
        self.within_python_delta
    }

    /// Who runs Python deltas, when it is no `python3` of their own.
    pub(crate) fn python(&self) -> Option<&(dyn Fn(PythonCall) -> Result<Option<String>> + Send + Sync)> {
        self.python.as_deref()
    }

    /// The same run, cancelled with this one, that nobody listens to: for parts that are not worth telling.
    pub fn quietly(&self) -> Run {
        Run {
            listener: Arc::new(|_| {}),
            greetings: Arc::default(),
            ..self.clone()
        }
    }

    /// The identity that the upgrades table records, new for each run.
    pub fn id(&self) -> uuid::Uuid {
        self.id
    }

    /// The handle that cancels this run, from any thread.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Tells the listener.
    pub fn emit(&self, event: Event) {
        (self.listener)(event);
    }

    /// Tells what a server says to a new session, such as that its collations have another version: once, however many
    /// sessions hear it.
    pub(crate) fn greet(&self, notice: ServerError) {
        let mut told = self.greetings.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < GREETINGS && !told.contains(&notice) {
            told.push(notice.clone());
            drop(told);
            self.emit(Event::Notice(notice));
        }
    }

    /// Whether a pooler is known to keep sessions apart, so that it need not be found out for each.
    pub(crate) fn keeps_sessions(&self, pool: &Pool) -> bool {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).contains(pool)
    }

    /// Remembers a pooler that keeps sessions apart.
    pub(crate) fn remember_pool(&self, pool: Pool) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(pool);
    }

    /// An error of kind [`ErrorKind::Cancelled`] once the run is cancelled.
    ///
    /// # Errors
    /// Only that one.
    pub fn go_on(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::new(ErrorKind::Cancelled, "cancelled"))
        } else {
            Ok(())
        }
    }

    /// Sleeps, and wakes at once when the run is cancelled.
    pub(crate) fn sleep(&self, duration: std::time::Duration) -> Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        match self.cancel.descriptor() {
            Some(descriptor) => {
                let mut descriptors = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
                let timeout = Timespec::try_from(duration).ok();
                let _ = poll(&mut descriptors, timeout.as_ref());
            }
            None => std::thread::sleep(duration),
        }
        self.go_on()
    }
}

/// Cancels a [`Run`]: the statement under way is cancelled in the server and rolled back, programs that
/// pum started are ended, temporary files are removed.
#[derive(Clone, Default)]
pub struct Cancel(Arc<CancelState>);

struct CancelState {
    cancelled: AtomicBool,
    // Becomes readable once, and stays so: what waits in poll(2) sees it at any time.
    pipe: Option<(PipeReader, PipeWriter)>,
    linked: Mutex<Vec<Weak<CancelState>>>,
}

impl Default for CancelState {
    fn default() -> CancelState {
        CancelState {
            cancelled: AtomicBool::new(false),
            pipe: std::io::pipe().ok(),
            linked: Mutex::default(),
        }
    }
}

impl Cancel {
    /// Cancels the run. Calling it again changes nothing.
    pub fn cancel(&self) {
        if self.0.cancelled.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some((_, writer)) = &self.0.pipe {
            let mut writer: &PipeWriter = writer;
            // A failure leaves the flag, which every loop reads too.
            let _ = writer.write_all(b"c");
        }
        for linked in std::mem::take(&mut *self.linked()) {
            if let Some(linked) = linked.upgrade() {
                Cancel(linked).cancel();
            }
        }
    }

    /// A handle that is cancelled with this one, and that cancels nothing else when it is cancelled alone.
    ///
    /// ```
    /// let all = pum::Cancel::default();
    /// let (one, other) = (all.link(), all.link());
    /// one.cancel();
    /// assert!(!all.is_cancelled() && !other.is_cancelled());
    /// all.cancel();
    /// assert!(other.is_cancelled() && all.link().is_cancelled());
    /// ```
    #[must_use]
    pub fn link(&self) -> Cancel {
        let linked = Cancel::default();
        {
            let mut others = self.linked();
            others.retain(|other| other.strong_count() > 0);
            others.push(Arc::downgrade(&linked.0));
        }
        // It may have been cancelled before the new one was in the list.
        if self.is_cancelled() {
            linked.cancel();
        }
        linked
    }

    fn linked(&self) -> std::sync::MutexGuard<'_, Vec<Weak<CancelState>>> {
        self.0.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the run is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// A descriptor that is readable once the run is cancelled.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.pipe.as_ref().map(|(reader, _)| reader.as_fd())
    }
}
