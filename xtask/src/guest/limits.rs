//! How long a guest may take: what counts is silence, not slowness.
//!
//! A busy host makes a guest slow, and that is no fault. So a guest is waited for as long
//! as it gives signs of life: a byte on its console, or a record on its report channel.
//! The kernel reports progress from the places where it works, never from its timer: a
//! kernel that still takes ticks but does no work is silent.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a guest may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Without a sign of life; after its verdict, until QEMU ends.
    pub silence: Duration,
    /// In all, whatever it says. For a guest that goes round in a circle, and reports it.
    pub total: Duration,
}

impl Default for Limits {
    /// A minute of silence, and an hour in all. Work that the kernel does not report takes
    /// it a second at most on a quiet machine.
    fn default() -> Limits {
        Limits {
            silence: Duration::from_secs(60),
            total: Duration::from_secs(3600),
        }
    }
}

impl Limits {
    /// The usual limits, but for the silence.
    #[must_use]
    pub fn of_silence(silence: Duration) -> Limits {
        Limits {
            silence,
            ..Limits::default()
        }
    }

    /// The limits that the options ask for. A guest that waits for people has none but
    /// those that they ask for.
    #[must_use]
    pub fn asked(
        silence: Option<Duration>,
        total: Option<Duration>,
        waits_for_people: bool,
    ) -> Option<Limits> {
        let usual = match waits_for_people {
            false => Limits::default(),
            true if silence.is_none() && total.is_none() => return None,
            true => Limits {
                silence: Duration::MAX,
                total: Duration::MAX,
            },
        };
        Some(Limits {
            silence: silence.unwrap_or(usual.silence),
            total: total.unwrap_or(usual.total),
        })
    }
}

/// When a guest has last given a sign of life: by itself, or by a file that it writes.
#[derive(Debug)]
pub struct Signs {
    last: Instant,
    file: Option<PathBuf>,
    /// How long the file was when it was last looked at.
    length: u64,
}

impl Signs {
    /// Of a guest that starts now. A file that is not there yet is as good as an empty one.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Signs {
        let mut signs = Signs {
            last: Instant::now(),
            file,
            length: 0,
        };
        signs.look();
        signs
    }

    /// A sign was given now.
    pub fn note(&mut self) {
        self.last = Instant::now();
    }

    /// How long there was none.
    pub fn silence(&mut self) -> Duration {
        self.look();
        self.last.elapsed()
    }

    fn look(&mut self) {
        let length = (self.file.as_ref())
            .and_then(|file| std::fs::metadata(file).ok())
            .map_or(0, |file| file.len());
        if length != self.length {
            self.length = length;
            self.note();
        }
    }
}
