//! A program of PostgreSQL at work: its own process group, its words on stderr sorted as they come, ended when the
//! run is cancelled or the value dropped.
//!
//! `pg_dump` runs with `--verbose`: its lines tell how far it is, and it dies of the broken pipe at the next line
//! should pum be killed, instead of going on alone. With several jobs not: the lines of the workers run into each other.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::environment;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};
use crate::supervise::Group;

/// How much of what a program says is kept.
const MAX_LINE: usize = 8 * 1024;
const MAX_COMPLAINTS: usize = 1000;
const MAX_LINES_OF_COMPLAINT: usize = 20;
const MAX_OTHER: usize = 20;

/// A running program.
pub(super) struct Child {
    group: Group,
    name: String,
    said: Arc<Mutex<Said>>,
    // Disconnected when the program closed its stderr, which it does when it ends.
    ended: Receiver<()>,
}

/// What a program said, apart from how far it is.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Its errors in order, the first thousand of them.
    pub(super) complaints: Vec<Complaint>,
    /// How many errors there were in all.
    pub(super) count: u64,
    /// The last lines that are neither errors nor progress.
    pub(super) other: VecDeque<String>,
}

/// One error that a program told.
#[derive(Debug, Default, Clone)]
pub(super) struct Complaint {
    /// The message, without the program's name and the word `error`.
    pub(super) message: String,
    /// The lines after it: detail, hint, the statement.
    pub(super) more: Vec<String>,
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) said: Said,
}

/// A command for a program of PostgreSQL: nothing of the terminal, messages untranslated, text in the database's own
/// encoding whatever the environment says.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("LC_ALL", "C")
        .env_remove("PGCLIENTENCODING")
        // Those that connect get it with the rest of the session's environment.
        .env_remove("PGPASSWORD")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

impl Child {
    /// Starts it. `on_progress` gets each line that is neither an error nor a warning, without the program's name.
    pub(super) fn start(
        mut command: Command,
        run: &Run,
        on_progress: impl FnMut(&str) + Send + 'static,
    ) -> Result<Child> {
        run.go_on()?;
        let program = command.get_program().to_owned();
        let name = Path::new(&program)
            .file_name()
            .unwrap_or(&program)
            .to_string_lossy()
            .into_owned();
        let environment = environment::shared(run)?;
        let mut group = Group::start(command.stderr(Stdio::piped())).map_err(|error| {
            Error::io(format_args!("cannot run \"{}\"", Path::new(&program).display()), &error)
                .with_kind(ErrorKind::Program)
        })?;
        drop(environment);
        let said = Arc::new(Mutex::new(Said::default()));
        let (sender, ended) = channel();
        if let Some(stderr) = group.process().stderr.take() {
            let mut listener = Listener {
                said: Arc::clone(&said),
                run: run.clone(),
                name: name.clone(),
                in_complaint: false,
                on_progress,
            };
            std::thread::spawn(move || {
                listener.listen(stderr);
                drop(sender);
            });
        }
        Ok(Child {
            group,
            name,
            said,
            ended,
        })
    }

    /// Its process number.
    pub(super) fn id(&mut self) -> u32 {
        self.group.process().id()
    }

    /// The program's stdout, when the command piped it.
    pub(super) fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.group.process().stdout.take()
    }

    /// Waits until it ends; `tick` is called about ten times a second.
    ///
    /// # Errors
    /// The run was cancelled, and the program is ended; an exit code is no error here.
    pub(super) fn wait(mut self, run: &Run, mut tick: impl FnMut()) -> Result<Ended> {
        let mut closed = false;
        let status = loop {
            if !closed {
                closed = matches!(
                    self.ended.recv_timeout(Duration::from_millis(100)),
                    Err(RecvTimeoutError::Disconnected)
                );
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
            if let Some(status) = self.group.reap() {
                break status;
            }
            tick();
            if run.cancel().is_cancelled() {
                self.group.end();
                return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            }
        };
        if !closed {
            // The last words are still in the pipe. A grandchild may hold it open for ever.
            let _ = self.ended.recv_timeout(Duration::from_secs(2));
        }
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Ended { status, said })
    }
}

