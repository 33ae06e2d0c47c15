//! The host's end of the channel: finds the kernels that run, and asks one to load, enable and
//! disable patches.
//!
//! There is a Unix socket for each kernel ([`offer`]), at which its QEMU's parent listens
//! ([`Relay`]). It takes one client at a time; others would wait unseen. So a client locks a file
//! beside the socket, and the next one is told.

mod folder;
mod relay;

pub use channel::{Hello, PatchStatus, State, Status, ThreadStatus, Transition};
pub use folder::{Kernel, fresh, kernels, offer};
pub use relay::Relay;

use channel::{Decoder, Event, Frame, Kind, MOST_ANSWER, MOST_BYTES};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

/// Why a kernel was not reached, or has not done what it was asked.
#[derive(Debug)]
pub enum ChannelError {
    /// No kernel's relay listens there.
    NobodyListens {
        /// Where.
        path: PathBuf,
    },
    /// Another client talks to it.
    Busy {
        /// Where.
        path: PathBuf,
    },
    /// It takes or says nothing.
    Silent {
        /// How long it was waited for.
        limit: Duration,
    },
    /// QEMU has ended, or has closed the connection.
    Gone,
    /// It refuses, for this reason. Nothing has changed.
    Refused(String),
    /// It answers, and not as it should.
    Damaged(String),
    /// The folder or a file in it can't be used.
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyListens { path } => write!(
                f,
                "no kernel listens at {}: start one with `make shell`",
                path.display()
            ),
            Self::Busy { path } => write!(
                f,
                "another program talks to the kernel at {}: wait for it, or end it",
                path.display()
            ),
            Self::Silent { limit } => write!(
                f,
                "the kernel does not answer: it has said nothing for {} s. It may have stopped: look at its console, and start it again",
                limit.as_secs_f64()
            ),
            Self::Gone => f.write_str(
                "the kernel has gone before it answered: its console says why; start it again",
            ),
            Self::Refused(why) => f.write_str(why),
            Self::Damaged(how) => write!(f, "the kernel's answer can't be read ({how}): try again"),
            Self::Folder { path, reason } => write!(f, "{}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for ChannelError {}

/// What comes of a request.
pub type Answer<T> = Result<T, ChannelError>;

/// How long a client waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Until the kernel takes some bytes of a request more, or answers. It drops the frame that a client
    /// before has not ended after five seconds, and only then looks at what came behind it.
    pub silence: Duration,
    /// For another client to end.
    pub busy: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            silence: Duration::from_secs(30),
            busy: Duration::from_secs(1),
        }
    }
}

/// How often limits are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A connection to a kernel.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    decoder: Decoder,
    sequence: u32,
    limits: Limits,
    /// Locked as long as this lives.
    _lock: File,
}

impl Channel {
    /// Connects to the kernel whose socket this is. It is not asked anything yet.
    ///
    /// # Errors
    /// [`ChannelError::NobodyListens`], [`ChannelError::Busy`], [`ChannelError::Silent`] when
    /// QEMU is stopped, and [`ChannelError::Folder`].
    pub fn connect(path: &Path, limits: Limits) -> Answer<Channel> {
        let lock = folder::lock(path, limits.busy)?;
        let stream = connect_within(path, limits.silence)?;
        // So that an answer to a client before is not taken for one to this.
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let sequence = now.subsec_nanos() ^ now.as_secs() as u32 ^ std::process::id();
        Ok(Channel {
            stream,
            decoder: Decoder::new(MOST_ANSWER),
            sequence,
            limits,
            _lock: lock,
        })
    }

