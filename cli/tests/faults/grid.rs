//! One point of the grid: an upgrade is disturbed there, judged, and run again.

use std::fmt;
use std::io::Read;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ground::{Ground, Holds, Recorded, upgrade};
use crate::points::{commits, points};
use crate::proxy::{Point, Proxy, Seen};
use crate::scenario::{Scenario, Stage};

/// What is done to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL of pum.
    Kill,
    /// The same, and the next run begins at once, while the server may still be at work for the first.
    KillAndAgain,
    Terminate,
    Interrupt,
    HangUp,
    /// `pg_terminate_backend` of every session.
    EndSessions,
    /// The server ends in `immediate` mode and starts again.
    Crash,
    /// The link breaks with a reset, and the server sees it too.
    Reset,
    /// The link breaks with a reset, and the server learns of it half a second later.
    ResetLate,
    /// The network is away for a second, and connections are refused meanwhile.
    Away,
    /// The network stalls for a while, and breaks then. Before an answer of the server it swallows it: at a COMMIT's
    /// CommandComplete pum hears nothing, and then of a reset, while all is committed.
    Stall,
    /// The network stalls for a while, and goes on.
    Pause,
}

impl Fault {
    pub const ALL: [Fault; 12] = [
        Fault::Kill,
        Fault::KillAndAgain,
        Fault::Terminate,
        Fault::Interrupt,
        Fault::HangUp,
        Fault::EndSessions,
        Fault::Crash,
        Fault::Reset,
        Fault::ResetLate,
        Fault::Away,
        Fault::Stall,
        Fault::Pause,
    ];

    /// The signal of those that are one.
    pub fn signal(self) -> Option<Signal> {
        match self {
            Fault::Kill | Fault::KillAndAgain => Some(Signal::KILL),
            Fault::Terminate => Some(Signal::TERM),
            Fault::Interrupt => Some(Signal::INT),
            Fault::HangUp => Some(Signal::HUP),
            _ => None,
        }
    }

    /// Whether what is on the way is lost.
    pub fn breaks_the_link(self) -> bool {
        matches!(self, Fault::Reset | Fault::ResetLate | Fault::Away | Fault::Stall)
    }

    fn kills(self) -> bool {
        matches!(self, Fault::Kill | Fault::KillAndAgain)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "SIGKILL",
            Fault::KillAndAgain => "SIGKILL, again at once",
            Fault::Terminate => "SIGTERM",
            Fault::Interrupt => "SIGINT",
            Fault::HangUp => "SIGHUP",
            Fault::EndSessions => "pg_terminate_backend",
            Fault::Crash => "server crash",
            Fault::Reset => "reset",
            Fault::ResetLate => "reset, server late",
            Fault::Away => "network away",
            Fault::Stall => "stall, then reset",
            Fault::Pause => "stall, then on",
        })
    }
}

/// What a stage looks like.
pub struct Lawful {
    pub stage: Stage,
    pub recorded: Recorded,
    pub holds: Holds,
}

/// A scenario with all that is known of it.
pub struct Known {
    pub scenario: &'static Scenario,
    pub lawful: Vec<Lawful>,
    /// The points at which a run can be disturbed.
    pub points: Vec<Point>,
    /// Those, and all others, at which it commits.
    pub commits: Vec<Point>,
}

