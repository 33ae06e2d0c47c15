//! What is typed on the console, also while a command runs: that is kept for the
//! prompt, but for ^C, which is for the command.

use core::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};
use machine::{console, sync::IrqLock};

use super::error::CommandError;

/// Bytes that are kept until they are read: some hundred lines that are pasted at
/// once.
const AHEAD: usize = 64 * 1024;

const CONTROL_C: u8 = 3;

struct Ahead {
    bytes: [u8; AHEAD],
    read: usize,
    written: usize,
    /// The rest of this line finds no room either.
    skipping: bool,
    /// Something has found no room.
    lost: bool,
}

impl Ahead {
    fn is_full(&self) -> bool {
        self.written - self.read == AHEAD
    }

    /// Keeps a byte. When there is no room, its whole line is lost: half of one would
    /// be run together with what comes next.
    fn keep(&mut self, byte: u8) {
        let is_end = |byte: u8| matches!(byte, b'\r' | b'\n');
        if self.skipping || self.is_full() {
            while self.written > self.read && !is_end(self.bytes[(self.written - 1) % AHEAD]) {
                self.written -= 1;
            }
            self.lost = true;
            self.skipping = !is_end(byte);
        } else {
            self.bytes[self.written % AHEAD] = byte;
            self.written += 1;
        }
    }
}

static BYTES: IrqLock<Ahead> = IrqLock::named(
    "shell::BYTES",
    Ahead {
        bytes: [0; AHEAD],
        read: 0,
        written: 0,
        skipping: false,
        lost: false,
    },
);

/// Whether a person types, so that ^C means something and too much is dropped; else a
/// file waits until it is read.
static BY_HAND: AtomicBool = AtomicBool::new(false);
static RUNNING: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// After how many looks a command is interrupted as if by ^C; below 0 it is not.
static INJECTED: AtomicI64 = AtomicI64::new(-1);

/// Interrupts what runs after so many looks, or never; what is typed is left alone
/// meanwhile.
pub fn inject_after(looks: Option<u32>) {
    INJECTED.store(looks.map_or(-1, i64::from), Ordering::Relaxed);
}

/// Begins to read.
pub fn start(by_hand: bool) {
    BY_HAND.store(by_hand, Ordering::Relaxed);
}

/// Takes in what was typed.
fn poll() {
    let by_hand = BY_HAND.load(Ordering::Relaxed);
    loop {
        let mut ahead = BYTES.lock();
        if ahead.is_full() && !by_hand {
            return;
        }
        let Some(byte) = console::read_byte() else {
            return;
        };
        if byte == CONTROL_C && by_hand && RUNNING.load(Ordering::Relaxed) {
            INTERRUPTED.store(true, Ordering::Relaxed);
            ahead.read = ahead.written;
        } else {
            ahead.keep(byte);
        }
    }
}

/// The next byte for the prompt.
pub fn next() -> Option<u8> {
    poll();
    let mut ahead = BYTES.lock();
    if core::mem::take(&mut ahead.lost) {
        drop(ahead);
        println!("lines were lost: more than {AHEAD} characters had to wait");
        ahead = BYTES.lock();
    }
    if ahead.read == ahead.written {
        return None;
    }
    let byte = ahead.bytes[ahead.read % AHEAD];
    ahead.read += 1;
    Some(byte)
}

/// ^C may have been typed behind the line before that was read.
fn take_early_interrupt() {
    let mut ahead = BYTES.lock();
    let mut places = ahead.read..ahead.written;
    if let Some(place) = places.rfind(|place| ahead.bytes[place % AHEAD] == CONTROL_C) {
        ahead.read = place + 1;
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
}

/// Lets ^C interrupt what `command` does.
pub fn while_running<T>(command: impl FnOnce() -> T) -> T {
    INTERRUPTED.store(false, Ordering::Relaxed);
    if BY_HAND.load(Ordering::Relaxed) {
        take_early_interrupt();
    }
    let before = RUNNING.swap(true, Ordering::Relaxed);
    let result = command();
    RUNNING.store(before, Ordering::Relaxed);
    result
}

/// Whether ^C was typed since the command began.
#[must_use]
pub fn interrupted() -> bool {
    let injected = INJECTED.load(Ordering::Relaxed);
    if injected >= 0 {
        INJECTED.store(injected.saturating_sub(1).max(0), Ordering::Relaxed);
        if injected == 0 {
            return true;
        }
    } else {
        poll();
    }
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Fails if ^C was typed: every command that takes long asks now and then.
pub fn check() -> Result<(), CommandError> {
    if interrupted() {
        Err(CommandError::Interrupted)
    } else {
        Ok(())
    }
}

/// Looks before it is left to the clock when to look again.
const SOON: u32 = 20;

/// Waits until `done`, at most for so long. Says whether it is done.
pub fn wait(limit: Duration, mut done: impl FnMut() -> bool) -> Result<bool, CommandError> {
    let deadline = machine::arch::timebase() + machine::time::timebase_ticks(limit);
    let mut looks = 0;
    while !done() {
        check()?;
        if machine::arch::timebase() >= deadline {
            return Ok(false);
        }
        thread::safe_point();
        // Most things are done as soon as others have had their turn.
        looks += 1;
        if looks < SOON {
            thread::yield_now();
        } else {
            thread::sleep(super::LOOK);
        }
    }
    Ok(true)
}