    /// Who is there.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn hello(&mut self) -> Answer<Hello> {
        read(&self.ask(Kind::Hello, &[])?)
    }

    /// Loads a module, and returns its name. It changes nothing until it is enabled.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn load(&mut self, module: &[u8]) -> Answer<String> {
        if module.len() > MOST_BYTES {
            return Err(ChannelError::Refused(format!(
                "the module has {} bytes, and {MOST_BYTES} are the most",
                module.len()
            )));
        }
        Ok(text(self.ask(Kind::Load, module)?))
    }

    /// Starts the transition to a patch.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn enable(&mut self, name: &str) -> Answer<()> {
        self.ask(Kind::Enable, name.as_bytes()).map(drop)
    }

    /// Starts the transition away from a patch.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn disable(&mut self, name: &str) -> Answer<()> {
        self.ask(Kind::Disable, name.as_bytes()).map(drop)
    }

    /// Turns the running transition round.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn reverse(&mut self) -> Answer<()> {
        self.ask(Kind::Reverse, &[]).map(drop)
    }

    /// Unloads a module.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn unload(&mut self, name: &str) -> Answer<()> {
        self.ask(Kind::Unload, name.as_bytes()).map(drop)
    }

    /// How patches and threads are.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn status(&mut self) -> Answer<Status> {
        read(&self.ask(Kind::Status, &[])?)
    }

    /// Waits for the end of the transition that runs. Returns it if it goes on for so long.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn settle(&mut self, limit: Duration) -> Answer<Option<Transition>> {
        let begin = Instant::now();
        loop {
            let transition = self.status()?.transition;
            if transition.is_none() || begin.elapsed() >= limit {
                return Ok(transition);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Sends a request, and waits for its answer.
    fn ask(&mut self, kind: Kind, payload: &[u8]) -> Answer<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let sequence = self.sequence;
        let (header, trailer) = channel::encode(&Frame {
            kind,
            sequence,
            payload,
        });
        self.send(&[&header[..], payload, &trailer].concat())?;
        let mut heard = Instant::now();
        let mut room = [0; 4096];
        loop {
            let came = self.stream.set_read_timeout(Some(LOOK));
            let came = came.and_then(|()| self.stream.read(&mut room));
            let Some(count) = self.moved(came, &mut heard)? else {
                continue;
            };
            if let Some(answer) = self.answer(&room[..count], sequence) {
                return answer;
            }
        }
    }

    fn send(&mut self, mut frame: &[u8]) -> Answer<()> {
        let mut heard = Instant::now();
        while !frame.is_empty() {
            let went = self.stream.set_write_timeout(Some(LOOK));
            let went = went.and_then(|()| self.stream.write(frame));
            if let Some(count) = self.moved(went, &mut heard)? {
                frame = &frame[count..];
            }
        }
        Ok(())
    }

    /// How many bytes were moved; none if it is to be tried again.
    fn moved(&self, result: std::io::Result<usize>, heard: &mut Instant) -> Answer<Option<usize>> {
        match result {
            Ok(0) => Err(ChannelError::Gone),
            Ok(count) => {
                *heard = Instant::now();
                Ok(Some(count))
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                    let limit = self.limits.silence;
                    if heard.elapsed() >= limit {
                        return Err(ChannelError::Silent { limit });
                    }
                    Ok(None)
                }
                _ => Err(ChannelError::Gone),
            },
        }
    }

    /// The answer to a request, if it is complete. Answers to others, which a client before has not
    /// waited for, are passed by.
    fn answer(&mut self, mut bytes: &[u8], wanted: u32) -> Option<Answer<Vec<u8>>> {
        while let Some(event) = self.decoder.decode(&mut bytes) {
            match event {
                Event::Frame(frame) if frame.sequence != wanted => {}
                Event::Frame(frame) => {
                    let payload = frame.payload.to_vec();
                    return Some(match frame.kind {
                        Kind::Done => Ok(payload),
                        Kind::Refused => Err(ChannelError::Refused(text(payload))),
                        kind => Err(ChannelError::Damaged(format!("it is a request: {kind:?}"))),
                    });
                }
                Event::Damaged { damage, .. } => {
                    return Some(Err(ChannelError::Damaged(damage.to_string())));
                }
            }
        }
        None
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Answer<T> {
    serde_json::from_slice(payload).map_err(|error| ChannelError::Damaged(error.to_string()))
}

/// Connects. Where too many clients wait already, that would take for ever.
fn connect_within(path: &Path, limit: Duration) -> Answer<UnixStream> {
    let (sender, receiver) = mpsc::channel();
    let own = path.to_owned();
    // It ends with the process, if not before.
    std::thread::spawn(move || sender.send(UnixStream::connect(own)));
    let absent = |_| ChannelError::NobodyListens {
        path: path.to_owned(),
    };
    match receiver.recv_timeout(limit) {
        Ok(result) => result.map_err(absent),
        Err(_) => Err(ChannelError::Silent { limit }),
    }
}