impl std::fmt::Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Ended {
    /// The error to report: the program's first words, or how it ended when it said nothing.
    pub(super) fn error(&self, program: &str) -> Error {
        let words = match (self.said.complaints.first(), self.said.other.back()) {
            (Some(complaint), _) => complaint.sentence(),
            (None, Some(line)) => format!("{line} ({})", ending(self.status)),
            (None, None) => ending(self.status),
        };
        let mut message = format!("{program} failed: {words}");
        if self.said.count > 1 {
            message.push_str(&format!(" (and {} more errors)", self.said.count - 1));
        }
        Error::new(ErrorKind::Program, message)
    }

    /// Whether any error holds this text.
    pub(super) fn complained_of(&self, words: &str) -> bool {
        self.said
            .complaints
            .iter()
            .any(|complaint| complaint.message.contains(words))
    }
}

impl Complaint {
    /// The message with the lines after it that are the server's detail and hint.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = self.message.clone();
        for line in &self.more {
            let line = line.trim();
            if line.starts_with("DETAIL:") || line.starts_with("HINT:") || line.starts_with("detail:") {
                sentence.push_str("; ");
                sentence.push_str(line);
            }
        }
        sentence
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with code {code} and said nothing"),
        (None, Some(25)) => {
            "it was ended because the file grew beyond the limit of this session (ulimit -f)".to_owned()
        }
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended for an unknown reason".to_owned(),
    }
}

/// Sorts the lines of stderr (`src/common/logging.c` of PostgreSQL gives them their form:
/// `pg_dump: error: ...`, `pg_dump: warning: ...`, `pg_dump: detail: ...`, and progress without a level).
struct Listener<F> {
    said: Arc<Mutex<Said>>,
    run: Run,
    name: String,
    in_complaint: bool,
    on_progress: F,
}

impl<F: FnMut(&str)> Listener<F> {
    fn listen(&mut self, stderr: impl Read) {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line);
            match read {
                Ok(0) | Err(_) => return,
                Ok(_) if line.last() == Some(&b'\n') => {
                    line.pop();
                }
                // The rest of a line that is too long is not kept.
                Ok(_) => {
                    if skip_line(&mut reader).is_err() {
                        return;
                    }
                }
            }
            self.take(&String::from_utf8_lossy(&line));
        }
    }

    fn take(&mut self, line: &str) {
        let Some(words) = line.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix(": ")) else {
            return self.take_other(line);
        };
        if let Some(message) = words.strip_prefix("error: ").or_else(|| words.strip_prefix("fatal: ")) {
            self.in_complaint = true;
            self.tell(line);
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.count += 1;
            if said.complaints.len() < MAX_COMPLAINTS {
                said.complaints.push(Complaint {
                    message: message.to_owned(),
                    more: Vec::new(),
                });
            }
        } else if words.starts_with("detail: ") || words.starts_with("hint: ") {
            self.add_to_complaint(words);
        } else {
            self.in_complaint = false;
            if let Some(message) = words.strip_prefix("warning: ") {
                self.run.emit(Event::Warning(format!("{}: {message}", self.name)));
            } else {
                (self.on_progress)(words);
            }
        }
    }

    /// A line without the program's name: more of the last error, or the words of a wrapper.
    fn take_other(&mut self, line: &str) {
        if self.in_complaint {
            self.add_to_complaint(line);
            return;
        }
        if line.trim().is_empty() {
            return;
        }
        // `pg_basebackup --progress` does not put its name before `123/4567 kB (2%), 0/1 tablespace`.
        if line.contains(" kB (") && line.trim_start().starts_with(|first: char| first.is_ascii_digit()) {
            (self.on_progress)(line);
            return;
        }
        self.tell(line);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.other.len() == MAX_OTHER {
            said.other.pop_front();
        }
        said.other.push_back(line.to_owned());
    }

    fn add_to_complaint(&self, line: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = said.complaints.len() as u64 == said.count;
        if let (true, Some(complaint)) = (kept, said.complaints.last_mut())
            && complaint.more.len() < MAX_LINES_OF_COMPLAINT
        {
            complaint.more.push(line.to_owned());
        }
    }

    fn tell(&self, line: &str) {
        self.run.emit(Event::Output {
            from: self.name.clone(),
            line: line.to_owned(),
        });
    }
}

fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                reader.consume(end + 1);
                return Ok(());
            }
            None => {
                let length = buffer.len();
                reader.consume(length);
            }
        }
    }
}
