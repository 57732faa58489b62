//! Everything that a person sees and is asked: results on standard output, the story and its bars on standard
//! error, colours and bars on terminals only, questions on standard input.

mod failure;
mod progress;
mod text;

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use pum::{Error, ErrorKind, Event, Result, Run, ServerError};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

pub(crate) use progress::Row;
use text::quoted;
pub(crate) use text::{indented, json, line};

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Colour> for ColorChoice {
    fn from(colour: Colour) -> ColorChoice {
        match colour {
            Colour::Auto => ColorChoice::Auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        }
    }
}

/// The terminal, or what stands in its place.
#[derive(Debug)]
pub(crate) struct Terminal {
    colour: ColorChoice,
    verbose: bool,
    progress: progress::Progress,
}

impl Terminal {
    pub(crate) fn new(colour: Colour, verbose: bool) -> Terminal {
        Terminal {
            colour: colour.into(),
            verbose,
            progress: progress::Progress::new(),
        }
    }

    /// Whether what goes to standard output is coloured.
    pub(crate) fn coloured(&self) -> bool {
        AutoStream::new(io::stdout(), self.colour).current_choice() != ColorChoice::Never
    }

    /// The width of standard output, in columns.
    pub(crate) fn width(&self) -> usize {
        const PIPE: usize = 100;
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let size = io::stdout().is_terminal().then(console_width).flatten();
        columns.or(size).unwrap_or(PIPE).clamp(40, 400)
    }

