//! What tracers write, and the rings they write it to.

use machine::{arch, cpus};
use ring::Ring;
use thread::Thread;

/// Words of a record.
const WORDS: usize = 4;
/// Records that a ring holds.
pub const CAPACITY: usize = 4096;

/// A ring for each CPU, so that writers share nothing. Only the thread that has the controls reads
/// them.
static RINGS: [&Ring<WORDS, CAPACITY>; arch::MOST_CPUS] = {
    static ALL: [Ring<WORDS, CAPACITY>; arch::MOST_CPUS] = [const { Ring::new() }; arch::MOST_CPUS];
    // By address: to find a place among those that large takes more instructions.
    let mut rings = [&ALL[0]; arch::MOST_CPUS];
    let mut cpu = 1;
    while cpu < rings.len() {
        rings[cpu] = &ALL[cpu];
        cpu += 1;
    }
    rings
};

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
    /// The CPU's number.
    pub cpu: u32,
}

/// Bits of a record's first word, above its kind. That interrupts are on is the bit that it
/// is in MSR.
const IN_INTERRUPT: u64 = 1 << 9;
const ON: u64 = ppc64::msr::EE;
const CPU_SHIFT: u32 = 10;
const CPU_MASK: u64 = ON / (1 << CPU_SHIFT) - 1;
const _: () = assert!(ON.is_power_of_two() && ON < 1 << DEPTH_SHIFT);
const DEPTH_SHIFT: u32 = 16;
const THREAD_SHIFT: u32 = 32;
const _: () = assert!(thread::DEPTH < 1 << (THREAD_SHIFT - DEPTH_SHIFT));
const _: () = assert!(arch::MOST_CPUS as u64 <= CPU_MASK + 1);

/// Writes a record, or counts it as dropped.
#[inline(always)]
pub fn push(event: Event) {
    let time = arch::timebase();
    // The thread may be on another CPU by the end of this: a ring has room for several writers.
    let cpu = arch::number();
    let mut head = u64::from(thread::with_current(Thread::id).unwrap_or(0)) << THREAD_SHIFT;
    head |= u64::from(cpu) << CPU_SHIFT;
    head |= arch::machine_state() & ON;
    if arch::in_interrupt() {
        head |= IN_INTERRUPT;
    }
    let record = match event {
        Event::Call { ip, parent } => [head, time, ip, parent],
        Event::Enter { ip, depth } => [head | 1 | depth << DEPTH_SHIFT, time, ip, 0],
        Event::Return { ip, depth, ticks } => [head | 2 | depth << DEPTH_SHIFT, time, ip, ticks],
    };
    RINGS[cpu as usize % RINGS.len()].push(record);
}

/// Takes the oldest record out of the rings.
///
/// Within a ring they are nearly in the order of their times: a writer looks at the clock before it
/// takes a place.
pub fn pop() -> Option<(Context, Event)> {
    let time = |ring: &&&Ring<WORDS, CAPACITY>| ring.first().map(|[_, time, ..]| time);
    let with_records = RINGS[..cpus::count()]
        .iter()
        .filter(|ring| time(ring).is_some());
    let oldest = with_records.min_by_key(time)?;
    let [head, time, ip, extra] = oldest.pop()?;
    let context = Context {
        interrupts_off: head & ON == 0,
        in_interrupt: head & IN_INTERRUPT != 0,
        time,
        thread: (head >> THREAD_SHIFT) as u32,
        cpu: (head >> CPU_SHIFT & CPU_MASK) as u32,
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

/// What became of a CPU's records since boot.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Written.
    pub written: u64,
    /// Of those, still in the ring.
    pub unread: u64,
    /// Lost, for the ring was full.
    pub dropped: u64,
}

/// What became of the records of the CPU with a number.
#[must_use]
pub fn counts(cpu: usize) -> Counts {
    RINGS.get(cpu).map_or_else(Counts::default, |ring| Counts {
        written: ring.written(),
        unread: ring.len() as u64,
        dropped: ring.dropped(),
    })
}

/// How many records were written since boot.
#[must_use]
pub fn written() -> u64 {
    RINGS.iter().map(|ring| ring.written()).sum()
}

/// How many records found a ring full.
#[must_use]
pub fn dropped() -> u64 {
    RINGS.iter().map(|ring| ring.dropped()).sum()
}
