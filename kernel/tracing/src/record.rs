//! What tracers write, and the ring they write it to.

use machine::arch;
use ring::Ring;
use thread::Thread;

/// Words of a record.
const WORDS: usize = 4;
/// Records that the ring holds.
pub const CAPACITY: usize = 4096;

/// The ring. One for all CPUs.
static RING: Ring<WORDS, CAPACITY> = Ring::new();

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// `ip` was called from `parent`.
    Call {
        /// Behind the function's site.
        ip: u64,
        /// Where the function returns to.
        parent: u64,
    },
    /// A function was entered, with this many hooked calls around it.
    Enter {
        /// Behind the function's site.
        ip: u64,
        /// How deep.
        depth: u64,
    },
    /// It has returned.
    Return {
        /// Behind the function's site.
        ip: u64,
        /// How deep.
        depth: u64,
        /// How long it took, in timebase ticks.
        ticks: u64,
    },
}

/// The state in which it happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context {
    /// Interrupts were off.
    pub interrupts_off: bool,
    /// An interrupt was being handled.
    pub in_interrupt: bool,
    /// Timebase.
    pub time: u64,
    /// The running thread's number.
    pub thread: u32,
}

/// Bits of a record's first word, above its kind.
const OFF: u64 = 1 << 8;
const IN_INTERRUPT: u64 = 1 << 9;
const DEPTH_SHIFT: u32 = 16;
const THREAD_SHIFT: u32 = 32;
const _: () = assert!(thread::DEPTH < 1 << (THREAD_SHIFT - DEPTH_SHIFT));

/// Writes a record, or counts it as dropped.
#[inline(always)]
pub fn push(event: Event) {
    let time = arch::timebase();
    let mut head = u64::from(thread::with_current(Thread::id).unwrap_or(0)) << THREAD_SHIFT;
    if arch::machine_state() & ppc64::msr::EE == 0 {
        head |= OFF;
    }
    if arch::in_interrupt() {
        head |= IN_INTERRUPT;
    }
    let record = match event {
        Event::Call { ip, parent } => [head, time, ip, parent],
        Event::Enter { ip, depth } => [head | 1 | depth << DEPTH_SHIFT, time, ip, 0],
        Event::Return { ip, depth, ticks } => [head | 2 | depth << DEPTH_SHIFT, time, ip, ticks],
    };
    RING.push(record);
}

/// Takes the oldest record out of the ring.
pub fn pop() -> Option<(Context, Event)> {
    let [head, time, ip, extra] = RING.pop()?;
    let context = Context {
        interrupts_off: head & OFF != 0,
        in_interrupt: head & IN_INTERRUPT != 0,
        time,
        thread: (head >> THREAD_SHIFT) as u32,
    };
    let depth = head >> DEPTH_SHIFT & 0xffff;
    let event = match head & 0xff {
        0 => Event::Call { ip, parent: extra },
        1 => Event::Enter { ip, depth },
        _ => Event::Return {
            ip,
            depth,
            ticks: extra,
        },
    };
    Some((context, event))
}

/// How many records were written since boot.
#[must_use]
pub fn written() -> u64 {
    RING.written()
}

/// How many records found the ring full.
#[must_use]
pub fn dropped() -> u64 {
    RING.dropped()
}