    /// Writes a result to standard output. A reader that went away, as `head` does, is no failure.
    ///
    /// # Errors
    /// The system refuses for another reason, such as a full disk.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        self.progress.quiet(|| {
            let mut out = AutoStream::new(io::stdout(), self.colour).lock();
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            match written {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Error::io("cannot write to standard output", &error))
                }
                _ => Ok(()),
            }
        })
    }

    /// Writes a line of the story to standard error. Nobody reading is no failure.
    pub(crate) fn tell(&self, line: &str) {
        self.progress.quiet(|| {
            let mut out = AutoStream::new(io::stderr(), self.colour).lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        });
    }

    /// Warns on standard error.
    pub(crate) fn warn(&self, message: &str) {
        self.tell(&warning(message));
    }

    /// Shows an error on standard error.
    pub(crate) fn fail(&self, error: &Error) {
        self.tell(&self.failure(error));
    }

    /// How an error is shown, without the last line end.
    pub(crate) fn failure(&self, error: &Error) -> String {
        let colour = AutoStream::new(io::stderr(), self.colour).current_choice() != ColorChoice::Never;
        failure::render(error, colour).trim_end_matches('\n').to_owned()
    }

    /// Many things are worked on at once: from now on the bar counts them.
    pub(crate) fn begin_many(&self, done: usize, total: usize) {
        self.progress.begin_many(done, total);
    }

    /// A row at the bottom of a terminal for one of the many, which goes when the value is dropped.
    pub(crate) fn row(&self, name: &str) -> Row {
        self.progress.row(&line(name))
    }

    /// One of the many is done; what there is to say of it, on lines that no other comes between. `failed` is how many
    /// failed until now.
    pub(crate) fn one_done(&self, number: usize, of: usize, failed: usize, told: &str) {
        self.progress.one_done(failed);
        self.tell(&format!("{FAINT}[{number}/{of}]{FAINT:#} {told}"));
    }

    /// Tells an event of the run.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Phase { number, of, title } => {
                self.progress.clear();
                self.tell(&format!("{FAINT}[{number}/{of}]{FAINT:#} {}", line(title)));
                self.progress.begin();
            }
            Event::StepStarted { number, of, step } => {
                self.progress.step(*number, *of, &line(step));
            }
            Event::StepFinished { milliseconds } => {
                if let Some(step) = self.progress.step_done() {
                    self.tell(&format!("  {step} {FAINT}{}{FAINT:#}", duration(*milliseconds)));
                }
            }
            Event::Progress { done, total, unit } => self.progress.position(*done, *total, unit),
            Event::Waiting(reason) if self.progress.waiting(&line(reason)) => self.tell(&indented(reason)),
            event => {
                if let Some(told) = self.told(event) {
                    self.tell(&told);
                }
            }
        }
    }

    /// What an event has to say that stays, whoever else speaks.
    pub(crate) fn told(&self, event: &Event) -> Option<String> {
        match event {
            Event::Message(message) => Some(indented(message)),
            Event::Warning(message) => Some(warning(message)),
            Event::Notice(notice) => self.notice(notice),
            Event::Output { from: _, line: text } => Some(quoted(text)),
            _ => None,
        }
    }

    /// A notice of the server: warnings always, the others when asked for.
    fn notice(&self, notice: &ServerError) -> Option<String> {
        let warning = notice.severity == "WARNING";
        if !warning && !self.verbose {
            return None;
        }
        let mut told = format!("{}: {}", notice.severity, notice.message);
        for (name, value) in [("DETAIL", &notice.detail), ("HINT", &notice.hint)] {
            if let Some(value) = value {
                told.push_str(&format!("\n{name}: {value}"));
            }
        }
        let style = if warning { WARNING } else { FAINT };
        Some(format!("{style}server{style:#} {}", indented(&told)))
    }

    /// Whether somebody sits there who can be asked.
    pub(crate) fn somebody_there(&self) -> bool {
        io::stdin().is_terminal() && (io::stdout().is_terminal() || io::stderr().is_terminal())
    }

    /// Asks a question that only `y` or `yes` answers with yes. It reads standard input, a pipe too; no, an empty
    /// line and the end of the input are a no.
    ///
    /// # Errors
    /// The run is cancelled meanwhile.
    pub(crate) fn confirm(&self, question: &str, run: &Run) -> Result<bool> {
        self.progress.clear();
        {
            // Where a person sees it: standard output may be a file, and so may standard error.
            let question = indented(question);
            let _ = if io::stdout().is_terminal() {
                write!(io::stdout(), "{question}").and_then(|()| io::stdout().flush())
            } else {
                write!(io::stderr(), "{question}").and_then(|()| io::stderr().flush())
            };
        }
        let answer = self.answer(run)?;
        run.go_on()?;
        if answer.is_empty() {
            self.tell("");
            self.tell("No answer: the input has ended. --yes answers yes beforehand.");
            return Ok(false);
        }
        if !io::stdin().is_terminal() {
            self.tell("");
        }
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// One line of standard input; empty at its end. The reading stands in a thread of its own, because a signal
    /// does not interrupt it.
    fn answer(&self, run: &Run) -> Result<String> {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut answer = String::new();
            // What is no text is no yes.
            let _ = io::stdin().lock().read_line(&mut answer);
            let _ = sender.send(answer);
        });
        loop {
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(cancelled) = run.go_on() {
                        self.tell("");
                        return Err(cancelled);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(String::new()),
            }
        }
    }

    /// Whether there is a terminal on which a password can be typed.
    pub(crate) fn can_ask_password(&self) -> bool {
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .is_ok()
    }

    /// Asks for the password of a database, on the terminal only.
    ///
    /// # Errors
    /// There is no terminal, or it is interrupted.
    pub(crate) fn password(&self, name: &str) -> Result<String> {
        self.progress.clear();
        // Before the question is there: what is typed at once would be seen else.
        let _unseen = Unseen::begin();
        rpassword::prompt_password(format!("Password for {}: ", line(name))).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Error::new(ErrorKind::Cancelled, "cancelled"),
            _ => Error::new(ErrorKind::PasswordNeeded, format!("{} needs a password", line(name)))
                .with_hint("there is no terminal to ask on; put the password into ~/.pgpass or PGPASSWORD"),
        })
    }

    /// Removes the bar, if there is one.
    pub(crate) fn settle(&self) {
        self.progress.clear();
    }
}

/// The terminal shows nothing of what is typed as long as the value lives.
struct Unseen {
    terminal: std::fs::File,
    before: Termios,
}

impl Unseen {
    fn begin() -> Option<Unseen> {
        let terminal = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &unseen).ok()?;
        Some(Unseen { terminal, before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// A warning is a sentence on one line: names of files stand in it.
fn warning(message: &str) -> String {
    format!("{WARNING}warning{WARNING:#}: {}", line(message))
}

fn console_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// A table without lines, its columns as wide as they need to be; what the cells hold is made safe.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    table_of(&head, rows)
}

/// The same where the number of columns is not known beforehand.
pub(crate) fn table_of<R: IntoIterator<Item = String>>(head: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let safe = |row: R| row.into_iter().map(|cell| line(&cell).into_owned()).collect::<Vec<_>>();
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(head)
        .add_rows(rows.into_iter().map(safe));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// A number of things: `1 delta`, `2 deltas`.
pub(crate) fn counted(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Bytes for a person.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// Milliseconds for a person.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..=59 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