/// What came of a point.
pub enum Outcome {
    /// The run did not come to the point.
    NotReached,
    Survived {
        /// How long the server kept sessions of the run.
        lingered: Duration,
    },
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Known {
    /// Runs a scenario undisturbed, to each of its stages.
    pub fn learn(ground: &Ground, scenario: &'static Scenario) -> Known {
        let database = &*format!("learning_{}", scenario.name.replace(' ', "_"));
        let mut lawful = Vec::new();
        for stage in scenario.stages() {
            let files = Files::new();
            scenario.write(files.deltas.path(), stage);
            ground.create(database);
            let run = Running::start(ground, database, scenario, &files, None);
            let (status, said) = run.finish();
            assert!(status.success(), "{}: {said}", scenario.name);
            let mut recorded = ground.recorded(database);
            if stage.statements > 0 {
                // In this run it was the whole of the delta.
                recorded.applied.pop();
                recorded.begun = Some(scenario.deltas[stage.deltas].counted(stage.statements));
            }
            lawful.push(Lawful {
                stage,
                recorded,
                holds: ground.holds(database),
            });
            ground.drop(database);
        }
        let files = Files::new();
        scenario.write_all(files.deltas.path());
        ground.create(database);
        let proxy = Proxy::start(ground.socket(), None);
        let run = Running::start(ground, database, scenario, &files, Some(proxy));
        let seen = run.finish_seen();
        ground.drop(database);
        Known {
            scenario,
            lawful,
            points: points(&seen),
            commits: commits(&seen),
        }
    }

    fn whole(&self) -> &Lawful {
        self.lawful.last().unwrap()
    }

    /// Disturbs a run at a point, judges what is left, runs it again and judges that.
    pub fn try_out(&self, ground: &mut Ground, database: &str, point: Point, fault: Fault) -> Result<Outcome, String> {
        let files = Files::new();
        self.scenario.write_all(files.deltas.path());
        ground.create(database);
        let proxy = Proxy::start(ground.socket(), Some(point));
        let mut run = Running::start(ground, database, self.scenario, &files, Some(proxy));
        let begun = Instant::now();
        let strike = loop {
            if let Some(strike) = run.proxy().strike(Duration::from_millis(5)) {
                break Some(strike);
            }
            if run.ended() {
                break None;
            }
            if begun.elapsed() > PATIENCE {
                return Err("the run does not end".to_owned());
            }
        };
        let reached = strike.is_some();
        if let Some(strike) = strike {
            run.disturb(fault, ground, database);
            strike.go_on();
        }
        let (status, said) = run.end()?;
        if !reached {
            ground.drop(database);
            return if status.success() {
                Ok(Outcome::NotReached)
            } else {
                Err(format!("failed undisturbed: {said}"))
            };
        }
        let mut lingered = Duration::ZERO;
        if fault != Fault::KillAndAgain {
            lingered = ground
                .wait_for_no_session(database)
                .ok_or("sessions of the run are left in the server")?;
            let recorded = ground.recorded(database);
            self.lawful(&recorded, &ground.holds(database))?;
            self.honest(fault, status, &said, &recorded)?;
            let locks = ground.locks(database);
            if !locks.is_empty() {
                return Err(format!("locks are left: {locks}"));
            }
        }
        self.again(ground, database, &files)?;
        ground.drop(database);
        Ok(Outcome::Survived { lingered })
    }

    /// Whether what the database holds is what its table says, at a stage at which it may be.
    fn lawful(&self, recorded: &Recorded, holds: &Holds) -> Result<(), String> {
        let deltas = self.scenario.deltas;
        let fits = self.lawful.iter().enumerate().any(|(number, lawful)| {
            let next = deltas.get(lawful.stage.deltas);
            // One that is begun has done nothing yet where no statement is recorded.
            let begun = recorded.begun.unwrap_or(0) == lawful.recorded.begun.unwrap_or(0);
            if lawful.recorded.applied != recorded.applied || !begun {
                return false;
            }
            if lawful.holds == *holds {
                return true;
            }
            let Some(next) = next.filter(|_| recorded.begun.is_some()) else {
                return false;
            };
            // What cannot be in a transaction is done before it is recorded, or half.
            let after = self.lawful.get(number + 1).map(|after| &after.holds);
            if next.is_python() {
                after == Some(holds)
            } else {
                next.may_be_ahead(lawful.stage.statements) && lawful.holds.rows == holds.rows
            }
        });
        if fits {
            Ok(())
        } else {
            Err(format!("the database is at no lawful stage: {recorded:?}, {holds:?}"))
        }
    }

    /// Whether the exit code and the words are true.
    fn honest(&self, fault: Fault, status: ExitStatus, said: &str, recorded: &Recorded) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {status}, {recorded:?}\n{said}"));
        if said.contains("panicked") {
            return wrong("it panicked");
        }
        let Some(code) = status.code() else {
            return if fault.kills() {
                Ok(())
            } else {
                wrong("ended by a signal")
            };
        };
        if code == 0 {
            return if *recorded == self.whole().recorded {
                Ok(())
            } else {
                wrong("it says that all is done")
            };
        }
        let expected = match fault.signal() {
            Some(signal) if !fault.kills() => vec![128 + signal.as_raw()],
            // What a Python delta started has failed, as it says.
            _ if self.scenario.has_python() => vec![1, 6, 7],
            _ => vec![6, 7],
        };
        if !expected.contains(&code) {
            return wrong("another exit code");
        }
        let unknown = said.contains("it is not known whether");
        if (code == 7) != unknown {
            return wrong("the code and the words differ");
        }
        let claimed = match said.split_once("applied by this run: ") {
            Some((_, claim)) => applied(claim),
            None if said.contains("nothing was changed") => 0,
            None => return wrong("it does not say what was done"),
        };
        if claimed != recorded.applied.len() && !unknown {
            return wrong("it does not say the truth");
        }
        Ok(())
    }

