//! A program of the user at work: in a process group of its own, its lines told as they come, ended with the run.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::environment;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Event, Run};

/// A longer line is told in pieces.
const MAX_LINE: u64 = 64 * 1024;

/// How long a program may take to end by itself once it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for last words when a program has ended and one that it started still holds the pipe.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs a program to its end. What it writes to stdout and stderr becomes [`Event::Output`] from `name`, in order.
/// `input` is written to its stdin, which stays open until the program ends.
///
/// # Errors
/// It cannot be started; the run was cancelled, and the program and those that it started are ended.
/// An exit status is no error here.
pub(crate) fn supervise(mut command: Command, name: &str, input: &[u8], run: &Run) -> Result<ExitStatus> {
    run.go_on()?;
    let program = command.get_program().to_string_lossy().into_owned();
    let refused = |error: std::io::Error| {
        Error::io(format_args!("cannot run \"{program}\""), &error).with_kind(ErrorKind::Program)
    };
    // One pipe for both keeps the order of what they say.
    let (reader, writer) = std::io::pipe().map_err(refused)?;
    command
        .stdin(Stdio::piped())
        .stdout(writer.try_clone().map_err(refused)?)
        .stderr(writer);
    let environment = environment::shared(run)?;
    let mut group = Group::start(&mut command).map_err(refused)?;
    drop(environment);
    // It holds the ends of the pipe that the program writes to.
    drop(command);
    let stdin = group.process().stdin.take();
    let silence = listen(reader, name, run);
    if let Some(mut stdin) = stdin.as_ref() {
        // A program that does not read it has its reasons, and tells them by its exit.
        let _ = std::io::Write::write_all(&mut stdin, input);
    }
    let mut silent = false;
    let status = loop {
        if silent {
            std::thread::sleep(Duration::from_millis(5));
        } else {
            silent = silence.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Disconnected);
        }
        if let Some(status) = group.reap() {
            break status;
        }
        if run.cancel().is_cancelled() {
            group.end();
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
    };
    if !silent {
        let _ = silence.recv_timeout(LAST_WORDS);
    }
    Ok(status)
}

/// Tells each line; the channel is disconnected when nobody holds the pipe any more.
fn listen(reader: PipeReader, name: &str, run: &Run) -> Receiver<()> {
    let (sender, silence) = channel();
    let (name, run) = (name.to_owned(), run.clone());
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while let Ok(1..) = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line);
            run.emit(Event::Output {
                from: name.clone(),
                line: text.trim_end_matches(['\n', '\r']).to_owned(),
            });
            line.clear();
        }
        drop(sender);
    });
    silence
}

/// A process that leads a group of its own, and all that it started; ended when dropped.
pub(crate) struct Group {
    process: Child,
    status: Option<ExitStatus>,
}

impl Group {
    /// Starts a command in a process group of its own.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Group> {
        let process = command.process_group(0).spawn()?;
        Ok(Group { process, status: None })
    }

    /// The process, for its pipes.
    pub(crate) fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// How it ended, once it has.
    pub(crate) fn reap(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        self.status
    }

    /// Asks it to end, and ends it when it does not within five seconds.
    pub(crate) fn end(&mut self) {
        // Only while the process is not reaped does its number still mean it.
        let group = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        let (None, Some(group)) = (self.reap(), group) else {
            return;
        };
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while self.reap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.status.is_none() {
            let _ = kill_process_group(group, Signal::KILL);
            self.status = self.process.wait().ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
