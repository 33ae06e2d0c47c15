//! One QEMU at work: its console, its input, its limits and its end.
//!
//! QEMU's exit status says nothing about the guest, so the verdict is the
//! guest's last line on the console. From then on QEMU has as long to power off
//! by itself as the guest may be silent.
//!
//! A QEMU never outlives its [`Guest`]: it is killed when the value is dropped,
//! and on Linux also when the thread that started it ends, however it ends. A
//! `Guest` may move to another thread, but the thread that called
//! [`Guest::start`] has to live as long as it.

mod dialogue;
mod limits;
mod told;

pub use limits::{Limits, Signs};

use crate::live::channel::Relay;
use crate::outcome::Outcome;
use crate::pipes::{die_with_this_thread, forward, pass_on};
use crate::qemu::Qemu;
use crate::{cores, records, tool};
use anyhow::Result;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How long to wait for output that is still under way when QEMU has ended.
/// Only a stray child of QEMU that holds the pipe open makes us wait for it.
const DRAIN: Duration = Duration::from_secs(1);
/// How often to look whether QEMU has ended while it prints nothing.
const POLL: Duration = Duration::from_millis(10);

/// What a line that may be the verdict begins with.
const VERDICT: &[u8] = b"EXIT: STATUS=";

/// What became of a run.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// All that the guest printed on its console, line breaks as `\n`.
    pub transcript: String,
    /// Wall time from the start of QEMU to its end.
    pub wall: Duration,
}

/// What [`Guest::step`] saw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// The guest, or QEMU, printed something.
    Printed,
    /// Nothing happened until the moment given.
    Waited,
    /// QEMU has ended, by itself or by our hand.
    Ended,
}

/// A running QEMU.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Chunk>,
    /// Both ends of QEMU's output are closed.
    silent: bool,
    /// Whether to pass output on to ours.
    live: bool,
    console: Vec<u8>,
    stderr: Vec<u8>,
    /// Start in `console` of the line that is not complete yet.
    line: usize,
    /// Start in `console` of what no [`Guest::expect`] has matched yet.
    unread: usize,
    started: Instant,
    limits: Option<Limits>,
    signs: Signs,
    verdict_at: Option<Instant>,
    end: Option<End>,
    /// The report, where the caller has not asked for one.
    scratch: Option<PathBuf>,
    /// Between its channel and the clients.
    relay: Option<Relay>,
}

#[derive(Debug)]
enum Chunk {
    Console(Vec<u8>),
    Stderr(Vec<u8>),
}

#[derive(Clone, Debug)]
enum End {
    Exited(ExitStatus, Instant),
    /// By us: at a limit, or because it was asked for or did not power off.
    Killed(Instant, Option<Outcome>),
}

