//! The `log` crate's sink: lines on the console with the time since boot, and a ring
//! that keeps the last of them.

use crate::{
    arch, platform, println,
    sync::{Hook, IrqLock},
    time,
};
use ::log::{Level, LevelFilter, Log, Metadata, Record};
use core::{
    fmt::{self, Write},
    time::Duration,
};

struct Logger;

/// Bytes that the ring keeps.
const RING_BYTES: usize = 16 * 1024;

/// The last lines. Nothing is allocated, so that any code may log.
struct Ring {
    bytes: [u8; RING_BYTES],
    /// How many bytes were ever written.
    written: usize,
}

static RING: IrqLock<Ring> = IrqLock::named(
    "machine::LOG",
    Ring {
        bytes: [0; RING_BYTES],
        written: 0,
    },
);

/// Whether a record goes to the console too.
pub type ToConsole = fn(&Record<'_>) -> bool;

static TO_CONSOLE: Hook<ToConsole> = Hook::new();

/// A record as a line, without the line break.
struct Shown<'a>(&'a Record<'a>, Duration);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record, now) = self;
        write!(
            f,
            "[{:5}.{:06}] {}: {}",
            now.as_secs(),
            now.subsec_micros(),
            name(record.level()),
            record.args()
        )
    }
}

impl Write for Ring {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            self.bytes[self.written % RING_BYTES] = byte;
            self.written += 1;
        }
        Ok(())
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = match platform::try_get() {
            Some(_) => time::duration(arch::timebase()),
            None => Duration::ZERO,
        };
        let shown = Shown(record, now);
        // A ring takes everything.
        let _ = writeln!(RING.lock(), "{shown}");
        if TO_CONSOLE.get().is_none_or(|wants| wants(record)) {
            println!("{shown}");
        }
    }

    fn flush(&self) {}
}

/// Sets which records go to the console; with none, all do. Called for each record,
/// in whatever context it is made in.
pub fn to_console(wants: Option<ToConsole>) {
    TO_CONSOLE.set(wants);
}

/// Copies the last lines, whole ones alone, to the end of `into`; returns how many
/// bytes that are. The rest of `into` is left as it is.
#[must_use]
pub fn recent(into: &mut [u8]) -> usize {
    let ring = RING.lock();
    let kept = ring.written.min(RING_BYTES).min(into.len());
    let room = into.len() - kept;
    for (place, index) in into[room..].iter_mut().zip(ring.written - kept..) {
        *place = ring.bytes[index % RING_BYTES];
    }
    if kept == ring.written {
        return kept;
    }
    let lines = &into[room..];
    let cut = lines.iter().position(|&byte| byte == b'\n');
    kept - cut.map_or(kept, |cut| cut + 1)
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Sends log lines of `level` and above to the console from now on.
pub fn start(level: LevelFilter) {
    static LOGGER: Logger = Logger;
    // Only a second call fails, and then the logger is there already.
    let _ = ::log::set_logger(&LOGGER);
    ::log::set_max_level(level);
}
