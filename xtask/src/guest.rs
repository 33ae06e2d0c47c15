//! One QEMU at work: its console, its input, its time limit and its end.
//!
//! QEMU's exit status says nothing about the guest, so the verdict is the
//! guest's last line on the console. From then on QEMU has a short grace to
//! power off by itself.
//!
//! A QEMU never outlives its [`Guest`]: it is killed when the value is dropped,
//! and on Linux also when the thread that started it ends, however it ends. A
//! `Guest` may move to another thread, but the thread that called
//! [`Guest::start`] has to live as long as it.

mod dialogue;
mod told;

use crate::outcome::Outcome;
use crate::pipes::{die_with_this_thread, forward, pass_on};
use crate::qemu::Qemu;
use crate::tool;
use anyhow::Result;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How long QEMU may take to end after the guest's verdict.
const GRACE: Duration = Duration::from_secs(2);
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
    limit: Option<Duration>,
    verdict_at: Option<Instant>,
    end: Option<End>,
}

#[derive(Debug)]
enum Chunk {
    Console(Vec<u8>),
    Stderr(Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Exited(ExitStatus, Instant),
    Killed(Instant),
}

impl Guest {
    /// Starts QEMU. With `live`, its command line goes to standard error first,
    /// and what it prints is passed on at once. Without a `limit` it may run
    /// for ever.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(qemu: &Qemu, live: bool, limit: Option<Duration>) -> Result<Guest> {
        Self::start_command(qemu.command(), live, limit)
    }

    /// Like [`Guest::start`], but with a command that the caller has adapted.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_command(
        mut command: Command,
        live: bool,
        limit: Option<Duration>,
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
            limit,
            verdict_at: None,
            end: None,
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
            self.kill();
        }
    }

    /// Waits for the end, up to the time limit, and judges.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let end = loop {
            self.step(Instant::now() + POLL * 100);
            if let Some(end) = self.end {
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
            End::Killed(at) => match (self.verdict_at, self.limit) {
                (None, Some(limit)) => (Outcome::TimedOut { limit }, at),
                _ => (
                    status.map_or(Outcome::NoVerdict, Outcome::DidNotPowerOff),
                    at,
                ),
            },
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
            let now = Instant::now();
            let deadline = match self.verdict_at {
                Some(at) => Some(at + GRACE),
                None => self.limit.map(|limit| self.started + limit),
            };
            if deadline.is_some_and(|deadline| now >= deadline) {
                self.kill();
                return Step::Ended;
            }
            if now >= until {
                return Step::Waited;
            }
            let nearest = deadline.map_or(until, |deadline| deadline.min(until));
            if self.receive(POLL.min(nearest - now)) {
                return Step::Printed;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.end = Some(End::Exited(status, Instant::now()));
                let drained = Instant::now() + DRAIN;
                while !self.silent && Instant::now() < drained {
                    self.receive(POLL);
                }
                return Step::Ended;
            }
        }
    }

    /// Takes one chunk of output in, if there is one in time.
    fn receive(&mut self, within: Duration) -> bool {
        if self.silent {
            std::thread::sleep(within);
            return false;
        }
        match self.output.recv_timeout(within) {
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

    fn kill(&mut self) {
        // Fails only if it has ended in this moment.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.end = Some(End::Killed(Instant::now()));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !matches!(self.end, Some(End::Exited(..))) {
            self.kill();
        }
    }
}