impl Guest {
    /// Starts QEMU. With `live`, its command line goes to standard error first,
    /// and what it prints is passed on at once. Without `limits` it may run
    /// for ever.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(qemu: &Qemu, live: bool, limits: Option<Limits>) -> Result<Guest> {
        let mut qemu = qemu.clone();
        let scratch = (limits.is_some() && qemu.report.is_none()).then(scratch);
        if scratch.is_some() {
            qemu.report.clone_from(&scratch);
        }
        let report = qemu.report.clone();
        let relay = qemu.channel.as_deref().map(Relay::start).transpose()?;
        qemu.channel = relay.as_ref().map(|relay| relay.for_qemu().to_owned());
        let mut guest = Self::start_command(qemu.command(), live, limits)?;
        if qemu.spread {
            let cpus = qemu.machine.cpu_count().unwrap_or(1);
            cores::spread(guest.child.id(), cpus as usize);
        }
        guest.signs = Signs::new(report);
        guest.scratch = scratch;
        guest.relay = relay;
        Ok(guest)
    }

    /// Like [`Guest::start`], but with a command that the caller has adapted. Its report
    /// channel is not watched.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_command(
        mut command: Command,
        live: bool,
        limits: Option<Limits>,
    ) -> Result<Guest> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_this_thread(&mut command);
        if live {
            eprintln!("{}", tool::shell_line(&command));
        }
        let started = Instant::now();
        let mut child = tool::spawn(&mut command)?;
        // Bounded, so that a guest that prints faster than we read has to wait.
        let (sender, output) = sync_channel(64);
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, sender.clone(), Chunk::Console);
        }
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, sender, Chunk::Stderr);
        }
        Ok(Guest {
            input: child.stdin.take(),
            child,
            output,
            silent: false,
            live,
            console: Vec::new(),
            stderr: Vec::new(),
            line: 0,
            unread: 0,
            started,
            limits,
            signs: Signs::new(None),
            verdict_at: None,
            end: None,
            scratch: None,
            relay: None,
        })
    }

    /// Passes output on from now on, as with `live`.
    pub fn be_live(&mut self) {
        self.live = true;
    }

    /// Whether QEMU has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether QEMU has ended by itself, and with a failure of its own.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Exited(status, _)) if !status.success())
    }

    /// Ends QEMU now.
    pub fn kill_now(&mut self) {
        if self.end.is_none() {
            self.kill(None);
        }
    }

    /// Counts as a sign of life: the guest has nothing to do as long as nothing is typed.
    pub fn excuse_silence(&mut self) {
        self.signs.note();
    }

    /// Waits for the end, up to the limits, and judges.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let end = loop {
            self.step(Instant::now() + POLL * 100);
            if let Some(end) = self.end.clone() {
                break end;
            }
        };
        let transcript = String::from_utf8_lossy(&self.console).replace("\r\n", "\n");
        let status = report::find_status(&transcript);
        let (outcome, ended) = match end {
            End::Exited(exit, at) if exit.success() => {
                (status.map_or(Outcome::NoVerdict, Outcome::Guest), at)
            }
            End::Exited(exit, at) => {
                let stderr = String::from_utf8_lossy(&self.stderr).into_owned();
                (
                    Outcome::Qemu {
                        how: exit.to_string(),
                        stderr,
                    },
                    at,
                )
            }
            End::Killed(at, Some(outcome)) => (outcome, at),
            End::Killed(at, None) => (
                status.map_or(Outcome::NoVerdict, Outcome::DidNotPowerOff),
                at,
            ),
        };
        Finished {
            outcome,
            transcript,
            wall: ended - self.started,
        }
    }

    /// Waits until something happens, but not beyond `until`.
    pub fn step(&mut self, until: Instant) -> Step {
        loop {
            if self.end.is_some() {
                return Step::Ended;
            }
            let left = until.saturating_duration_since(Instant::now());
            // First what has come since the last look.
            let printed = self.receive(POLL.min(left));
            if !printed && let Ok(Some(status)) = self.child.try_wait() {
                self.end = Some(End::Exited(status, Instant::now()));
                let drained = Instant::now() + DRAIN;
                while !self.silent && Instant::now() < drained {
                    self.receive(POLL);
                }
                return Step::Ended;
            }
            if let Some(limits) = self.limits
                && self.is_beyond(limits)
            {
                return Step::Ended;
            }
            if printed {
                return Step::Printed;
            }
            if Instant::now() >= until {
                return Step::Waited;
            }
        }
    }

    /// Ends QEMU if it is beyond a limit. Says whether it is.
    fn is_beyond(&mut self, Limits { silence, total }: Limits) -> bool {
        if let Some(at) = self.verdict_at {
            if at.elapsed() >= silence {
                self.kill(None);
            }
        } else if self.signs.silence() >= silence {
            self.kill(Some(Outcome::Silent { limit: silence }));
        } else if self.started.elapsed() >= total {
            self.kill(Some(Outcome::TimedOut { limit: total }));
        }
        self.end.is_some()
    }

    /// Takes one chunk of output in, if there is one in time.
    fn receive(&mut self, within: Duration) -> bool {
        if self.silent {
            std::thread::sleep(within);
            return false;
        }
        let received = self.output.recv_timeout(within);
        if received.is_ok() {
            self.signs.note();
        }
        match received {
            Ok(Chunk::Console(bytes)) => {
                if self.live {
                    pass_on(&mut std::io::stdout(), &bytes);
                }
                self.absorb(&bytes);
                true
            }
            Ok(Chunk::Stderr(bytes)) => {
                if self.live {
                    pass_on(&mut std::io::stderr(), &bytes);
                }
                self.stderr.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                self.silent = true;
                false
            }
        }
    }

    /// Takes console output in, and notes when the first complete verdict line
    /// came. Looks at each byte once, however long the lines are.
    fn absorb(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.console.extend(piece);
            if piece.ends_with(b"\n") {
                if self.console[self.line..].starts_with(VERDICT) {
                    self.verdict_at.get_or_insert_with(Instant::now);
                }
                self.line = self.console.len();
            }
        }
    }

    fn kill(&mut self, why: Option<Outcome>) {
        // Fails only if it has ended in this moment.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.end = Some(End::Killed(Instant::now(), why));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !matches!(self.end, Some(End::Exited(..))) {
            self.kill(None);
        }
        if let Some(report) = &self.scratch {
            let _ = std::fs::remove_file(report);
        }
    }
}

/// A file for a report that only we read.
fn scratch() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    records::path(&format!("signs-{}-{number}", std::process::id()))
}