    /// Runs it again, as the message of the first run says, and looks whether it came to the same as if undisturbed.
    fn again(&self, ground: &Ground, database: &str, files: &Files) -> Result<(), String> {
        let mut run = Running::start_with(ground, database, self.scenario, files, None, &["--wait", "30s"]);
        let (mut status, mut said) = run.end()?;
        if self.scenario.has_python() && said.contains("--rerun-interrupted") {
            run = Running::start_with(
                ground,
                database,
                self.scenario,
                files,
                None,
                &["--rerun-interrupted", "--wait", "30s"],
            );
            (status, said) = run.end()?;
        }
        if !status.success() {
            return Err(format!("the next run failed: {status}\n{said}"));
        }
        let (recorded, holds) = (ground.recorded(database), ground.holds(database));
        let whole = self.whole();
        if recorded != whole.recorded || holds != whole.holds {
            return Err(format!(
                "the next run came to something else: {recorded:?}, {holds:?}; undisturbed {:?}, {:?}",
                whole.recorded, whole.holds
            ));
        }
        let left: Vec<_> = std::fs::read_dir(files.temporary.path()).unwrap().flatten().collect();
        if !left.is_empty() {
            return Err(format!("files are left: {left:?}"));
        }
        Ok(())
    }
}

/// How many deltas a message lists as applied: those that are recorded begin with their version.
fn applied(claim: &str) -> usize {
    let list = claim.split(';').next().unwrap_or_default();
    list.split(", ")
        .map(
            |item| match item.strip_prefix("... and ").and_then(|more| more.split(' ').next()) {
                Some(more) => more.parse().unwrap_or(0),
                None => usize::from(item.starts_with(|c: char| c.is_ascii_digit())),
            },
        )
        .sum()
}

/// The delta directory of a run, and its directory for temporary files.
struct Files {
    deltas: tempfile::TempDir,
    temporary: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        Files {
            deltas: tempfile::tempdir().unwrap(),
            temporary: tempfile::tempdir().unwrap(),
        }
    }
}

/// A run of pum under way.
struct Running {
    child: Child,
    proxy: Option<Proxy>,
    said: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn start(ground: &Ground, database: &str, scenario: &Scenario, files: &Files, proxy: Option<Proxy>) -> Running {
        Running::start_with(ground, database, scenario, files, proxy, &[])
    }

    fn start_with(
        ground: &Ground,
        database: &str,
        scenario: &Scenario,
        files: &Files,
        proxy: Option<Proxy>,
        arguments: &[&str],
    ) -> Running {
        let socket = ground.server.socket_directory().to_string_lossy().into_owned();
        let (host, port) = match &proxy {
            Some(proxy) => ("127.0.0.1", proxy.port()),
            None => (&*socket, 5432),
        };
        let mut child = upgrade(host, port, database, files.deltas.path(), files.temporary.path())
            .args(scenario.arguments)
            .args(arguments)
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running {
            child,
            proxy,
            said: Some(said),
        }
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn disturb(&mut self, fault: Fault, ground: &mut Ground, database: &str) {
        if let Some(signal) = fault.signal() {
            let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            let _ = kill_process(pid, signal);
            if fault.kills() {
                self.child.wait().unwrap();
            }
            return;
        }
        let proxy = self.proxy();
        let pause = std::thread::sleep;
        match fault {
            Fault::EndSessions => ground.terminate(database),
            Fault::Crash => ground.server.crash_and_restart().unwrap(),
            Fault::Reset => proxy.reset(),
            Fault::ResetLate => {
                proxy.reset_clients();
                pause(Duration::from_millis(500));
                proxy.close_servers();
            }
            Fault::Away => {
                proxy.cut();
                proxy.reset();
                pause(Duration::from_secs(1));
                proxy.mend();
            }
            Fault::Stall | Fault::Pause => {
                proxy.stall();
                pause(Duration::from_millis(300));
                if fault == Fault::Stall {
                    proxy.reset();
                }
                proxy.mend();
            }
            _ => {}
        }
    }

    /// Waits for its end.
    fn end(&mut self) -> Result<(ExitStatus, String), String> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                let at_work = at_work();
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                let said = self.said.take().map(|said| said.join().unwrap()).unwrap_or_default();
                return Err(format!("it does not end\n{said}\n{at_work}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        // Nobody is connected any more.
        self.proxy = None;
        let said = self.said.take().map(|said| said.join().unwrap()).unwrap_or_default();
        Ok((status, said))
    }

    fn finish(mut self) -> (ExitStatus, String) {
        self.end().unwrap()
    }

    fn finish_seen(mut self) -> Vec<Seen> {
        let status = self.child.wait().unwrap();
        assert!(status.success());
        self.proxy().seen()
    }
}

/// The programs that are about a run, where one does not end.
fn at_work() -> String {
    let programs = std::process::Command::new("ps")
        .args(["-eo", "pid,ppid,etime,stat,wchan:24,args"])
        .output()
        .unwrap();
    let programs = String::from_utf8_lossy(&programs.stdout).into_owned();
    let ours = |line: &&str| {
        ["pum", "run_delta", "psql", "disturbed"]
            .iter()
            .any(|word| line.contains(word))
    };
    programs.lines().filter(ours).collect::<Vec<_>>().join("\n")
}
